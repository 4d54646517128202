"""Rollouts on a real API server with real controllers, by a real conductor."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from holdfast.rollout.commands import Abort, Approve
from holdfast.rollout.model import Ending
from holdfast.targets.kubernetes.marks import object_name
from kubernetes_rig.meter import Meter
from kubernetes_rig.stage import held

pytestmark = pytest.mark.live


def test_ten_instances_are_replaced_with_never_fewer_than_ten_ready_nor_more_than_twelve(shop):
    shop.replicas, shop.rollout = 10, "{strategy: rolling, max_surge: 2, max_unavailable: 0}"

    async def story(conductor):
        station = await shop.deployed(conductor, "1.0.0")
        shop.observer.begin()
        assert shop.observer.moments[-1].ready == 10, held(station)
        await shop.deployed(conductor, "2.0.0")

    shop.run(story)
    assert shop.observer.fewest_ready >= 10
    assert shop.observer.most_wanted <= 12


CANARY = (
    "{strategy: canary, steps: [5, 50, 100], keep_warm: 10m, drain: 0s,"
    " analysis: {warm_up: 100ms, error_rate_max: 0.05}}"
)


@pytest.fixture
def metered(shop):
    """The same with users, whom somebody counts."""
    with Meter(shop.gateway) as meter:
        shop.more, shop.rollout = meter.spec, CANARY
        yield shop, meter


def backend(station):
    """The name under which the stable release gets traffic."""
    return object_name(station.name, station.state.stable.id)


def test_a_healthy_canary_is_promoted_and_its_rollback_is_one_route_write(metered):
    shop, _ = metered

    async def story(conductor):
        station = await shop.deployed(conductor, "1.0.0")
        old = backend(station)
        await shop.deployed(conductor, "2.0.0")
        new = backend(station)
        assert shop.gateway.weights() == {new: 100}
        await asyncio.sleep(0.3)  # what follows the promotion is done
        shop.proxy.calls.clear()
        shop.observer.begin()
        await station.rollback(None, "tests", False)
        await shop.comes(lambda: shop.gateway.weights() == {old: 100}, lambda: str(held(station)))
        wrote = [call for call in shop.proxy.calls if call.method in ("PATCH", "POST", "DELETE")]
        await shop.ended(station, Ending.PROMOTED)
        return wrote

    wrote = shop.run(story)
    assert [call.resource for call in wrote if "leases" not in call.path][:1] == ["httproutes"]
    assert sum(call.resource == "httproutes" for call in wrote) == 1
    assert shop.observer.fewest_ready >= 3


def test_a_canary_that_fails_is_taken_back_before_it_has_half_of_the_traffic(metered):
    shop, meter = metered

    async def story(conductor):
        station = await shop.deployed(conductor, "1.0.0")
        old = backend(station)
        shop.observer.begin()
        outcome = await shop.deploy(conductor, "2.0.0")
        meter.failing[object_name(shop.name, outcome.release.id)] = 0.2
        await shop.ended(station, Ending.REVERTED)
        return old, station.state.rollout.reason

    old, reason = shop.run(story)
    assert "error" in reason
    assert shop.gateway.weights() == {old: 100}
    assert max(w for each in shop.gateway.programmed for b, w in each.weights if b != old) == 5
    assert shop.observer.fewest_ready >= 3


def test_an_abort_at_any_step_leaves_the_stable_release_whole(metered):
    shop, _ = metered
    steps = ", ".join(f"{{weight: {weight}, approvals: 1}}" for weight in (5, 50, 100))
    shop.rollout = CANARY.replace("5, 50, 100", steps)

    async def story(conductor):
        station = await shop.deployed(conductor, "1.0.0", rollout="rolling")
        old = backend(station)
        for at in range(3):
            shop.observer.begin()
            await shop.deploy(conductor, f"2.0.{at}")
            for step in range(at):
                await stands(shop, station, step)
                await station.post.command(Approve("somebody"))
            await stands(shop, station, at)
            await station.post.command(Abort("tests", "a change of mind"))
            await shop.ended(station, Ending.REVERTED)
            assert shop.gateway.weights() == {old: 100}
            assert shop.observer.fewest_ready >= 3
            assert station.state.stable.version == "1.0.0"

    shop.run(story)


async def stands(shop, station, step):
    """The rollout waits for an approval of a step."""

    def waits():
        running = station.state.running
        holds = {hold.code for hold in station.post.holds}
        return running is not None and running.step == step and "needs-approval" in holds

    await shop.comes(waits, lambda: f"step {step}: {held(station)} {station.state.rollout}")


def test_blue_green_moves_all_traffic_in_one_write_and_back_in_another(shop):
    shop.rollout = "blue-green"

    async def story(conductor):
        station = await shop.deployed(conductor, "1.0.0")
        old = backend(station)
        await shop.deployed(conductor, "2.0.0")
        new = backend(station)
        await station.rollback(None, "tests", False)
        await shop.ended(station, Ending.PROMOTED)
        return old, new

    old, new = shop.run(story)
    seen = [dict(each.weights) for each in shop.gateway.programmed if each.weights]
    assert [each for each, _ in itertools.groupby(seen)] == [{old: 100}, {new: 100}, {old: 100}]
