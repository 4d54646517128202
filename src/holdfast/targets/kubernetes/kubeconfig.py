"""Which cluster, and who we are there: kubeconfig files, or the account of our own pod.

Files are those of ``kubectl``: ``$KUBECONFIG`` (several, the first that says a thing wins), else
``~/.kube/config``. Source: kubernetes.io, "Organizing Cluster Access Using kubeconfig Files".
"""

from __future__ import annotations

import base64
import binascii
import os
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from holdfast.targets.base import Refused
from holdfast.targets.kubernetes.credentials import (
    Credential,
    ExecPlugin,
    Fixed,
    Plugin,
    TokenFile,
    basic,
)

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Trust:
    """How the API server proves itself. ``authority`` is PEM; empty: the system's."""

    authority: str = ""
    insecure: bool = False

    def context(self, certificate: str = "", key: str = "") -> ssl.SSLContext:
        """For connections as the owner of a client certificate (PEM), or without one.

        Shared by all who ask for the same: each of its own would hold all authorities again, about
        a megabyte for every service.
        """
        return _context(self, certificate, key)


@lru_cache(maxsize=32)
def _context(trust: Trust, certificate: str, key: str) -> ssl.SSLContext:
    made = ssl.create_default_context(cadata=trust.authority or None)
    if trust.insecure:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    if certificate:
        _load(made, certificate, key)
    return made


@dataclass(frozen=True, slots=True)
class Cluster:
    """All that is needed to talk to one API server."""

    server: str  # https://host:port
    context: str  # what people call it
    namespace: str  # of the context; "default" where none is said
    trust: Trust
    credential: Credential
    server_name: str = ""  # expected in the certificate, where it is not the host's name
    proxy: str = ""


def locate(context: str | None, environ: Mapping[str, str] = os.environ) -> Cluster:
    """The named context, else the current one, else the cluster this pod runs in.

    Raises ``Refused`` with the code ``no-access`` and the file that is to blame.
    """
    inside = "KUBERNETES_SERVICE_HOST" in environ and (ACCOUNT / "token").is_file()
    if context is None and inside and "KUBECONFIG" not in environ:
        return in_cluster(environ)
    return from_files(_paths(environ), context)


def in_cluster(environ: Mapping[str, str] = os.environ, account: Path = ACCOUNT) -> Cluster:
    """As the service account of our own pod; its token is read again as it is renewed."""
    host, port = environ["KUBERNETES_SERVICE_HOST"], environ.get("KUBERNETES_SERVICE_PORT", "443")
    host = f"[{host}]" if ":" in host else host
    trust = Trust(_text(account / "ca.crt"))
    space = _text(account / "namespace").strip()
    token = TokenFile(account / "token")
    return Cluster(f"https://{host}:{port}", "in-cluster", space, trust, token)


def from_files(paths: list[Path], context: str | None) -> Cluster:
    found = [path for path in paths if path.is_file()]
    if not found:
        raise _no(f"no kubeconfig: looked at {', '.join(map(str, paths))}; set KUBECONFIG")
    config = _Config([(path, _read(path)) for path in found])
    return config.cluster(context or config.current())


def _paths(environ: Mapping[str, str]) -> list[Path]:
    listed = [Path(each) for each in environ.get("KUBECONFIG", "").split(os.pathsep) if each]
    return listed or [Path.home() / ".kube" / "config"]


