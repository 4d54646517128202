"""The load generator counts every request, names every failure, and never hides a wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from holdfast.drills.meters import Load, LoadPlan
from holdfast.drills.record import Record

pytestmark = pytest.mark.live

GOOD = b"HTTP/1.1 200 OK\r\nX-Version: v1\r\nContent-Length: 2\r\n\r\nok"
Drive = Callable[..., Record]


def answer(status: int = 200, body: bytes = b"ok", version: str = "v1") -> bytes:
    head = f"HTTP/1.1 {status} Word\r\nX-Version: {version}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def test_every_scheduled_request_is_sent_and_counted_once(serve, drive: Drive) -> None:
    server = serve(lambda _n: GOOD)
    record = drive(server.port, rate=400.0, duration=0.5)
    assert record.requests() == server.served == 201
    assert record.failures() == {}
    assert record.answered_by() == {"v1": 201}


@pytest.mark.req("P6")
def test_a_stall_of_300_ms_is_seen_by_every_request_intended_during_it(serve, drive: Drive) -> None:
    """Coordinated omission: a closed loop of 4 connections would see only 4 slow requests."""
    server = serve(lambda _n: GOOD)
    threading.Timer(1.0, server.stall, (0.3,)).start()
    record = drive(server.port, rate=400.0, duration=2.5, connections=4)
    took = record.latencies_ms()
    slow = int((took > 50).sum())
    assert record.failures() == {}
    assert 75 <= slow <= 200, "about 100 requests were intended in the 250 ms before the last 50"
    assert 250 <= took.max() <= 600


def test_failures_are_named_by_what_went_wrong(serve, drive: Drive) -> None:
    script = {10: None, 20: answer(503), 30: answer(500), 40: b"nonsense\r\n\r\n", 50: answer(404)}
    server = serve(lambda n: script.get(n, GOOD))
    record = drive(server.port)
    assert record.failures() == {
        "reset": 1, "http-503": 1, "http-500": 1, "malformed": 1, "http-404": 1,
    }  # fmt: skip


def test_nobody_listening_is_a_refusal_of_every_request(deaf_port: int, drive: Drive) -> None:
    record = drive(deaf_port, rate=200.0, duration=0.3)
    assert record.failures() == {"refused": record.requests()}


def test_a_server_that_never_answers_is_a_timeout_of_every_request(serve, drive: Drive) -> None:
    server = serve(lambda _n: b"")
    record = drive(server.port, rate=100.0, duration=0.5, timeout=0.3, connections=2)
    assert record.failures() == {"timeout": record.requests()}
    assert record.latencies_ms().min() >= 290


def test_another_version_than_those_allowed_is_a_failure(serve, drive: Drive) -> None:
    server = serve(lambda n: answer(version="v9" if n == 7 else "v1"))
    record = drive(server.port, versions="v1,v2")
    assert record.failures() == {"wrong-version": 1}
    assert record.answered_by()["v9"] == 1


def test_the_moment_of_a_version_s_last_answer_is_on_the_clock_of_this_process(
    serve, drive: Drive
) -> None:
    switched: list[float] = []

    def script(number: int) -> bytes:
        if number == 100:
            switched.append(time.monotonic())
        return answer(version="v1" if number < 100 else "v2")

    record = drive(serve(script).port, rate=300.0, duration=0.8)
    last, first = record.last_answer("v1"), record.first_answer("v2")
    assert last is not None and first is not None
    assert last - switched[0] == pytest.approx(0, abs=0.05)
    assert first - switched[0] == pytest.approx(0, abs=0.05)


def test_a_connection_closed_between_requests_costs_nothing(serve, drive: Drive) -> None:
    closing = GOOD.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    server = serve(lambda n: closing if n % 10 == 0 else GOOD)
    assert drive(server.port).failures() == {}


def test_chunked_answers_are_understood(serve, drive: Drive) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    record = drive(serve(lambda _n: chunked).port)
    assert record.failures() == {}


def test_plain_tcp_lines_are_requests_too(serve, drive: Drive) -> None:
    import base64

    server = serve(lambda _n: b"+PONG\r\n")
    body = base64.b64encode(b"PING\r\n\r\n").decode()
    record = drive(server.port, protocol="tcp", body=body)
    assert record.failures() == {}
    assert record.answered_by() == {"+PONG": record.requests()}


def test_stop_ends_the_schedule_and_keeps_what_was_counted(serve, tmp_path: Path) -> None:
    server = serve(lambda _n: GOOD)
    plan = LoadPlan(server.port, rate=200.0, rows=0, method="GET", path="/")
    with Load(plan, tmp_path / "load.npz", None) as load:
        load.wait_until_flowing(requests=20)
        record = load.stop()
    assert record.requests() == server.served >= 20
    assert load.process.returncode == 0


def test_a_dead_parent_ends_the_generator(serve, tmp_path: Path) -> None:
    server = serve(lambda _n: GOOD)
    plan = LoadPlan(server.port, rate=50.0, rows=0, method="GET", path="/")
    with Load(plan, tmp_path / "load.npz", None) as load:
        load.wait_until_flowing(requests=5)
        assert load.process.stdin is not None
        load.process.stdin.close()  # what the kernel does when the parent is gone
        assert load.process.wait(10) == 0


def test_the_intended_instants_do_not_move_when_answers_are_late(serve, drive: Drive) -> None:
    server = serve(lambda _n: GOOD)
    threading.Timer(0.8, server.stall, (0.2,)).start()
    record = drive(server.port, rate=200.0, duration=1.5, connections=1)
    assert np.allclose(np.diff(record.intended), 1 / 200)
    assert record.requests() == 301
