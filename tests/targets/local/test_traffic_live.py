"""Real replicas behind a real Envoy: shifting traffic loses nothing."""

from __future__ import annotations

import asyncio
import time

import pytest

from holdfast.rollout.model import Route, Scale

pytestmark = pytest.mark.live


@pytest.mark.req("P3", "T44")
def test_adding_shifting_and_removing_under_load_fails_no_request(
    stage, load, wait_until, fleet_in
):
    async def scenario():
        async with stage.serving(2) as target, load(stage.port) as traffic:
            await stage.deploy(target, stage.bundle("v2"), 2)
            for share in (10, 50, 100, 40, 100):
                await target.perform(Route((("v1", 100 - share), ("v2", share)), 1))
                await asyncio.sleep(0.15)
            await target.perform(Scale("v1", 0, 1))
            await wait_until(target, lambda look: not fleet_in(look, "v1").size)
            await target.perform(Scale("v2", 4, 1))
            await wait_until(target, lambda look: fleet_in(look, "v2").ready == 4)
            await target.perform(Scale("v2", 1, 1))
            await wait_until(target, lambda look: fleet_in(look, "v2").size == 1)
        return traffic

    traffic = asyncio.run(scenario())
    assert traffic.seen["200"] > 300
    assert traffic.failed == 0, traffic.seen
    assert traffic.releases["v1"] and traffic.releases["v2"]


@pytest.mark.req("P2")
def test_a_route_takes_effect_before_perform_returns(stage, load):
    async def scenario():
        async with stage.serving(1) as target:
            await stage.deploy(target, stage.bundle("v2"), 1)
            answers = []
            for release in ("v2", "v1") * 5:
                began = time.perf_counter()
                await target.perform(Route(((release, 100),), 1))
                took = time.perf_counter() - began
                answer = await stage.get("/")
                answers.append((release, answer.headers["x-holdfast-release"], took))
            return answers

    answers = asyncio.run(scenario())
    assert all(wanted == got for wanted, got, _ in answers), answers
    assert sorted(took for *_, took in answers)[5] < 5


def test_a_look_is_quick_and_counts_the_acknowledged_weights(stage):
    async def scenario():
        async with stage.serving(2) as target:
            await stage.deploy(target, stage.bundle("v2"), 1)
            await target.perform(Route((("v1", 75), ("v2", 25)), 1))
            times = []
            for _ in range(30):
                began = time.perf_counter()
                look = await target.observe()
                times.append(time.perf_counter() - began)
            return look, sorted(times)[15]

    look, median = asyncio.run(scenario())
    assert look.weights == (("v1", 75), ("v2", 25))
    assert [(each.release, each.ready) for each in look.fleets] == [("v1", 2), ("v2", 1)]
    assert look.drift is None
    assert median < 1  # 0.5 ms on a quiet machine


@pytest.mark.req("P3")
def test_work_in_flight_is_finished_before_an_instance_is_stopped(stage, wait_until, fleet_in):
    async def scenario():
        async with stage.serving(1) as target:
            await stage.deploy(target, stage.bundle("v2"), 1)
            slow = asyncio.create_task(stage.get("/slow"))
            await wait_until(target, lambda look: fleet_in(look, "v1").in_flight == 1)
            await target.perform(Route((("v2", 100),), 1))
            await target.perform(Scale("v1", 0, 1))
            look, _ = await wait_until(target, lambda look: fleet_in(look, "v1").draining == 1)
            answer = await slow
            await wait_until(target, lambda look: not fleet_in(look, "v1").size)
            return fleet_in(look, "v1").in_flight, answer

    in_flight, answer = asyncio.run(scenario())
    assert in_flight == 1
    assert (answer.status, answer.body) == (200, b"v1")


def test_work_that_never_ends_is_cut_at_the_drain_deadline(stage, wait_until, fleet_in):
    long = stage.program(
        "long.py",
        """
        import os, socket
        server = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
        kept = []
        while True:
            kept.append(server.accept()[0])
        """,
    )
    spec = {"run": long, "traffic": {"protocol": "tcp"}, "probes": {}, "rollout": {"drain": "0.3s"}}

    async def scenario():
        async with stage.serving(2, **spec) as target:
            reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
            await wait_until(target, lambda look: fleet_in(look, "v1").in_flight == 1)
            await stage.deploy(target, stage.bundle("v2", **spec), 1)
            await target.perform(Route((("v2", 100),), 1))
            began = time.monotonic()
            await target.perform(Scale("v1", 0, 1))
            assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()
            return time.monotonic() - began

    assert 0.25 < asyncio.run(scenario()) < 3


def test_counters_tell_requests_errors_and_slow_answers_by_release(stage):
    spec = {"promises": {"p99": "100ms"}, "traffic": {"retries": 0}}

    async def scenario():
        async with stage.serving(1, **spec) as target:
            for path in ("/", "/", "/broken", "/slow"):
                await stage.get(path)
            return await target.counters()

    (name, counts), *others = asyncio.run(scenario()).items()
    assert (name, others) == ("v1", [])
    assert (counts.requests, counts.errors, counts.slow) == (4, 1, 1)


@pytest.mark.req("T43")
def test_a_failure_hidden_by_a_retry_still_counts_as_an_error(stage):
    flaky = stage.program(
        "flaky.py",
        (stage.directory / "server.py")
        .read_text()
        .replace('if path == "/slow"', 'if path == "/flaky" and not self.lucky()', 1)
        .replace("time.sleep(0.5)", 'return 503, b""', 1)
        .replace(
            "def log_message",
            "count = 0\n    def lucky(self):\n        Handler.count += 1\n"
            "        return Handler.count % 2 == 0\n    def log_message",
        ),
    )

    async def scenario():
        traffic = {"idempotent": True, "retries": 2}
        async with stage.serving(1, run=flaky, traffic=traffic) as target:
            answers = [(await stage.get("/flaky")).status for _ in range(5)]
            return answers, await target.counters()

    answers, counts = asyncio.run(scenario())
    assert answers == [200] * 5
    assert (counts["v1"].requests, counts["v1"].errors) == (10, 5)
