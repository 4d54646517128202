"""The world itself: virtual time, drain, counters, misfortunes. Checkers can only be as right."""

import asyncio
import math
import random

import pytest

from holdfast.rollout.model import Release, Route, Scale
from holdfast.spec.model import Service
from holdfast.targets.base import Bundle, Fault, Unreachable
from holdfast.targets.simulated import (
    Behaviour,
    Deadlock,
    Traffic,
    VirtualClock,
    Weather,
    World,
    run_virtually,
)
from holdfast.targets.simulated.behaviour import FAULTS, Cast
from holdfast.targets.simulated.dice import binomial, clumped

SERVICE = Service.model_validate({"service": "s", "run": "x", "rollout": {"drain": 5.0}})


def bundle(version):
    return Bundle(Release(version, version, version), SERVICE)


async def world_with(replicas=2, behaviour=None, **more):
    world = World(VirtualClock(), 1, cast=Cast((("v1", behaviour or Behaviour()),)), **more)
    await world.prepare(bundle("v1"))
    await world.perform(Scale("v1", replicas, 1))
    await asyncio.sleep(3.0)
    await world.perform(Route((("v1", 100),), 1))
    await asyncio.sleep(1.0)
    return world


def test_a_day_of_sleep_passes_at_once_and_timeouts_work():
    async def story():
        loop = asyncio.get_running_loop()
        await asyncio.sleep(86_400.0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5.0):
                await asyncio.sleep(60.0)
        return loop.time()

    assert run_virtually(story()) == pytest.approx(86_405.0)


def test_waiting_for_what_no_timer_brings_is_a_deadlock():
    async def story():
        await asyncio.Event().wait()

    with pytest.raises(Deadlock, match="no timer"):
        run_virtually(story())


def test_the_world_counts_every_request_once():
    async def story():
        world = await world_with(traffic=Traffic(200.0))
        await asyncio.sleep(10.0)
        first = (await world.counters())["v1"].requests
        await asyncio.sleep(100.0)
        return (await world.counters())["v1"].requests - first

    assert run_virtually(story()) == pytest.approx(20_000, abs=2)


@pytest.mark.parametrize("rate", [0.001, 0.05, 0.6])
def test_errors_come_at_the_rate_that_was_asked_for(rate):
    async def story():
        world = await world_with(behaviour=Behaviour(error_rate=rate), traffic=Traffic(5000.0))
        await asyncio.sleep(200.0)
        return (await world.counters())["v1"]

    counts = run_virtually(story())
    spread = 5 * math.sqrt(counts.requests * rate * (1 - rate))
    assert abs(counts.errors - counts.requests * rate) < spread


def test_draws_have_the_mean_they_promise():
    dice = random.Random(7)
    for n, p in ((10, 0.3), (500, 0.01), (100_000, 0.2)):
        draws = [binomial(dice, n, p) for _ in range(2000)]
        assert sum(draws) / 2000 == pytest.approx(n * p, rel=0.05)
    clumps = [clumped(dice, 10_000, 0.01, 10.0) for _ in range(2000)]
    assert sum(clumps) / 2000 == pytest.approx(100, rel=0.1)
    mean = sum(clumps) / 2000
    assert sum((c - mean) ** 2 for c in clumps) / 2000 / mean > 5.0  # overdispersed


@pytest.mark.parametrize(("work_s", "stays_s"), [(0.5, 0.5), (60.0, 5.0)])
def test_a_victim_ends_its_work_or_its_drain_deadline(work_s, stays_s):
    async def story():
        world = await world_with(behaviour=Behaviour(work_s=work_s))
        await world.perform(Scale("v1", 1, 1))
        await asyncio.sleep(10.0)
        world.advance()
        return world.fleets["v1"].farewells

    (bye,) = run_virtually(story())
    assert bye.served and bye.gone - bye.told == pytest.approx(stays_s)


def test_a_lost_answer_leaves_the_order_done():
    async def story():
        world = await world_with()
        world.change_weather(Weather(lost=1.0))
        with pytest.raises(Unreachable):
            await world.perform(Scale("v1", 5, 1))
        return world.fleets["v1"].size

    assert run_virtually(story()) == 5


def test_the_newest_of_two_routes_wins_even_when_both_are_on_their_way():
    async def story():
        world = await world_with(weather=Weather(ack_s=2.0))
        await world.prepare(bundle("v2"))
        await world.perform(Scale("v2", 1, 1))
        await asyncio.sleep(3.0)
        await world.perform(Route((("v2", 100),), 1))
        await world.perform(Route((("v1", 100),), 1))
        await asyncio.sleep(5.0)
        return (await world.observe()).weights

    assert run_virtually(story()) == (("v1", 100),)


@pytest.mark.parametrize("kind", sorted(FAULTS))
def test_every_misfortune_has_an_effect_that_can_be_seen_and_is_over_afterwards(kind):
    amounts = {"quota": 1, "burst": 5, "shared-outage": 0.5, "slow-ack": 5, "slow-start": 5}
    amounts |= {"clock-jump": 3600, "hang-replica": 2}

    async def story():
        world = await world_with(behaviour=Behaviour(error_rate=0.01))
        jumps = []
        world.trouble.jump = jumps.append
        subject = "v1" if kind in ("drift", "lose-fleet", "kill-fleet") else ""
        before = _visible(world, jumps)
        async with world.suffer(Fault(kind, subject, amounts.get(kind, 0.0))):
            during = _visible(world, jumps)
        await asyncio.sleep(30.0)
        world.advance()
        return before, during, world

    before, during, world = run_virtually(story())
    assert during != before
    trouble = world.trouble
    assert not (trouble.metrics_down or trouble.deaf or trouble.nack or trouble.drift)
    assert world.plane.factor == 1.0 and world.plane.outage == 0.0
    assert world.ready("v1") == (0 if kind == "lose-fleet" else 2)


def _visible(world, jumps):
    world.advance()
    trouble, plane = world.trouble, world.plane
    hung = [one.hung for fleet in world.fleets.values() for one in fleet.instances]
    counted = plane.arms["v1"].requests
    state = (trouble.metrics_down, trouble.deaf, trouble.nack, trouble.drift, trouble.slow_ack_s)
    frozen = trouble.frozen_counters is not None
    shop = (world.shop.quota, world.shop.slow_start_s)
    return (
        state,
        frozen,
        shop,
        plane.factor,
        plane.outage,
        world.ready("v1"),
        hung,
        counted,
        len(jumps),
    )


def test_an_unknown_misfortune_is_refused_by_name():
    async def story():
        world = await world_with()
        async with world.suffer(Fault("rain")):
            pass

    with pytest.raises(ValueError, match="unknown fault 'rain'"):
        run_virtually(story())