class _Config:
    """Several files as one: for each name the first file that has it."""

    def __init__(self, files: list[tuple[Path, Entry]]) -> None:
        self._files = files

    def current(self) -> str:
        for _, body in self._files:
            if word := body.get("current-context"):
                return str(word)
        raise _no(f"{self._all()}: no current-context; say kubernetes.context in the spec")

    def cluster(self, name: str) -> Cluster:
        _, context = self._entry("contexts", "context", name)
        at, cluster = self._entry("clusters", "cluster", str(context.get("cluster", "")))
        user_at, user = at, Entry()
        if context.get("user"):
            user_at, user = self._entry("users", "user", str(context["user"]))
        if not cluster.get("server"):
            raise _no(f"{at}: the cluster of context {name!r} has no server")
        return Cluster(
            server=str(cluster["server"]).rstrip("/"),
            context=name,
            namespace=str(context.get("namespace") or "default"),
            trust=_trust(at, cluster),
            credential=_credential(user_at, user, cluster),
            server_name=str(cluster.get("tls-server-name") or ""),
            proxy=str(cluster.get("proxy-url") or ""),
        )

    def _entry(self, listed: str, key: str, name: str) -> tuple[Path, Entry]:
        known: list[str] = []
        for path, body in self._files:
            for each in body.get(listed) or ():
                if isinstance(each, dict):
                    known.append(str(each.get("name")))
                    if each.get("name") == name:
                        return path, each.get(key) or {}
        said = f"it has {', '.join(sorted(known))}" if known else "it has none"
        raise _no(f"{self._all()}: no {key} {name!r}; {said}")

    def _all(self) -> str:
        return ", ".join(str(path) for path, _ in self._files)


def _read(path: Path) -> Entry:
    try:
        body = yaml.safe_load(_text(path))
    except yaml.YAMLError as error:
        raise _no(f"{path}: no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(body, dict):
        raise _no(f"{path}: found no kubeconfig, wanted an object with clusters and contexts")
    return body


def _trust(path: Path, cluster: Entry) -> Trust:
    authority = _material(path, cluster, "certificate-authority")
    return Trust(authority, bool(cluster.get("insecure-skip-tls-verify")))


def _credential(path: Path, user: Entry, cluster: Entry) -> Credential:
    if "auth-provider" in user:
        name = (user["auth-provider"] or {}).get("name")
        raise _no(f"{path}: auth-provider {name!r} is no longer in Kubernetes; use an exec plugin")
    if given := user.get("exec"):
        return ExecPlugin(_plugin(path, given, cluster))
    if file := user.get("tokenFile"):
        return TokenFile(path.parent / str(file))
    certificate = _material(path, user, "client-certificate")
    key = _material(path, user, "client-key")
    if token := user.get("token"):
        return Fixed({"Authorization": f"Bearer {token}"}, certificate, key)
    if "username" in user:
        return Fixed(basic(str(user["username"]), str(user.get("password", ""))), certificate, key)
    return Fixed({}, certificate, key)


def _plugin(path: Path, given: Entry, cluster: Entry) -> Plugin:
    command = str(given.get("command") or "")
    if "/" in command:
        command = str(path.parent / command)
    told: Entry = {}
    if given.get("provideClusterInfo"):
        told = {"server": cluster.get("server"), "config": None}
        told["certificate-authority-data"] = cluster.get("certificate-authority-data")
    return Plugin(
        version=str(given.get("apiVersion") or "client.authentication.k8s.io/v1"),
        command=(command, *map(str, given.get("args") or ())),
        env=tuple((str(e["name"]), str(e["value"])) for e in given.get("env") or ()),
        hint=str(given.get("installHint") or ""),
        cluster=told,
    )


def _material(path: Path, entry: Entry, key: str) -> str:
    """PEM that stands in the file itself (``-data``), or in a file that it names."""
    if data := entry.get(f"{key}-data"):
        try:
            return base64.b64decode(str(data), validate=False).decode("ascii")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise _no(f"{path}: {key}-data is not base64 of PEM") from error
    return _text(path.parent / str(entry[key])) if entry.get(key) else ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "not text"
        raise _no(f"{path} cannot be read: {str(said).lower()}") from error


def _load(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """OpenSSL takes files only: one that nobody else may read, and only for a moment."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(f"{certificate}\n{key}\n")
        file.flush()
        try:
            context.load_cert_chain(file.name)
        except (ssl.SSLError, OSError) as error:
            raise _no(f"the client certificate and key do not belong together: {error}") from error


def _no(detail: str) -> Refused:
    return Refused("no-access", detail)
