"""A real API server with its etcd, on loopback, for one test session.

The programs are found the way envtest finds them: ``$KUBEBUILDER_ASSETS`` holds ``kube-apiserver``
and ``etcd``. Without them the tests that need a server are skipped.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

TOKEN = "tests-only"
STARTS_WITHIN = 120  # seconds, on a machine that is busy with other tests
_STRICT = {"fieldManager": "holdfast", "fieldValidation": "Strict", "force": "true"}


def assets() -> Path:
    """The directory of the two programs; skips the test where there is none."""
    folder = Path(os.environ.get("KUBEBUILDER_ASSETS", "/usr/local/kubebuilder/bin"))
    if not all((folder / name).is_file() for name in ("kube-apiserver", "etcd")):
        pytest.skip("no kube-apiserver and etcd in $KUBEBUILDER_ASSETS")
    return folder


@dataclass
class Refused(Exception):  # it is what the server says, not a fault of the test
    """The server's answer to what it does not accept."""

    status: int
    said: str

    def __str__(self) -> str:
        return f"{self.status}: {self.said}"


class Program:
    """A program whose words go to a file named after it. It can be started again."""

    def __init__(self, folder: Path, command: list[str]) -> None:
        self.folder, self._command = folder, command
        self.start()

    def start(self) -> None:
        with (self.folder / f"{Path(self._command[0]).name}.log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, cwd=self.folder)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None


@dataclass
class Server:
    """The API of a running server, as its administrator."""

    port: int
    authority: Path
    program: Program
    defined: set[str] = field(default_factory=set)  # kinds that tests made it serve
    _resources: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def kubeconfig(self, folder: Path, url: str = "", token: str = TOKEN) -> Path:
        """A file by which ``token`` reaches the server, or whoever stands before it at ``url``."""
        cluster = {"server": url or self.url}
        if cluster["server"].startswith("https:"):
            cluster["certificate-authority"] = str(self.authority)
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "tests", "cluster": cluster}],
            "users": [{"name": "tests", "user": {"token": token}}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
            "current-context": "tests",
        }
        path = folder / "kubeconfig.json"
        path.write_text(json.dumps(config))
        return path

    def restart(self, away: float = 0.0) -> None:
        """SIGKILL, nothing for ``away`` seconds, and back on the same port with the same store."""
        self.program.kill()
        time.sleep(away)
        self.program.start()
        _wait(self, [self.program])

    def ask(self, method: str, path: str, body: Any = None, kind: str = "json") -> dict[str, Any]:
        """One request. Raises ``Refused`` for every status that is no success."""
        context = ssl.create_default_context(cafile=str(self.authority))
        line = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60, context=context)
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": f"application/{kind}"}
        try:
            line.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = line.getresponse()
            text = answer.read().decode()
        finally:
            line.close()
        if answer.status >= 300:
            said = json.loads(text).get("message", text) if text.startswith("{") else text
            raise Refused(answer.status, said)
        return json.loads(text) if text.startswith("{") else {"text": text}

    def apply(self, document: dict[str, Any], dry: bool = True) -> dict[str, Any]:
        """Server-side apply with strict field validation; ``dry`` stores nothing."""
        wanted = _STRICT | ({"dryRun": "All"} if dry else {})
        return self.ask("PATCH", f"{self.place(document)}?{urlencode(wanted)}", document,
                        "apply-patch+yaml")  # fmt: skip

    def place(self, document: dict[str, Any]) -> str:
        """The path of an object. Raises ``Refused`` for a kind that is not served."""
        group = _group(document["apiVersion"])
        resource = self._resource(group, document["kind"])
        space = document["metadata"].get("namespace", "default")
        inside = f"/namespaces/{space}" if resource["namespaced"] else ""
        return f"{group}{inside}/{resource['name']}/{document['metadata']['name']}"

    def wait_for(self, key: str) -> None:
        """Until ``group/version/Kind`` is served; definitions take effect a moment later."""
        group, _, kind = key.rpartition("/")
        until = time.monotonic() + STARTS_WITHIN
        while True:
            try:
                self._resource(_group(group), kind)
            except Refused:
                assert time.monotonic() < until, f"{key} is not served"
                time.sleep(0.1)
            else:
                return

    def _resource(self, group: str, kind: str) -> dict[str, Any]:
        if kind not in self._resources.get(group, {}):
            listed = self.ask("GET", group)["resources"]
            self._resources[group] = {r["kind"]: r for r in listed if "/" not in r["name"]}
        if kind not in self._resources[group]:
            raise Refused(404, f"{kind} is not served in {group}")
        return self._resources[group][kind]


def _group(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def running(folder: Path) -> Iterator[Server]:
    """A server with an empty store; both programs end with the block."""
    programs, store, port = assets(), _free_port(), _free_port()
    started: list[Program] = []
    try:
        started.append(Program(folder, [str(programs / "etcd"), *_etcd(folder, store)]))
        arguments = _arguments(folder, store, port)
        started.append(Program(folder, [str(programs / "kube-apiserver"), *arguments]))
        server = Server(port, folder / "certificates" / "apiserver.crt", started[-1])
        _wait(server, started)
        yield server
    finally:
        for program in reversed(started):
            program.kill()  # nothing of it is kept
        shutil.rmtree(folder / "etcd", ignore_errors=True)


def _etcd(folder: Path, port: int) -> list[str]:
    clients, peers = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{_free_port()}"
    return [
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={clients}",
        f"--advertise-client-urls={clients}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=default={peers}",
        "--unsafe-no-fsync",
    ]


def _arguments(folder: Path, store: int, port: int) -> list[str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    (folder / "accounts.key").write_bytes(pem)
    (folder / "tokens.csv").write_text(f'{TOKEN},tests,tests,"system:masters"\n')
    return [
        f"--etcd-servers=http://127.0.0.1:{store}",
        f"--secure-port={port}",
        "--bind-address=127.0.0.1",
        f"--cert-dir={folder / 'certificates'}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--service-account-issuer=https://127.0.0.1",
        f"--service-account-key-file={folder / 'accounts.key'}",
        f"--service-account-signing-key-file={folder / 'accounts.key'}",
    ]


def _wait(server: Server, started: list[Program]) -> None:
    until = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < until:
        if any(program.ended for program in started):
            break
        try:
            server.ask("GET", "/readyz")
        except (OSError, Refused, http.client.HTTPException):
            time.sleep(0.1)
        else:
            return
    logs = [
        path.read_text(errors="replace")[-2000:] for path in server.program.folder.glob("*.log")
    ]
    pytest.fail("the API server did not start\n" + "\n".join(logs))
