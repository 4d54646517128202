"""Can a drill be fooled? Liars, droppers and slow witnesses, each of which must be found out."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from holdfast.drills import catalog, oracle
from holdfast.drills.meters import Load, LoadPlan
from holdfast.drills.promises import Finding, Noise, catalogue
from holdfast.drills.record import Record
from holdfast.drills.session import ENGINE_PROMISES

ENGINE = Path(__file__).resolve().parents[2] / "examples" / "01-trading-engine"
PROMISES = catalogue(ENGINE_PROMISES)
ROWS = 50
Drive = Callable[..., Record]


def says(version: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nX-Version: {version}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def lost(record: Record) -> Finding:
    noise = Noise(lag_p99_ms=record.lag_ms(), held_rate=record.held_rate())
    return catalog.lost_requests(PROMISES["P3"], "d", record, (), noise)


@pytest.mark.parametrize("version", ["v1", "v2", "v7"])
def test_the_oracle_and_the_engine_decide_the_same(version: str, monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(ENGINE))
    monkeypatch.delitem(sys.modules, "decisions", raising=False)
    import decisions

    told, _pnl = decisions.Model(version).decide(oracle.batch(5000))
    right, right_else = oracle.answers(5000)
    assert told == right.get(version, right_else)


def test_the_versions_can_be_told_apart_by_their_answers() -> None:
    right, right_else = oracle.answers(ROWS)
    assert right["v1"] != right_else
    assert set(np.frombuffer(right_else, np.int8)) == {-1, 0, 1}


@pytest.mark.live
@pytest.mark.req("P3")
def test_a_data_plane_that_drops_one_request_in_10_000_breaks_the_promise(
    serve, drive: Drive
) -> None:
    server = serve(lambda n: None if n == 7777 else says("v1", b"ok"))
    record = drive(server.port, rate=1500.0, duration=7.0, connections=8, timeout=5.0)
    assert record.requests() == server.served >= 10_000
    assert record.failures() == {"reset": 1}
    assert lost(record).mark == "broken"


@pytest.mark.live
@pytest.mark.req("P3")
def test_a_liar_who_gives_v1_s_answer_under_v2_s_name_is_found_out_from_its_first_answer_on(
    serve, drive: Drive
) -> None:
    right, _newest = oracle.answers(ROWS)
    liar = says("v2", right["v1"])
    record = drive(serve(lambda _n: liar).port, rows=ROWS, method="POST", path="/decide")
    assert record.failures() == {"wrong-answer": record.requests()}
    assert lost(record).mark == "broken"


@pytest.mark.live
def test_the_right_answers_of_both_versions_are_no_failure(serve, drive: Drive) -> None:
    right, newest = oracle.answers(ROWS)
    server = serve(lambda n: says("v2", newest) if n % 3 else says("v1", right["v1"]))
    record = drive(server.port, rows=ROWS, method="POST", path="/decide")
    assert record.answered_by().keys() == {"v1", "v2"}
    assert record.failures() == {}


@pytest.mark.live
def test_two_answers_to_one_request_are_a_failure_and_the_next_request_does_not_get_the_second(
    serve, drive: Drive
) -> None:
    server = serve(lambda n: says("v1", b"ok") * (2 if n == 50 else 1))
    record = drive(server.port)
    assert record.failures() == {"surplus": 1}


@pytest.mark.live
@pytest.mark.req("P6")
def test_a_generator_that_could_not_hold_its_schedule_makes_the_run_void(
    serve, tmp_path: Path
) -> None:
    """The load process is stopped again and again, as by a hypervisor; the server is well."""
    plan = LoadPlan(serve(lambda _n: says("v1", b"ok")).port, rate=200.0, rows=0, method="GET")
    with Load(plan, tmp_path / "load.npz", None) as load:
        load.wait_until_flowing(20)
        for _ in range(5):
            load.process.send_signal(signal.SIGSTOP)
            time.sleep(0.15)
            load.process.send_signal(signal.SIGCONT)
            time.sleep(0.1)
        record = load.stop()
    assert record.failures() == {}
    assert record.held_rate() < 0.9
    found = lost(record)
    assert found.mark == "void" and "schedule" in str(found.void)
