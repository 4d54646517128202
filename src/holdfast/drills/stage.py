"""A clean stage for drills: a home of its own, a real conductor, the engine behind real Envoy.

Everything is asked for through the conductor's public client, as a person would; facts come from
its event stream and are put on this process's monotonic clock. Faults hit real processes: the
stage finds them by a mark in their environment, never by name, and leaves none behind.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from holdfast.conductor.client import ApiError, Client, ConductorError, OutcomeDoc, StatusDoc
from holdfast.runtime.home import Home
from holdfast.targets.local.forkserver import OWN_NAME as FORK_SERVER

EXAMPLE = Path("examples", "01-trading-engine", "holdfast.yaml")
STAGE_MARK = "DRILL_STAGE"
SERVICE = "trading-engine"
PATIENCE_S = 60.0
DOWN_S_MAX = 15.0
#: 32 bytes are one row; every version that decides right buys it.
ONE_ROW, BUY = "BUY@" + "." * 28, "\x01"

Tell = Callable[[str], None]


class NoStage(Exception):
    """The stage cannot be set up. ``hint`` says what to do."""

    def __init__(self, detail: str, hint: str = "holdfast doctor") -> None:
        super().__init__(f"{detail} ({hint})")
        self.detail, self.hint = detail, hint


@dataclass(frozen=True, slots=True)
class Fact:
    """One entry of the ledger, on this process's monotonic clock."""

    at: float
    kind: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one rollout went, from the command to its end."""

    asked: float  # monotonic: just before the command was sent
    ended: float  # monotonic: the ending was recorded
    ending: str  # promoted, reverted, superseded, stranded, refused
    reason: str
    facts: tuple[Fact, ...] = ()

    @property
    def seconds(self) -> float:
        return self.ended - self.asked

    def first(self, kind: str) -> Fact | None:
        return next((fact for fact in self.facts if fact.kind == kind), None)


@dataclass(frozen=True, slots=True)
class Edition:
    """One version of the engine, and how it is to be rolled out."""

    version: str
    fault: str = "none"
    strategy: str = "rolling"
    rollout: dict[str, Any] = field(default_factory=dict)
    probes: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, Any] = field(default_factory=dict)
    start: str = "warm"  # or cold


class Facts:
    """The event stream, collected by a thread. Survives restarts of the conductor."""

    def __init__(self, client: Client, service: str) -> None:
        self.client, self.service = client, service
        self.all: list[Fact] = []
        self.holds: list[dict[str, Any]] = []
        self.news = threading.Condition()
        self.closed = False
        self.lost: str | None = None
        self.offset = time.monotonic() - time.time()
        self.thread = threading.Thread(target=self._listen, daemon=True, name="facts")
        self.thread.start()

    def _listen(self) -> None:
        try:
            for event in self.client.events(self.service, since=0, patience_s=PATIENCE_S):
                if self.closed:
                    return
                with self.news:
                    if event["index"] is None:
                        self.holds = event["body"].get("holds", [])
                    else:
                        at = event["wall"] + self.offset
                        self.all.append(Fact(at, event["kind"], event["body"]))
                    self.news.notify_all()
        except ConductorError as error:
            with self.news:
                self.lost = str(error)
                self.news.notify_all()

    def wait_for(self, holds: Callable[[Fact], bool], after: int, within_s: float) -> Fact | None:
        """The first fact from number ``after`` on for which ``holds``; None when it is too late."""
        deadline = time.monotonic() + within_s
        with self.news:
            while True:
                found = next((fact for fact in self.all[after:] if holds(fact)), None)
                left = deadline - time.monotonic()
                if found is not None or left <= 0 or self.lost:
                    return found
                self.news.wait(min(left, 1.0))


class Stage:
    """A context: entering starts the conductor, leaving takes everything down again."""

    def __init__(self, tell: Tell, replicas: int = 10, spec_path: Path | None = None) -> None:
        self.tell, self.replicas, self.service = tell, replicas, SERVICE
        self.spec_path = spec_path or find_example()
        self.directory = Path(tempfile.mkdtemp(prefix="holdfast-drill-"))
        self.home = Home(self.directory / "home")
        self.client = Client(self.home.socket)
        self.port = free_port()
        self.mark = f"{os.getpid()}-{self.port}"
        self.facts: Facts | None = None

    # ---- up and down

    def __enter__(self) -> Stage:
        try:
            self.start_conductor()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()

    def start_conductor(self) -> None:
        from holdfast.conductor.daemon import start_daemon

        start_daemon(self.home)

    def close(self) -> None:
        """Take the service down as a person would; then make sure that nothing is left."""
        from holdfast.conductor.daemon import DaemonTrouble, stop_daemon

        if self.facts is not None:
            self.facts.closed = True
        with contextlib.suppress(ConductorError, OSError):
            self.client.down(self.service, by="drill")
            deadline = time.monotonic() + DOWN_S_MAX
            while self.processes() and time.monotonic() < deadline:
                time.sleep(0.05)
        with contextlib.suppress(DaemonTrouble, OSError):
            stop_daemon(self.home)
        for process in (*self.processes(), *processes_naming(str(self.directory))):
            with contextlib.suppress(psutil.Error):
                process.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    # ---- what a person does

    def spec_text(self, edition: Edition) -> str:
        """The example's spec with this edition in it. JSON is YAML."""
        command = [sys.executable, str(self.spec_path.parent / "engine.py")]
        command += ["--version", edition.version, "--fault", edition.fault]
        smoke = {"path": "/decide", "method": "POST", "body": ONE_ROW, "contains": BUY}
        probes = {"ready": "/ready", "live": "/health", "version_header": "x-version"}
        probes["start_within"] = "30s"  # a busy machine is not a bad version
        spec = {
            "service": self.service,
            "version": edition.version,
            "run": {
                "command": command,
                "start": edition.start,
                "env": {STAGE_MARK: self.mark},
                "limits": edition.limits,
            },
            "replicas": self.replicas,
            "traffic": {"port": self.port, "idempotent": True, "access_log": False},
            "probes": {**probes, "smoke": [smoke], **edition.probes},
            "rollout": {"strategy": edition.strategy, "keep_warm": "60s", **edition.rollout},
            "promises": {"throughput": "1000000/s", "p99": "10ms"},
        }
        return json.dumps(spec, indent=1)

    def deploy(self, edition: Edition, within_s: float = 180.0) -> Outcome:
        """Ask for a rollout and wait for its end."""
        return self.finish(self.begin(edition), within_s)

    def begin(self, edition: Edition) -> tuple[float, int] | Outcome:
        """Ask for a rollout and return at once; ``finish`` waits for the end."""

        def ask() -> OutcomeDoc:
            text = self.spec_text(edition)
            return self.client.deploy(self.service, text, spec_path=str(self.spec_path), by="drill")

        return self._ask(ask)

    def rollback(self, within_s: float = 60.0) -> Outcome:
        return self.finish(
            self._ask(lambda: self.client.rollback(self.service, by="drill")), within_s
        )

    def abort(self, begun: tuple[float, int] | Outcome, within_s: float = 60.0) -> Outcome:
        """Abort the rollout that was begun, and wait for its end."""
        self._ask(lambda: self.client.abort(self.service, reason="drill", by="drill"))
        return self.finish(begun, within_s)

    def status(self) -> StatusDoc:
        return self.client.status(self.service)

    def _ask(self, command: Callable[[], OutcomeDoc]) -> tuple[float, int] | Outcome:
        mark = len(self.facts.all) if self.facts is not None else 0
        asked = time.monotonic()
        try:
            command()
        except ApiError as error:
            return Outcome(asked, time.monotonic(), "refused", f"{error.code}: {error.detail}")
        if self.facts is None:
            self.facts = Facts(self.client, self.service)
        return asked, mark

    def finish(self, begun: tuple[float, int] | Outcome, within_s: float) -> Outcome:
        if isinstance(begun, Outcome):
            return begun
        assert self.facts is not None
        asked, mark = begun
        end = self.facts.wait_for(lambda fact: fact.kind == "Finished", mark, within_s)
        facts = tuple(self.facts.all[mark:])
        if end is None:
            why = self.facts.lost or f"no ending within {within_s:g} s; holds: {self.facts.holds}"
            return Outcome(asked, time.monotonic(), "lost", why, facts)
        return Outcome(asked, end.at, end.body["ending"], end.body["reason"], facts)

    def wait_for_step(self, begun: tuple[float, int] | Outcome, step: int, within_s: float) -> bool:
        """Until the rollout that was begun has its weight on step number ``step`` (from 0)."""
        if isinstance(begun, Outcome):
            return False
        assert self.facts is not None

        def reached(fact: Fact) -> bool:
            return fact.kind == "WeightReached" and int(fact.body["step"]) >= step

        return self.facts.wait_for(reached, begun[1], within_s) is not None

    # ---- what misfortune does

    def kill_conductor(self) -> int:
        """kill -9, as the kernel's out-of-memory killer does it. Returns the pid that was."""
        pid = self.conductor_pid()
        if pid is None:
            raise NoStage("no conductor runs", "see conductor.log")
        os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(psutil.Error):
            psutil.Process(pid).wait(5)
        return pid

    def kill_replica(self, version: str) -> int | None:
        """kill -9 of one replica of this version that serves."""
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                command = process.cmdline()
                if process.name() == FORK_SERVER:
                    continue  # its replicas have its command
                if "--version" in command and command[command.index("--version") + 1] == version:
                    process.send_signal(signal.SIGKILL)
                    return process.pid
        return None

    # ---- whose process is whose

    def conductor_pid(self) -> int | None:
        try:
            pid = int(self.home.pid_file.read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None
        return pid if psutil.pid_exists(pid) else None

    def processes(self) -> list[psutil.Process]:
        """Every replica of this stage, whoever its parent is now."""
        return list(marked_processes(self.mark))

    def roots(self) -> list[int]:
        """Whose processor time is ours: the conductor, Envoy below it, and the replicas."""
        pid = self.conductor_pid()
        envoys = [p.pid for p in processes_naming(str(self.directory))]
        return [*([pid] if pid else []), *envoys, *(p.pid for p in self.processes())]


def end_like_ctrl_c() -> None:
    """SIGTERM unwinds like Ctrl-C, so that a stage is taken down and leaves no process behind."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def marked_processes(mark: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            alive = process.status() != psutil.STATUS_ZOMBIE
            if alive and process.environ().get(STAGE_MARK) == mark:
                yield process


def processes_naming(path: str) -> Iterator[psutil.Process]:
    """Programs started with this path in an argument: Envoy with its configuration."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if any(path in word for word in process.cmdline()):
                yield process


def find_example() -> Path:
    """The trading engine's spec: in this directory, above it, or in the checkout."""
    here = Path.cwd()
    checkout = Path(__file__).resolve().parents[3]
    for root in (here, *here.parents, checkout):
        if (root / "engine.py").is_file() and (root / "holdfast.yaml").is_file():
            return root / "holdfast.yaml"
        if (root / EXAMPLE).is_file():
            return root / EXAMPLE
    raise NoStage("the example engine is not here", "run in a checkout, or in its directory")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
