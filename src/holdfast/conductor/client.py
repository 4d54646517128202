"""Talking to a conductor: plain blocking HTTP over its Unix socket, or TCP with a token.

Only the standard library is imported, so that a command line that uses it starts at once.
The documents are described here as ``TypedDict``; ``conductor/api.py`` produces them.

    ConductorError
    ├── NoConductor     nobody answers: none runs, or it went away in the middle
    └── ApiError        it answered with an error: status, code, detail, hint
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, Unpack, cast
from urllib.parse import quote, urlencode

from holdfast.conductor.looks import ConsoleLooks
from holdfast.runtime.home import Home

#: A command may have to look at files and hash them first; an answer to a look is ready.
ANSWER_S_MAX = 60.0
LOOK_S_MAX = 20.0
#: After this long without an answer the caller is told, see ``Client.slow``.
SLOW_S = 2.0
#: A keeper starts a killed conductor again within this, its longest pause included.
RESTART_S_MAX = 8.0
#: The conductor sends a heartbeat every 5 s; a stream silent for longer has lost its sender.
SILENCE_S_MAX = 20.0
EVENT_BYTES_MAX = 64 * 1024 * 1024


class ConductorError(Exception):
    """Base. ``hint`` says what to do next."""

    hint = ""


class NoConductor(ConductorError):
    """Nobody answers at the address."""

    def __init__(self, detail: str, hint: str = "start one: holdfast up") -> None:
        super().__init__(f"{detail} ({hint})")
        self.detail, self.hint = detail, hint


class ApiError(ConductorError):
    """The conductor said no. ``code`` is a stable word, such as ``conflict`` or ``rejected``."""

    def __init__(self, status: int, code: str, detail: str, hint: str = "") -> None:
        super().__init__(f"{detail} ({hint})" if hint else detail)
        self.status, self.code, self.detail, self.hint = status, code, detail, hint


# ---- documents ----------------------------------------------------------------------------------


class ReleaseDoc(TypedDict):
    id: str
    digest: str
    version: str


class HoldDoc(TypedDict):
    code: str
    detail: str


class FailureDoc(TypedDict):
    code: str
    detail: str
    log_tail: list[str]
    hopeless: bool


class FleetDoc(TypedDict):
    release: str
    version: str
    starting: int
    ready: int
    draining: int
    failed: int
    in_flight: int
    restarts: int
    failure: FailureDoc | None


class RolloutDoc(TypedDict):
    """The rollout that runs. ``step`` counts from 1; ``at`` fields are engine seconds."""

    id: str
    phase: str
    strategy: str
    step: int
    steps: int
    new: ReleaseDoc
    old: ReleaseDoc | None
    rollback: bool
    paused: bool
    weights: dict[str, int]
    holds: list[HoldDoc]
    started_at: float
    approvals: list[str]
    verdict: dict[str, Any] | None
    reason: str


class EndingDoc(TypedDict):
    """How the latest rollout ended."""

    rollout: str
    ending: str
    reason: str
    new: ReleaseDoc


class StateDoc(TypedDict):
    stable: ReleaseDoc | None
    previous: ReleaseDoc | None
    rollout: RolloutDoc | None
    queued: ReleaseDoc | None
    last: EndingDoc | None
    rejected: list[str]
    retired: bool


class StatusDoc(TypedDict):
    """``GET /v1/services/{service}``."""

    service: str
    target: str
    replicas: int
    endpoint: str | None
    state: StateDoc
    fleets: list[FleetDoc]
    weights: dict[str, int]
    holds: list[HoldDoc]
    gate: str | None
    generation: int
    owner: str
    now: float
    trouble: str | None


class OutcomeDoc(TypedDict):
    """The answer to a command. ``outcome``: started, queued, nothing-to-do, scaled, accepted."""

    service: str
    outcome: str
    detail: str
    rollout: str | None
    release: ReleaseDoc | None


class EventDoc(TypedDict):
    """One ledger entry; or, with ``index`` null and kind ``Holds``, ``{"holds": [HoldDoc]}``."""

    index: int | None
    service: str
    stream: str
    kind: str
    wall: float
    body: dict[str, Any]


class LogDoc(TypedDict):
    release: str
    replica: str
    lines: list[str]


class DeployOptions(TypedDict, total=False):
    """What may accompany a spec. ``spec_path`` tells where relative paths in it begin."""

    spec_path: str
    version: str | None
    by: str | None
    force: bool
    restart: bool
    override_gate: bool
    on_conflict: str | None


class PlanDoc(TypedDict):
    """What a deploy would do. ``plan``, ``rollback`` and ``forecast`` are encoded values of
    ``rollout.plan``; ``rollback`` is the way back once the deploy has succeeded."""

    service: str
    outcome: str
    detail: str
    plan: dict[str, Any] | None
    rollback: dict[str, Any] | None
    forecast: list[dict[str, Any]]
    gate: str | None
    release: ReleaseDoc | None


# ---- connections --------------------------------------------------------------------------------


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("conductor", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        # A Unix address holds 107 bytes; going through the open directory has no such limit.
        directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.sock.connect(f"/proc/self/fd/{directory}/{self._path.name}")
        finally:
            os.close(directory)


class Client(ConsoleLooks):
    """One conductor. ``at`` is its home or socket, or ``host:port`` together with a token."""

    def __init__(
        self,
        at: Home | Path | str,
        token: str | None = None,
        slow: Callable[[], None] | None = None,
    ) -> None:
        """``slow`` is called, in a thread, when an answer takes longer than ``SLOW_S``."""
        self.at = at.socket if isinstance(at, Home) else at
        self.token = token
        self.slow = slow

    # ---- reading

    def healthz(self) -> dict[str, Any]:
        return self._call("GET", "/healthz")

    def get(self, path: str) -> dict[str, Any]:
        """Any document by its path."""
        return self._call("GET", path)

    def history_end(self) -> int:
        """The index that the next ledger entry will have: ``events`` from there on is news."""
        return int(self.healthz()["ledger"])

    def services(self) -> list[StatusDoc]:
        return cast(list[StatusDoc], self._call("GET", "/v1/services")["services"])

    def status(self, service: str) -> StatusDoc:
        return cast(StatusDoc, self._call("GET", _at(service)))

    def history(self, service: str, since: int = 0, limit: int = 1000) -> list[EventDoc]:
        path = _at(service, "history") + _query(since=since, limit=limit)
        return cast(list[EventDoc], self._call("GET", path)["entries"])

    def logs(
        self, service: str, release: str | None = None, replica: str | None = None, lines: int = 100
    ) -> list[LogDoc]:
        path = _at(service, "logs") + _query(release=release, replica=replica, lines=lines)
        return cast(list[LogDoc], self._call("GET", path)["logs"])

    def openapi(self) -> dict[str, Any]:
        return self._call("GET", "/v1/openapi.json")

    def metrics(self) -> str:
        return self._text("GET", "/metrics")

    # ---- commands

    def deploy(self, service: str, spec_text: str, **options: Unpack[DeployOptions]) -> OutcomeDoc:
        body: dict[str, object] = {"spec_text": spec_text, **_given(dict(options))}
        return cast(OutcomeDoc, self._call("POST", _at(service, "deploy"), body))

    def plan(self, service: str, spec_text: str, **options: Unpack[DeployOptions]) -> PlanDoc:
        """What ``deploy`` with the same arguments would do; changes nothing."""
        body: dict[str, object] = {"spec_text": spec_text, **_given(dict(options))}
        return cast(PlanDoc, self._call("POST", _at(service, "plan"), body))

    def promote(self, service: str, by: str | None = None) -> OutcomeDoc:
        return self._command(service, "promote", by=by)

    def pause(self, service: str, reason: str = "", by: str | None = None) -> OutcomeDoc:
        return self._command(service, "pause", reason=reason, by=by)

    def resume(self, service: str, by: str | None = None) -> OutcomeDoc:
        return self._command(service, "resume", by=by)

    def abort(self, service: str, reason: str = "", by: str | None = None) -> OutcomeDoc:
        return self._command(service, "abort", reason=reason, by=by)

    def approve(self, service: str, by: str | None = None) -> OutcomeDoc:
        return self._command(service, "approve", by=by)

    def rollback(
        self, service: str, to: str | None = None, by: str | None = None, force: bool = False
    ) -> OutcomeDoc:
        """``to``: id, digest or version of a past release; the previous one when not given."""
        return self._command(service, "rollback", to=to, by=by, force=force)

    def scale(self, service: str, replicas: int, by: str | None = None) -> OutcomeDoc:
        return self._command(service, "scale", replicas=replicas, by=by)

    def restart(self, service: str, by: str | None = None) -> OutcomeDoc:
        return self._command(service, "restart", by=by)

    def down(self, service: str, by: str | None = None) -> OutcomeDoc:
        return cast(OutcomeDoc, self._call("DELETE", _at(service) + _query(by=by)))

    # ---- events

    def events(
        self, service: str | None = None, since: int | None = None, patience_s: float = 0.0
    ) -> Iterator[EventDoc]:
        """Ledger entries from index ``since`` on as they happen, and holds when they change.

        Ends only by an error. A conductor that goes away is waited for up to ``patience_s``; the
        stream then goes on after the last entry seen: nothing is missed, nothing is told twice.
        """
        following = since
        lost_at: float | None = None
        while True:
            try:
                path = "/v1/events" + _query(service=service, since=following)
                for event in self._stream(path):
                    lost_at = None
                    if event["index"] is not None:
                        following = event["index"] + 1
                    yield event
                raise NoConductor("the conductor ended the stream", "is it being restarted?")
            except NoConductor:
                lost_at = time.monotonic() if lost_at is None else lost_at
                if time.monotonic() - lost_at >= patience_s:
                    raise
                time.sleep(0.1)

    def _stream(self, path: str) -> Iterator[EventDoc]:
        connection = self._connection(SILENCE_S_MAX)
        try:
            connection.request("GET", path, headers=self._headers())
            answer = connection.getresponse()
            _check(answer.status, b"" if answer.status == 200 else answer.read())
            yield from _parse_events(answer)
        except (OSError, http.client.HTTPException) as error:
            raise self._nobody(error) from error
        finally:
            connection.close()

    # ---- one exchange

    def _command(self, service: str, verb: str, **body: object) -> OutcomeDoc:
        return cast(OutcomeDoc, self._call("POST", _at(service, verb), _given(body)))

    def _call(
        self, method: str, path: str, body: dict[str, object] | None = None
    ) -> dict[str, Any]:
        return cast(dict[str, Any], json.loads(self._text(method, path, body)))

    def _text(self, method: str, path: str, body: dict[str, object] | None = None) -> str:
        connection = self._connection(LOOK_S_MAX if method == "GET" else ANSWER_S_MAX)
        payload = None if body is None else json.dumps(body).encode()
        try:
            with _told_when_slow(self.slow):
                self._connect(connection)
                connection.request(method, path, payload, self._headers())
                answer = connection.getresponse()
                content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._nobody(error) from error
        finally:
            connection.close()
        _check(answer.status, content)
        return content.decode()

    def _connect(self, connection: http.client.HTTPConnection) -> None:
        """A conductor that was killed is back in a moment when its keeper lives: nothing was
        asked yet, so trying again repeats no command."""
        until = time.monotonic() + RESTART_S_MAX
        while True:
            try:
                return connection.connect()
            except (FileNotFoundError, ConnectionRefusedError):
                connection.close()
                if time.monotonic() > until or not self._is_kept():
                    raise
            time.sleep(0.05)

    def _is_kept(self) -> bool:
        if not isinstance(self.at, Path):
            return False
        home = Home(self.at.parent)
        pids = read_pids(home)
        return pids is not None and is_ours(pids.keeper, home)

    def _connection(self, timeout_s: float) -> http.client.HTTPConnection:
        if isinstance(self.at, Path):
            return _UnixConnection(self.at, timeout_s)
        return http.client.HTTPConnection(self.at, timeout=timeout_s)

    def _headers(self) -> dict[str, str]:
        headers = {"content-type": "application/json", "host": "conductor"}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        return headers

    def _nobody(self, error: Exception) -> NoConductor:
        if isinstance(error, (FileNotFoundError, ConnectionRefusedError)):
            return NoConductor(f"no conductor runs at {self.at}")
        if isinstance(error, PermissionError):
            return NoConductor(f"{self.at} belongs to another user", "use TCP with a token")
        if isinstance(error, TimeoutError):
            says = f"the conductor at {self.at} does not answer"
            log = self.at.with_name("conductor.log") if isinstance(self.at, Path) else "its log"
            return NoConductor(says, f"look into {log}; holdfast up starts it again once it ended")
        return NoConductor(f"the conductor at {self.at} went away: {error}", "holdfast status")


@dataclass(frozen=True, slots=True)
class Pids:
    conductor: int
    keeper: int


def read_pids(home: Home) -> Pids | None:
    """Who wrote ``conductor.pid`` last. They may be dead: the lock file tells."""
    try:
        conductor, keeper = home.pid_file.read_text().split()
        return Pids(int(conductor), int(keeper))
    except (FileNotFoundError, ValueError):
        return None


def is_ours(pid: int, home: Home) -> bool:
    """Whether ``pid`` is a conductor or keeper of this home, and not whoever got a dead one's
    number: that may be the conductor of another home."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"holdfast.conductor.daemon" in words and os.fsencode(home.path) in words


@contextlib.contextmanager
def _told_when_slow(tell: Callable[[], None] | None) -> Iterator[None]:
    if tell is None:
        yield
        return
    timer = threading.Timer(SLOW_S, tell)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _at(service: str, verb: str = "") -> str:
    return f"/v1/services/{quote(service, safe='')}" + (f"/{verb}" if verb else "")


def _given(values: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in values.items() if value is not None}


def _query(**values: object) -> str:
    given = _given(values)
    return "?" + urlencode(given) if given else ""


def _check(status: int, content: bytes) -> None:
    if status < 400:
        return
    try:
        error = json.loads(content)["error"]
        told = ApiError(status, error["code"], error["detail"], error.get("hint", ""))
    except (ValueError, KeyError, TypeError):
        told = ApiError(status, "unreadable", f"HTTP {status}: {content[:200]!r}")
    raise told


def _parse_events(answer: http.client.HTTPResponse) -> Iterator[EventDoc]:
    data: list[str] = []
    while line := answer.readline(EVENT_BYTES_MAX):
        text = line.decode().rstrip("\r\n")
        if text.startswith("data:"):
            data.append(text[5:].strip())
        elif not text and data:
            yield cast(EventDoc, json.loads("\n".join(data)))
            data = []
