"""The reference engine: right decisions, strict HTTP, a clean end, and eleven ways to be bad."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from holdfast.spec.model import Service
from holdfast.targets.local import inherit

pytestmark = pytest.mark.live
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "01-trading-engine"
WEIGHTS = {
    "v1": (0.5, -0.25, 0.125, 0.0, 0.375, -0.5, 0.25, 0.0),
    "v2": (0.5, -0.375, 0.25, 0.125, 0.375, -0.5, 0.125, 0.0),
}
Start = Callable[..., object]


def oracle(rows: np.ndarray, version: str) -> list[int]:
    """The decisions by plain Python, number by number. Features are multiples of 1/8: exact."""
    scores = [sum(float(f) * w for f, w in zip(r, WEIGHTS[version], strict=True)) for r in rows]
    return [1 if score > 0.5 else -1 if score < -0.5 else 0 for score in scores]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_decisions_equal_an_oracle_row_by_row(start_engine, version: str) -> None:
    rows = (np.random.default_rng(5).integers(-24, 24, (2000, 8)) / 8).astype("<f4")
    status, body, who = start_engine("--version", version).decide(rows.tobytes())
    assert (status, who) == (200, version)
    assert list(np.frombuffer(body, np.int8)) == oracle(rows, version)


def test_nan_and_infinity_never_become_a_trade_by_accident(start_engine) -> None:
    rows = np.zeros((3, 8), "<f4")
    rows[0, 0], rows[1, 0], rows[2, 0] = np.nan, np.inf, -np.inf
    engine = start_engine()
    _, body, _ = engine.decide(rows.tobytes())
    assert np.frombuffer(body, np.int8)[0] == 0
    assert engine.get("/health")[0] == 200


@pytest.mark.parametrize("body", [b"", b"x", b"x" * 31, b"x" * 33, b"x" * 1001])
def test_a_body_that_is_not_whole_rows_gets_400_and_the_connection_lives(
    start_engine, body: bytes
) -> None:
    engine = start_engine()
    assert engine.decide(body)[0] == 400
    assert engine.decide(bytes(32))[0] == 200


@pytest.mark.parametrize(
    "sent, status",
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / SPDY/9\r\n\r\n", 400),
        (b"POST /decide HTTP/1.1\r\ncontent-length: -1\r\n\r\n", 400),
        (b"POST /decide HTTP/1.1\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\n", 400),
        (b"POST /decide HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 501),
        (b"POST /decide HTTP/1.1\r\ncontent-length: 99999999\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\nx: " + b"y" * 40_000, 431),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
    ],
)
def test_malformed_http_is_answered_and_closed(start_engine, sent: bytes, status: int) -> None:
    assert start_engine().raw(sent).startswith(b"HTTP/1.1 %d " % status)


def test_pipelined_requests_are_answered_in_order_however_they_are_cut(start_engine) -> None:
    engine = start_engine()
    one = b"POST /decide HTTP/1.1\r\ncontent-length: %d\r\n\r\n"
    batches = [bytes(32 * n) for n in (1, 5, 2, 7)]
    stream = b"".join(one % len(batch) + batch for batch in batches)
    with socket.create_connection(("127.0.0.1", engine.port), timeout=30) as connection:
        for at in range(0, len(stream), 37):
            connection.sendall(stream[at : at + 37])
        got = b""
        while got.count(b"HTTP/1.1 200") < 4 or not got.endswith(bytes(7)):
            got += connection.recv(65536)
    lengths = [int(p.split(b"\r\n")[0]) for p in got.split(b"content-length: ")[1:]]
    assert lengths == [1, 5, 2, 7]


def test_a_slow_answer_does_not_let_a_later_one_overtake(start_engine) -> None:
    engine = start_engine("--fault", "slow")
    stream = b"POST /decide HTTP/1.1\r\ncontent-length: 32\r\n\r\n" + bytes(32)
    stream += b"GET /health HTTP/1.1\r\nconnection: close\r\n\r\n"
    got = engine.raw(stream)
    assert got.index(b"octet-stream") < got.index(b"text/plain")


def test_metrics_count_decisions_and_parse_as_prometheus_text(start_engine) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    engine = start_engine("--version", "v7")
    for rows in (3, 4):
        engine.decide(bytes(32 * rows))
    engine.decide(b"short")
    families = {
        f.name: f for f in text_string_to_metric_families(engine.get("/metrics")[1].decode())
    }
    assert families["engine_decisions"].samples[0].value == 7
    assert families["engine_batches"].samples[0].value == 2
    assert families["engine_refused"].samples[0].value == 1
    assert families["engine_info"].samples[0].labels == {"version": "v7"}
    buckets = [s.value for s in families["engine_decide_seconds"].samples if "bucket" in s.name]
    assert buckets == sorted(buckets) and buckets[-1] == 2


@pytest.mark.req("P3")
def test_sigterm_answers_what_is_in_flight_and_then_ends_with_0(start_engine) -> None:
    engine = start_engine("--fault", "slow", "--amount", "1.5")
    with socket.create_connection(("127.0.0.1", engine.port), timeout=30) as connection:
        connection.sendall(b"POST /decide HTTP/1.1\r\ncontent-length: 32\r\n\r\n" + bytes(32))
        time.sleep(0.5)
        engine.process.send_signal(signal.SIGTERM)
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 200") and b"connection: close" in answer
    assert engine.process.wait(30) == 0


def test_a_draining_engine_refuses_new_connections(start_engine) -> None:
    engine = start_engine("--fault", "slow", "--amount", "2")
    with socket.create_connection(("127.0.0.1", engine.port), timeout=30) as connection:
        connection.sendall(b"POST /decide HTTP/1.1\r\ncontent-length: 32\r\n\r\n" + bytes(32))
        time.sleep(0.5)
        engine.process.send_signal(signal.SIGTERM)
        assert eventually(lambda: refused(engine.port))
        assert connection.recv(100).startswith(b"HTTP/1.1 200")


def eventually(holds, within_s: float = 30.0) -> bool:
    end = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return True
    return False


class TestBadOnPurpose:
    """Each fault does what its name says, or a drill that catches it would prove nothing."""

    def test_exits_at_once(self, start_engine) -> None:
        assert start_engine("--fault", "exits-at-once", listening=False).process.wait(30) == 3

    def test_never_listens_but_obeys_sigterm(self, start_engine) -> None:
        engine = start_engine("--fault", "never-listens", listening=False)
        assert "not listening" in engine.process.stdout.readline()
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", engine.port), timeout=1).close()
        engine.process.terminate()
        assert engine.process.wait(30) == 0

    def test_never_ready_is_healthy_all_the_same(self, start_engine) -> None:
        engine = start_engine("--fault", "never-ready")
        assert engine.get("/ready")[0] == 503 and engine.get("/health")[0] == 200

    def test_crashing_dies_after_its_batches(self, start_engine) -> None:
        engine = start_engine("--fault", "crashing", "--amount", "3")
        assert [engine.decide(bytes(32))[0] for _ in range(3)] == [200] * 3
        with pytest.raises(OSError):
            engine.decide(bytes(32))
        assert engine.process.wait(30) == 70

    def test_errors_5pct_fails_exactly_one_batch_in_twenty(self, start_engine) -> None:
        engine = start_engine("--fault", "errors-5pct")
        answers = [engine.decide(bytes(32))[0] for _ in range(200)]
        assert answers.count(500) == 10 and answers.count(200) == 190

    def test_err500_fails_every_batch_but_looks_healthy(self, start_engine) -> None:
        engine = start_engine("--fault", "err500")
        assert engine.decide(bytes(32))[0] == 500 and engine.get("/ready")[0] == 200

    def test_wrong_version_says_another_one(self, start_engine) -> None:
        assert (
            start_engine("--version", "v3", "--fault", "wrong-version").decide(bytes(32))[2] == "v0"
        )

    def test_wrong_length_answers_one_decision_too_few(self, start_engine) -> None:
        assert len(start_engine("--fault", "wrong-length").decide(bytes(320))[1]) == 9

    def test_wrong_answer_decides_the_opposite(self, start_engine) -> None:
        rows = (np.random.default_rng(5).integers(-24, 24, (500, 8)) / 8).astype("<f4")
        right = np.array(oracle(rows, "v2"))
        _, body, _ = start_engine("--version", "v3", "--fault", "wrong-answer").decide(
            rows.tobytes()
        )
        assert list(np.frombuffer(body, np.int8)) == list(-right)

    def test_leaking_ends_when_it_may_have_no_more_memory(self, start_engine) -> None:
        import resource

        engine = start_engine("--fault", "leaking", "--amount", "20")
        resource.prlimit(engine.process.pid, resource.RLIMIT_DATA, (200_000_000,) * 2)
        with pytest.raises(OSError):
            for _ in range(50):
                engine.decide(bytes(32))
        assert engine.process.wait(30) == 71

    def test_slow_takes_its_time(self, start_engine) -> None:
        began = time.monotonic()
        start_engine("--fault", "slow").decide(bytes(32))
        assert time.monotonic() - began >= 0.05

    def test_leaking_grows(self, start_engine) -> None:
        import psutil

        engine = start_engine("--fault", "leaking", "--amount", "2")
        before = psutil.Process(engine.process.pid).memory_info().rss
        for _ in range(20):
            engine.decide(bytes(32))
        assert psutil.Process(engine.process.pid).memory_info().rss - before > 30_000_000


def test_an_inherited_socket_is_used_instead_of_the_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number, port = listener.fileno(), listener.getsockname()[1]
        engine = [sys.executable, str(EXAMPLE / "engine.py"), "--port", "1"]
        process = subprocess.Popen(
            [sys.executable, str(inherit.__file__), str(number), *engine],
            env={**os.environ, "LISTEN_FDS": "1"},
            pass_fds=(number,),
            stdout=subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            assert f"port {port}".encode() in process.stdout.readline()
        finally:
            process.terminate()
            process.communicate()


@pytest.mark.parametrize("path", sorted(EXAMPLE.rglob("*.yaml")), ids=lambda p: p.stem)
def test_every_spec_of_the_example_is_valid_and_names_a_fault_that_exists(path: Path) -> None:
    spec = Service.model_validate(yaml.safe_load(path.read_text()))
    assert spec.probes.smoke[0].body and len(spec.probes.smoke[0].body) == struct.calcsize("8f")
    if path.parent.name == "bad":
        assert f'"{path.stem}"' in (EXAMPLE / "faults.py").read_text()
        assert str(spec.run.command).endswith(f"--fault {path.stem}")
    program = str(spec.run.command).split()[1]
    assert (path.parent / spec.run.cwd / program).is_file(), "it must be bad in its own way"


def test_ten_lines_are_enough_for_the_whole_set_up() -> None:
    assert len((EXAMPLE / "holdfast.yaml").read_text().splitlines()) == 10
