"""Examples run as anybody would run them: their own program, a port, plain HTTP."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
ENGINE = EXAMPLES / "01-trading-engine"


class Running:
    """A started engine, its port, and one keep-alive connection to it."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process, self.port = process, port
        self.http = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def get(self, path: str) -> tuple[int, bytes]:
        status, body, _ = self.ask("GET", path)
        return status, body

    def decide(self, body: bytes) -> tuple[int, bytes, str]:
        return self.ask("POST", "/decide", body)

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes, str]:
        self.http.request(method, path, body)
        answer = self.http.getresponse()
        return answer.status, answer.read(), answer.headers["x-version"]

    def raw(self, sent: bytes, until_closed: bool = True) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(sent)
            got = b""
            while data := connection.recv(65536):
                got += data
                if not until_closed:
                    break
            return got


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


Start = Callable[..., Running]


@pytest.fixture
def start_engine() -> Iterator[Start]:
    started: list[Running] = []

    def start(*options: str, listening: bool = True) -> Running:
        port = free_port()
        command = [sys.executable, str(ENGINE / "engine.py"), "--port", str(port), *options]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        started.append(Running(process, port))
        if listening:
            assert process.stdout is not None
            assert "listens on port" in process.stdout.readline()
        return started[-1]

    yield start
    for each in started:
        each.http.close()
        each.process.kill()
        each.process.wait()
        if each.process.stdout is not None:
            each.process.stdout.close()


def wait_until(holds: Callable[[], bool], within_s: float = 60.0) -> bool:
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
