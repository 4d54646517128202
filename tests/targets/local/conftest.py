"""A stage for live tests: tiny real programs, a local target, and a load that counts failures."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import textwrap
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from holdfast.rollout.model import FleetSeen, Release, Route, Scale
from holdfast.runtime.clock import LoopClock
from holdfast.spec.model import Service
from holdfast.targets.base import Bundle, Look, Unreachable
from holdfast.targets.local import LocalTarget, wire
from holdfast.targets.local.process import Identity

SERVER = """
    import http.server, json, os, sys, time, signal
    VERSION = os.environ.get("HOLDFAST_VERSION", "?")
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 65536
        def do_GET(self):
            status, body = self.answer(self.path.partition("?")[0])
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.send_header("x-version", os.environ.get("SAYS", VERSION))
            self.end_headers()
            self.wfile.write(body)
        do_POST = do_GET
        def answer(self, path):
            if path == "/slow":
                time.sleep(0.5)
            if path == "/broken" or os.environ.get("BROKEN") == path:
                return 500, b"broken"
            if path == "/where":
                return 200, os.environ["HOLDFAST_REPLICA"].encode()
            if path == "/die":
                os.kill(os.getpid(), signal.SIGKILL)
            if path == "/hang-up":
                self.connection.shutdown(2)
            return 200, VERSION.encode()
        def log_message(self, *args):
            pass
    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128
    if __name__ == "__main__":
        print("listening soon", flush=True)
        Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


class Stage:
    """One service on this machine, in a directory of its own."""

    def __init__(self, directory: Path, start: str = "cold") -> None:
        self.directory, self.start = directory, start
        self.home = directory / ".holdfast"
        self.port = free_port()
        self.root = self.home / "services" / "svc"
        self.program("server.py", SERVER)

    def program(self, name: str, text: str) -> str:
        """Write a Python program; the answer is the command that runs it."""
        (self.directory / name).write_text(textwrap.dedent(text))
        return f"{sys.executable} -S {name}"

    def bundle(self, version: str = "v1", **spec) -> Bundle:
        spec = {
            "service": "svc",
            "run": f"{sys.executable} -S server.py",
            "probes": {"ready": "/ready", "start_within": "30s"},
            "rollout": {"drain": "3s"},
            **spec,
        }
        if self.start != "cold":
            run = spec["run"] if isinstance(spec["run"], dict) else {"command": spec["run"]}
            spec["run"] = {"start": self.start, **run}
        traffic = spec.pop("traffic", {})
        service = Service.model_validate({**spec, "traffic": {"port": self.port, **traffic}})
        return Bundle(Release(version, version.ljust(64, "0"), version), service)

    @contextlib.asynccontextmanager
    async def target(self) -> AsyncIterator[LocalTarget]:
        target = LocalTarget("svc", self.home, LoopClock())
        try:
            yield target
        finally:
            await target.aclose()

    @contextlib.asynccontextmanager
    async def serving(self, replicas: int = 2, **spec) -> AsyncIterator[LocalTarget]:
        """v1 has all traffic."""
        async with self.target() as target:
            await self.deploy(target, self.bundle("v1", **spec), replicas)
            await target.perform(Route((("v1", 100),), 1))
            yield target

    async def deploy(self, target: LocalTarget, bundle: Bundle, replicas: int) -> None:
        await target.prepare(bundle)
        await target.perform(Scale(bundle.release.id, replicas, 1))
        await until(target, lambda look: fleet(look, bundle.release.id).ready == replicas)

    async def get(self, path: str = "/", **headers: str) -> wire.Answer:
        return await fetch(self.port, path, **headers)

    def processes(self) -> dict[str, int]:
        """pids by release/index, as the records say."""
        found = {}
        for path in sorted((self.root / "run").glob("*/*.json")):
            with contextlib.suppress(OSError, ValueError):
                record = json.loads(path.read_text())
                found[f"{record['release']}/{record['replica']}"] = record["identity"]["pid"]
        return found

    def envoy(self) -> int:
        return json.loads((self.root / "envoy" / "process.json").read_text())["pid"]

    def wait_for_end(self, pid: int, within: float = 5.0) -> None:
        """Of a child or of somebody else's: then its corpse is none of our business."""
        deadline = time.monotonic() + within
        while Identity.of(pid) is not None:
            assert time.monotonic() < deadline, f"{pid} goes on"
            time.sleep(0.01)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)

    def clear(self) -> None:
        """Envoy first: nobody may be left, whatever the test did."""
        pids = list(self.processes().values())
        with contextlib.suppress(OSError):
            pids.append(self.envoy())
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


class Load:
    """Closed loop over keep-alive connections; every answer that is not 200 is kept by kind."""

    def __init__(self, port: int, path: str = "/", workers: int = 6) -> None:
        self.seen: Counter[str] = Counter()
        self.releases: Counter[str] = Counter()
        self._port, self._path, self._workers = port, path, workers

    async def __aenter__(self) -> Load:
        self._going = True
        self._tasks = [asyncio.create_task(self._work()) for _ in range(self._workers)]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._going = False
        await asyncio.wait(self._tasks)

    async def _work(self) -> None:
        while self._going:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                try:
                    await self._requests(reader, writer)
                finally:
                    writer.close()
            except (OSError, wire.NotHttp) as error:
                self.seen[type(error).__name__] += 1
                await asyncio.sleep(0.002)

    async def _requests(self, reader, writer) -> None:
        while self._going:
            answer = await wire.exchange(reader, writer, wire.request("GET", self._path))
            self.seen[str(answer.status)] += 1
            self.releases[answer.headers.get("x-holdfast-release", "?")] += 1
            await asyncio.sleep(0.002)

    @property
    def failed(self) -> int:
        return self.seen.total() - self.seen["200"]


async def fetch(port: int, path: str = "/", method: str = "GET", **headers: str) -> wire.Answer:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = wire.request(method, path, {"connection": "close", **names})
        return await asyncio.wait_for(wire.exchange(reader, writer, sent), 10)
    finally:
        writer.close()


def fleet(look: Look, release: str) -> FleetSeen:
    return next((each for each in look.fleets if each.release == release), FleetSeen(release))


async def until(
    target: LocalTarget, holds: Callable[[Look], bool], within: float = 60.0
) -> tuple[Look, float]:
    """The first look for which it holds, and how many seconds that took."""
    began, look = time.monotonic(), None
    while True:
        with contextlib.suppress(Unreachable):  # an Envoy that starts on a loaded machine
            look = await target.observe()
        took = time.monotonic() - began
        if look is not None and holds(look):
            return look, took
        assert took < within, f"not within {within} s: {look}"
        await asyncio.sleep(0.01)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@pytest.fixture
def stage(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Stage]:
    stage = Stage(tmp_path, getattr(request, "param", "cold"))
    yield stage
    stage.clear()


@pytest.fixture
def load() -> type[Load]:
    return Load


@pytest.fixture
def wait_until() -> Callable[..., Awaitable[tuple[Look, float]]]:
    return until


@pytest.fixture
def fleet_in() -> Callable[[Look, str], FleetSeen]:
    return fleet
