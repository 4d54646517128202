"""Orders are checked at the moment of acting, and done only when Envoy says so."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket

import pytest

from holdfast.rollout.model import Route, Scale
from holdfast.targets.base import Refused, Unreachable
from holdfast.targets.local import envoy
from holdfast.targets.local.envoy import files_of_kind

pytestmark = pytest.mark.live


def refusal(code: str):
    return pytest.raises(Refused, match=f"^{code}: ")


def test_orders_that_must_not_be_followed_are_refused_and_change_nothing(stage):
    async def scenario():
        async with stage.serving(1) as target:
            before = await target.observe()
            with refusal("unprepared"):
                await target.perform(Scale("v9", 1, 1))
            with refusal("unprepared"):
                await target.perform(Route((("v1", 50), ("v9", 50)), 1))
            with refusal("bad-weights"):
                await target.perform(Route((("v1", 90),), 1))
            with refusal("not-ready"):
                await target.perform(Route((("v1", 100),), 1, needs=(("v1", 2),)))
            await target.prepare(stage.bundle("v2"))
            with refusal("nack"):  # Envoy's own check: the release has no cluster yet
                await target.perform(Route((("v1", 50), ("v2", 50)), 1))
            await stage.deploy(target, stage.bundle("v2"), 1)
            with refusal("carries-traffic"):
                await target.perform(Scale("v1", 0, 1, idle=True))
            await target.perform(Scale("v2", 0, 1, idle=True))
            after = await target.observe()
            assert after.weights == before.weights
            return (await stage.get("/")).headers["x-holdfast-release"]

    assert asyncio.run(scenario()) == "v1"


def test_an_older_generation_is_refused_also_by_a_successor(stage):
    async def scenario():
        async with stage.serving(1) as target:
            await target.perform(Scale("v1", 1, 7))
            with refusal("stale-generation"):
                await target.perform(Scale("v1", 2, 6))
        async with stage.target() as successor:
            with refusal("stale-generation"):
                await successor.perform(Route((("v1", 100),), 6))
            await successor.perform(Route((("v1", 100),), 7))
            return await successor.observe()

    assert asyncio.run(scenario()).weights == (("v1", 100),)


def test_repeating_an_order_is_harmless(stage, wait_until, fleet_in):
    async def scenario():
        async with stage.serving(2) as target:
            before = stage.processes()
            for _ in range(3):
                await target.perform(Scale("v1", 2, 1))
                await target.perform(Route((("v1", 100),), 1))
            look = await target.observe()
            return before, stage.processes(), fleet_in(look, "v1")

    before, after, fleet = asyncio.run(scenario())
    assert before == after
    assert (fleet.ready, fleet.size) == (2, 2)


def test_what_envoy_refuses_is_refused_in_envoys_words_and_taken_back(stage):
    async def scenario():
        async with stage.serving(1) as target:
            route = files_of_kind("rds", target.envoy.places, [{"@type": "type.x/y", "a": 1}])
            with pytest.raises(Refused) as refused:
                await target.envoy.publish(route)
            assert target.envoy.changed_outside() is None
            return refused.value, (await stage.get("/")).status

    error, status = asyncio.run(scenario())
    assert error.code == "nack"
    assert "type.x/y" in error.detail
    assert status == 200


def test_a_port_taken_between_check_and_use_is_said_by_envoy(stage):
    async def scenario():
        async with stage.target() as target:
            await stage.deploy(target, stage.bundle("v1"), 1)
            with socket.create_server(("127.0.0.1", stage.port)), refusal("port-taken"):
                await target.perform(Route((("v1", 100),), 1))
            await target.perform(Route((("v1", 100),), 1))  # the stranger has gone
            return (await stage.get("/")).status

    assert asyncio.run(scenario()) == 200


def test_routes_changed_behind_our_back_are_reported_and_the_next_order_repairs_them(stage):
    async def scenario():
        async with stage.serving(1) as target:
            await stage.deploy(target, stage.bundle("v2"), 1)
            path = stage.root / "envoy" / "rds" / "rds.json"
            path.write_text(path.read_text().replace('"v1"', '"v2"'))
            drifted = await target.observe()
            await target.perform(Route((("v1", 100),), 1))
            return drifted, await target.observe(), json.loads(path.read_text())

    drifted, repaired, _ = asyncio.run(scenario())
    assert drifted.drift is not None and "rds.json" in drifted.drift
    assert drifted.weights == (("v2", 100),)
    assert (repaired.drift, repaired.weights) == (None, (("v1", 100),))


def test_taking_the_last_release_down_ends_envoy_too(stage, wait_until):
    async def scenario():
        async with stage.serving(2) as target:
            await target.perform(Scale("v1", 0, 1))
            await wait_until(target, lambda look: not look.fleets)
            await asyncio.sleep(0.3)
            look = await target.observe()
            assert not target.envoy.running
            with pytest.raises(ConnectionRefusedError):
                await stage.get("/")
            await stage.deploy(target, stage.bundle("v1"), 1)  # and it can come back
            await target.perform(Route((("v1", 100),), 1))
            return look, (await stage.get("/")).status

    look, status = asyncio.run(scenario())
    assert (look.fleets, look.weights) == ((), ())
    assert status == 200


def test_a_route_envoy_never_confirmed_counts_as_traffic_until_it_is_known(stage, monkeypatch):
    async def scenario():
        async with stage.serving(1) as target:
            await stage.deploy(target, stage.bundle("v2"), 1)
            monkeypatch.setattr(envoy, "PATIENCE_S", 0.1)
            os.kill(stage.envoy(), signal.SIGSTOP)
            try:
                with pytest.raises(Unreachable):
                    await target.perform(Route((("v2", 100),), 1))
            finally:
                os.kill(stage.envoy(), signal.SIGCONT)
            with refusal("carries-traffic"):
                await target.perform(Scale("v2", 0, 1, idle=True))
            await target.perform(Route((("v1", 100),), 1))
            await target.perform(Scale("v2", 0, 1, idle=True))
            return (await target.observe()).weights

    assert asyncio.run(scenario()) == (("v1", 100),)


def test_taking_down_a_service_with_a_warm_release_leaves_nobody(stage, wait_until):
    async def scenario():
        async with stage.serving(1) as target:
            await stage.deploy(target, stage.bundle("v2"), 1)
            await target.perform(Scale("v1", 0, 1))
            await target.perform(Scale("v2", 0, 1))
            await wait_until(target, lambda look: not look.fleets)
            return (await target.observe()).weights

    assert asyncio.run(scenario()) == ()
    assert stage.processes() == {}


def test_the_service_moves_to_the_new_port_with_the_majority_of_its_traffic(stage, tmp_path):
    old = stage.port

    async def scenario():
        async with stage.serving(1) as target:
            with socket.create_server(("127.0.0.1", 0)) as free:
                stage.port = free.getsockname()[1]
            await stage.deploy(target, stage.bundle("v2"), 1)
            await target.perform(Route((("v1", 60), ("v2", 40)), 1))
            with pytest.raises(OSError):
                await stage.get("/")
            await target.perform(Route((("v1", 0), ("v2", 100)), 1))
            return (await stage.get("/")).status

    assert asyncio.run(scenario()) == 200
    assert stage.port != old
