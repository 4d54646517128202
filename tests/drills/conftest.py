"""A server whose every answer is known, and a load process against it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from holdfast.drills.meters import Load, LoadPlan
from holdfast.drills.record import Record

Script = Callable[[int], bytes | None]  # request number -> answer; None: close without one


class KnownServer:
    """One thread a connection, requests of ``size`` bytes, answers by script."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.served = 0
        self.lock = threading.Lock()
        self.stalled_until = 0.0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.open: list[socket.socket] = [self.listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def stall(self, seconds: float) -> None:
        """Answer nobody for a while, as a process does that collects garbage."""
        self.stalled_until = time.monotonic() + seconds

    def close(self) -> None:
        for each in list(self.open):
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            pending = b""
            while True:
                try:
                    data = connection.recv(65536)
                except OSError:
                    return
                if not data:
                    return
                pending += data
                while (end := pending.find(b"\r\n\r\n")) >= 0:
                    pending = pending[end + 4 :]
                    if not self._answer(connection):
                        return

    def _answer(self, connection: socket.socket) -> bool:
        with self.lock:
            number = self.served
            self.served += 1
        time.sleep(max(0.0, self.stalled_until - time.monotonic()))
        reply = self.script(number)
        if reply is None:
            return False
        try:
            connection.sendall(reply)
        except OSError:
            return False
        return True


@pytest.fixture
def serve() -> Iterator[Callable[[Script], KnownServer]]:
    started: list[KnownServer] = []

    def start(script: Script) -> KnownServer:
        started.append(KnownServer(script))
        return started[-1]

    yield start
    for server in started:
        server.close()


@pytest.fixture
def drive(tmp_path: Path) -> Callable[..., Record]:
    """Run the real load process for its whole schedule."""

    def run(port: int, **options: object) -> Record:
        usual = {"rate": 400.0, "duration": 0.5, "connections": 4, "timeout": 1.0}
        usual |= {"rows": 0, "method": "GET", "path": "/"}
        plan = LoadPlan(port, **{**usual, **options})
        with Load(plan, tmp_path / "load.npz", None) as load:
            load.process.wait(30)
            return load.stop()

    return run


@contextmanager
def unused_port() -> Iterator[int]:
    """A port that is taken but where nobody listens: connecting is refused."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
def deaf_port() -> Iterator[int]:
    with unused_port() as port:
        yield port
