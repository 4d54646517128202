"""kill -9 of a replica, of Envoy, of the conductor: each heals, and nobody stops anybody."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time

import pytest

from holdfast.rollout.model import Route, Scale
from holdfast.targets.base import Fault

pytestmark = [
    pytest.mark.live,
    pytest.mark.parametrize("stage", ["cold", "warm"], indirect=True),
]


@pytest.mark.req("P3")
def test_a_killed_replica_is_replaced_and_costs_at_most_what_was_in_flight(
    stage, load, wait_until, fleet_in
):
    async def scenario():
        async with stage.serving(2) as target, load(stage.port) as traffic:
            await asyncio.sleep(0.2)
            before = stage.processes()
            async with target.suffer(Fault("kill-replica", "v1/0")):
                pass
            await wait_until(target, lambda look: fleet_in(look, "v1").ready < 2)
            look, took = await wait_until(target, lambda look: fleet_in(look, "v1").ready == 2)
            await asyncio.sleep(0.1)
            return traffic, before, stage.processes(), fleet_in(look, "v1").restarts, took

    traffic, before, after, restarts, took = asyncio.run(scenario())
    assert before["v1/0"] != after["v1/0"] and before["v1/1"] == after["v1/1"]
    assert restarts == 1
    assert took < 30
    assert traffic.failed <= 6, traffic.seen  # six connections, one request each in flight


def test_the_same_healing_works_in_the_event_loop_the_conductor_uses(stage, wait_until, fleet_in):
    uvloop = pytest.importorskip("uvloop")

    async def scenario():
        async with stage.serving(1) as target:
            async with target.suffer(Fault("kill-replica")):
                pass
            await wait_until(target, lambda look: fleet_in(look, "v1").restarts == 1)
            look, _ = await wait_until(target, lambda look: fleet_in(look, "v1").ready == 1)
            return fleet_in(look, "v1").restarts, (await stage.get("/")).status

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(scenario()) == (1, 200)


@pytest.mark.req("T43")
def test_a_killed_replica_costs_nothing_when_requests_may_be_repeated(
    stage, load, wait_until, fleet_in
):
    async def scenario():
        traffic_spec = {"idempotent": True}
        async with stage.serving(2, traffic=traffic_spec) as target, load(stage.port) as traffic:
            for _ in range(2):
                async with target.suffer(Fault("kill-replica")):
                    await wait_until(target, lambda look: fleet_in(look, "v1").ready < 2)
                await wait_until(target, lambda look: fleet_in(look, "v1").ready == 2)
        return traffic

    traffic = asyncio.run(scenario())
    assert traffic.seen["200"] > 100
    assert traffic.failed == 0, traffic.seen


def test_a_hung_replica_is_found_by_its_liveness_probe_and_replaced(stage, wait_until, fleet_in):
    live = {"path": "/live", "every": "0.1s", "timeout": "0.2s", "failures": 2}

    async def scenario():
        async with stage.serving(2, probes={"ready": "/ready", "live": live}) as target:
            before = stage.processes()
            async with target.suffer(Fault("hang-replica", "v1/1")):
                await wait_until(target, lambda look: stage.processes() != before)
                look, _ = await wait_until(target, lambda look: fleet_in(look, "v1").ready == 2)
            return before, stage.processes(), fleet_in(look, "v1").restarts

    before, after, restarts = asyncio.run(scenario())
    assert before["v1/0"] == after["v1/0"] and before["v1/1"] != after["v1/1"]
    assert restarts == 1


def test_a_killed_envoy_comes_back_with_the_same_routes(stage, wait_until, fleet_in):
    async def scenario():
        async with stage.serving(1) as target:
            await stage.deploy(target, stage.bundle("v2"), 1)
            await target.perform(Route((("v1", 0), ("v2", 100)), 1))
            before, replicas = stage.envoy(), stage.processes()
            async with target.suffer(Fault("kill-envoy")):
                began = time.monotonic()
                dark = await target.observe()  # waits for news instead of calling everybody dead
                assert [each.ready for each in dark.fleets] == [1, 1]
            while True:
                try:
                    answer = await stage.get("/")
                    break
                except OSError:
                    assert time.monotonic() - began < 30
                    await asyncio.sleep(0.005)
            look = await target.observe()
            assert target.envoy.restarts == 1
            assert stage.processes() == replicas
            return before, stage.envoy(), answer, look

    before, after, answer, look = asyncio.run(scenario())
    assert before != after
    assert answer.headers["x-holdfast-release"] == "v2"
    assert look.weights == (("v1", 0), ("v2", 100))
    assert [each.ready for each in look.fleets] == [1, 1]


def test_a_target_that_let_go_is_continued_by_the_next_one(stage, load, wait_until, fleet_in):
    async def scenario():
        async with stage.serving(2):
            before = (stage.envoy(), stage.processes())
        async with load(stage.port) as traffic:
            await asyncio.sleep(0.1)
            async with stage.target() as successor:
                look = await successor.observe()
                after = (stage.envoy(), stage.processes())
                await successor.perform(Scale("v1", 3, 2))
                await wait_until(successor, lambda look: fleet_in(look, "v1").ready == 3)
        return before, after, look, traffic

    before, after, look, traffic = asyncio.run(scenario())
    assert before == after
    assert (look.weights, look.fleets[0].ready) == ((("v1", 100),), 2)
    assert traffic.failed == 0, traffic.seen


@pytest.mark.parametrize("protocol", ["http1", "tcp"])
def test_lost_orders_are_read_from_what_runs_and_nobody_is_stopped(stage, protocol):
    async def scenario():
        async with stage.serving(2, traffic={"protocol": protocol}):
            before = (stage.envoy(), stage.processes())
        (stage.root / "standing.json").write_text("half a fi")
        async with stage.target() as successor:
            look = await successor.observe()
            await asyncio.sleep(0.2)
            after = (stage.envoy(), stage.processes())
            return before, after, look, (await stage.get("/")).status

    before, after, look, status = asyncio.run(scenario())
    assert before == after
    assert (look.weights, look.fleets[0].ready) == ((("v1", 100),), 2)
    assert status == 200


def test_what_died_while_nobody_looked_is_started_again_with_the_same_routes(
    stage, wait_until, fleet_in
):
    async def scenario():
        async with stage.serving(2):
            before = stage.processes()
            envoy = stage.envoy()
        for pid in (envoy, before["v1/0"]):
            os.kill(pid, signal.SIGKILL)
            stage.wait_for_end(pid)
        async with stage.target() as successor:
            await wait_until(successor, lambda look: fleet_in(look, "v1").ready == 2)
            return before, stage.processes(), (await stage.get("/")).status

    before, after, status = asyncio.run(scenario())
    assert before["v1/1"] == after["v1/1"] and before["v1/0"] != after["v1/0"]
    assert status == 200


CONDUCTOR = """
import asyncio, sys
from pathlib import Path
from holdfast.rollout.model import Scale, Route
from holdfast.runtime.clock import LoopClock
from holdfast.targets.local import LocalTarget
async def main():
    target = LocalTarget("svc", Path(sys.argv[1]), LoopClock())
    await target.perform(Scale("v1", 2, 5))
    while (await target.observe()).fleets[0].ready < 2:
        await asyncio.sleep(0.01)
    await target.perform(Route((("v1", 100),), 5, (("v1", 2),)))
    print("up", flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


@pytest.mark.req("P3")
def test_kill_dash_nine_of_the_conductor_stops_nobody_and_its_successor_takes_over(
    stage, load, wait_until, fleet_in
):
    async def prepare():
        async with stage.target() as target:
            await target.prepare(stage.bundle("v1"))

    async def scenario():
        async with load(stage.port) as traffic:
            os.kill(conductor.pid, signal.SIGKILL)
            conductor.wait()
            await asyncio.sleep(0.2)
            async with stage.target() as successor:
                look = await successor.observe()
                after = (stage.envoy(), stage.processes())
                os.kill(stage.processes()["v1/0"], signal.SIGKILL)  # not our child
                await wait_until(successor, lambda look: fleet_in(look, "v1").restarts == 1)
                await wait_until(successor, lambda look: fleet_in(look, "v1").ready == 2)
                await successor.perform(Scale("v1", 0, 6))
                await wait_until(successor, lambda look: not look.fleets)
        return look, after, traffic

    asyncio.run(prepare())
    conductor = subprocess.Popen(
        [sys.executable, "-c", CONDUCTOR, str(stage.home)], stdout=subprocess.PIPE
    )
    with conductor:
        assert conductor.stdout is not None and conductor.stdout.readline() == b"up\n"
        before = (stage.envoy(), stage.processes())
        look, after, traffic = asyncio.run(scenario())
    assert before == after
    assert look.fleets[0].ready == 2
    assert traffic.seen["200"] > 50
    assert stage.processes() == {}


def test_an_instance_whose_record_was_never_written_is_found_and_ended(stage):
    async def scenario():
        async with stage.serving(1):
            pid = stage.processes()["v1/0"]
        (stage.root / "run" / "v1" / "0.json").unlink()
        async with stage.target() as successor:
            await successor.observe()
            await asyncio.sleep(0.1)
            return pid, stage.processes().get("v1/0")

    lost, new = asyncio.run(scenario())
    assert new != lost
    stage.wait_for_end(lost)


def test_a_drain_survives_the_supervisor_that_began_it(stage, wait_until, fleet_in):
    """A surplus instance found at take-over is drained, not killed with its work."""

    async def scenario():
        async with stage.serving(1) as target:
            await stage.deploy(target, stage.bundle("v2"), 1)
            await target.perform(Route((("v2", 100),), 1))
            await target.perform(Route((("v1", 100),), 1))
            slow = asyncio.create_task(stage.get("/slow"))
            await wait_until(target, lambda look: fleet_in(look, "v1").in_flight == 1)
            await target.perform(Route((("v2", 100),), 1))
            await target.perform(Scale("v1", 0, 1))
        async with stage.target() as successor:
            look = await successor.observe()
            answer = await slow
            await wait_until(successor, lambda look: not fleet_in(look, "v1").size)
            return look, answer

    look, answer = asyncio.run(scenario())
    assert {each.release for each in look.fleets} == {"v1", "v2"}
    assert (answer.status, answer.body) == (200, b"v1")


@pytest.mark.req("I5")
def test_an_envoy_that_serves_but_cannot_be_asked_any_more_is_started_afresh(
    stage, wait_until, fleet_in, monkeypatch
):
    """Its admin socket was swept away: without an answer nothing could ever be deployed again."""
    monkeypatch.setattr("holdfast.targets.local.envoy.UNREACHABLE_S_MAX", 0.5)

    async def scenario():
        async with stage.serving(1) as target:
            before = stage.envoy()
            os.unlink(target.envoy.places.admin)
            target.envoy.admin.close()
            async with asyncio.timeout(60):
                while stage.envoy() == before:
                    await asyncio.sleep(0.1)
            await wait_until(target, lambda look: fleet_in(look, "v1").ready == 1)
            await target.perform(Route((("v1", 100),), 1))
            return (await stage.get("/")).status

    assert asyncio.run(scenario()) == 200
