"""Real registries on this machine, images made of noise, and a wire that can be cut."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DAY_S = 86400
#: ann with the password "open sesame", by bcrypt: the only form the registry reads.
HTPASSWD = "ann:$2a$05$abcdefghijklmnopqrstuupx2xBUC4954936wVIjyyPHmUBFu0wCW\n"


def free_port() -> int:
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextmanager
def registry(directory: Path, htpasswd: str = "") -> Iterator[str]:
    """A registry of its own; its address. Skips where none is installed."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("docker-registry is not installed: apt-get install docker-registry")
    port = free_port()
    directory.mkdir(parents=True)
    settings = directory / "registry.json"
    settings.write_text(json.dumps(_settings(directory, port, htpasswd)))
    running = subprocess.Popen(
        [program, "serve", settings], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait(port, running)
        yield f"127.0.0.1:{port}"
    finally:
        running.terminate()
        running.wait(10)


def _settings(directory: Path, port: int, htpasswd: str) -> dict:
    found = {
        "version": 0.1,
        "log": {"level": "error"},
        "storage": {
            "filesystem": {"rootdirectory": str(directory / "data")},
            "delete": {"enabled": True},
        },
        "http": {"addr": f"127.0.0.1:{port}", "secret": "of this test"},
    }
    if htpasswd:
        (directory / "htpasswd").write_text(htpasswd)
        path = str(directory / "htpasswd")
        found["auth"] = {"htpasswd": {"realm": "here", "path": path}}
    return found


def _wait(port: int, running: subprocess.Popen) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        assert running.poll() is None, "the registry ended"
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/", timeout=2).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the registry does not answer")


def image(directory: Path, layers: list[bytes], days_old: float = 0.0) -> str:
    """An OCI layout with these layers; the digest of its manifest."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def stored(data: bytes, media_type: str) -> dict:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    made = datetime.fromtimestamp(time.time() - days_old * DAY_S, UTC).isoformat()
    about = {"created": made, "os": "linux", "architecture": "amd64", "config": {}}
    config = stored(json.dumps(about).encode(), "application/vnd.oci.image.config.v1+json")
    kept = [stored(_tar(each), "application/vnd.oci.image.layer.v1.tar") for each in layers]
    body = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": kept}
    manifest = stored(json.dumps(body).encode(), MANIFEST)
    index = {"schemaVersion": 2, "manifests": [manifest]}
    (directory / "index.json").write_text(json.dumps(index))
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return manifest["digest"]


def _tar(data: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo("noise")
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def noise(size: int) -> bytes:
    return os.urandom(size)


def login(path: Path, host: str, name: str, password: str, mode: int = 0o600) -> Path:
    """A file as docker login writes it."""
    told = base64.b64encode(f"{name}:{password}".encode()).decode()
    path.write_text(json.dumps({"auths": {host: {"auth": told}}}))
    path.chmod(mode)
    return path


class Wire:
    """A TCP relay to a port that stops moving bytes to it after ``limit`` of them.

    ``politely``: only where a request for the next piece of an upload begins.
    """

    def __init__(self, port: int, politely: bool = False) -> None:
        self._to, self._politely = port, politely
        self.limit = 2**60
        self.moved = 0
        self.cut = threading.Event()
        self._gate = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._gate.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._gate.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._gate.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._to))
            threading.Thread(target=self._move, args=(near, far, True), daemon=True).start()
            threading.Thread(target=self._move, args=(far, near, False), daemon=True).start()

    def _may_cut(self, data: bytes) -> bool:
        return not self._politely or data.startswith(b"PATCH ")

    def _move(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        with source, sink:
            try:
                while data := source.recv(65536):
                    if counted and self.moved >= self.limit and self._may_cut(data):
                        self.cut.set()
                        return
                    self.moved += len(data) if counted else 0
                    sink.sendall(data)
            except OSError:
                return
            try:
                sink.shutdown(socket.SHUT_WR)
            except OSError:
                return
