"""A conductor that says what it is told to, over a real Unix socket, and a way to run commands."""

from __future__ import annotations

import contextlib
import http.server
import io
import json
import os
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from holdfast.cli import main
from holdfast.rollout.model import Limits, Plan, Release, Step, Strategy
from holdfast.runtime.codec import encode

Run = Callable[..., SimpleNamespace]

V1 = Release("v1-aaaa", "a" * 64, "v1")
V2 = Release("v2-bbbb", "b" * 64, "v2")
SPEC = "service: demo\nrun: python engine.py\ntraffic: 18080\n"


def release_doc(release: Release | None) -> dict[str, Any] | None:
    if release is None:
        return None
    return {"id": release.id, "digest": release.digest, "version": release.version}


def fleet_doc(release: Release, **counts: Any) -> dict[str, Any]:
    zero = dict.fromkeys(("starting", "ready", "draining", "failed", "in_flight", "restarts"), 0)
    base = {"release": release.id, "version": release.version, "failure": None}
    return {**base, **zero, **counts}


def status_doc(service: str = "demo", **parts: Any) -> dict[str, Any]:
    state = {
        "stable": release_doc(V1), "previous": None, "rollout": None, "queued": None,
        "last": None, "rejected": [], "retired": False,
    }  # fmt: skip
    state.update(parts.pop("state", {}))
    base = {
        "service": service, "target": "local", "replicas": 2,
        "endpoint": "http://127.0.0.1:18080", "state": state,
        "fleets": [fleet_doc(V1, ready=2)], "weights": {V1.id: 100}, "holds": [],
        "gate": None, "generation": 1, "owner": "here", "now": 100.0, "trouble": None,
    }  # fmt: skip
    return {**base, **parts}


def outcome_doc(outcome: str = "accepted", detail: str = "done", **parts: Any) -> dict[str, Any]:
    base = {"service": "demo", "outcome": outcome, "detail": detail}
    return {**base, "rollout": None, "release": None, **parts}


def error_doc(code: str, detail: str = "no", hint: str = "do this") -> dict[str, Any]:
    return {"error": {"code": code, "detail": detail, "hint": hint}}


def plan_of(old: Release | None = V1, new: Release = V2, **parts: Any) -> Plan:
    ladder = (Step(weight=25, fleet=50, judged=True), Step(weight=100, fleet=100))
    return Plan("r-1", Strategy.CANARY, old, new, 2, ladder, Limits(), **parts)


@dataclass
class FakeConductor:
    """Routes are (method, path without query) -> (status, body); events are told in order."""

    home: Path
    routes: dict[tuple[str, str], tuple[int, Any]] = field(default_factory=dict)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    news: list[dict[str, Any]] = field(default_factory=list)
    ordered: threading.Event = field(default_factory=threading.Event)

    def answer(self, method: str, path: str, body: Any, status: int = 200) -> None:
        self.routes[method, path] = (status, body)

    def serve(self, *statuses: dict[str, Any]) -> None:
        self.answer("GET", "/healthz", {"ok": True, "ledger": 0})
        self.answer("GET", "/v1/services", {"services": list(statuses)})
        for status in statuses:
            self.answer("GET", f"/v1/services/{status['service']}", status)
            self.answer("GET", f"/v1/services/{status['service']}/logs", {"logs": []})

    def tell(self, *events: Any) -> None:
        for event in events:
            self.news.append(
                {
                    "index": len(self.news), "service": "demo", "stream": "demo",
                    "kind": type(event).__name__, "wall": 0.0, "body": encode(event),
                }
            )  # fmt: skip

    def tell_holds(self, *holds: tuple[str, str]) -> None:
        body = {"holds": [{"code": code, "detail": detail} for code, detail in holds]}
        self.news.append(
            {
                "index": None, "service": "demo", "stream": "demo", "kind": "Holds",
                "wall": 0.0, "body": body,
            }
        )  # fmt: skip


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    conductor: FakeConductor


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server

    def _do(self) -> None:
        conductor = self.server.conductor
        path = self.path.partition("?")[0]
        length = int(self.headers.get("content-length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        conductor.asked.append((self.command, self.path, body))
        if path == "/v1/events":
            self._stream(conductor)
            return
        status, answer = conductor.routes.get((self.command, path), (404, error_doc("not-found")))
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = _do

    def _stream(self, conductor: FakeConductor) -> None:
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):
            for document in conductor.news:
                self.wfile.write(f"data: {json.dumps(document)}\n\n".encode())
                self.wfile.flush()
            while not conductor.ordered.wait(0.05):
                self.wfile.write(b": heartbeat\n\n")

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

    def address_string(self) -> str:
        return "unix"


@pytest.fixture
def conductor(tmp_path: Path) -> Iterator[FakeConductor]:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    fake = FakeConductor(home)
    server = _Server(str(home / "conductor.sock"), _Handler)
    server.conductor = fake
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield fake
    fake.ordered.set()
    server.shutdown()
    server.server_close()
    thread.join()


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


#: These listen to events in a thread until the process ends.
FOLLOWS = {"abort", "deploy", "up", "rollback", "restart"}


@dataclass
class Shell:
    """Runs commands: in this process where that is the same, as a program where it is not."""

    directory: Path
    home: Path
    environment: dict[str, str] = field(default_factory=dict)

    def env(self) -> dict[str, str]:
        kept = {key: os.environ[key] for key in ("PATH", "HOME", "USER") if key in os.environ}
        return {**kept, "HOLDFAST_HOME": str(self.home), "TERM": "xterm", **self.environment}

    def __call__(self, *words: str) -> Ran:
        if words[0] in FOLLOWS and "--dry-run" not in words:
            return self.program(*words)
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.directory)
            patch.setattr(os, "environ", self.env())
            patch.setattr(sys, "stdin", io.StringIO())
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = main(words)
        return Ran(code, out.getvalue(), err.getvalue())

    def program(self, *words: str) -> Ran:
        """A process of its own: what the exit code and the streams really are."""
        done = subprocess.run(
            [sys.executable, "-m", "holdfast.cli", *words], cwd=self.directory, env=self.env(),
            capture_output=True, text=True, timeout=180,
        )  # fmt: skip
        return Ran(done.returncode, done.stdout, done.stderr)

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "holdfast.cli", *words], cwd=self.directory, env=self.env(),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    project = tmp_path / "project"
    project.mkdir()
    (project / "holdfast.yaml").write_text(SPEC)
    return Shell(project, tmp_path / "home")


def eventually(claim: Any, patience_s: float = 60.0) -> bool:
    """Poll a claim about another process."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        if claim():
            return True
        time.sleep(0.02)
    return False


#: The documents above, for tests: a conftest cannot be imported.
@pytest.fixture
def docs() -> SimpleNamespace:
    return SimpleNamespace(
        v1=V1, v2=V2, fleet=fleet_doc, status=status_doc, outcome=outcome_doc, error=error_doc,
        plan=plan_of, release=release_doc, eventually=eventually,
    )  # fmt: skip


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a command in an empty directory, in this process."""
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> SimpleNamespace:
        code = main(list(words))
        out, err = capfd.readouterr()
        return SimpleNamespace(code=code, out=out, err=err)

    return call
