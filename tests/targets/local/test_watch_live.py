"""The target says when another look is worth it, so that nobody has to wait for a clock."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from holdfast.rollout.model import Scale

pytestmark = pytest.mark.live


def test_who_waits_for_news_instead_of_looking_again_sees_a_replica_ready_killed_and_gone(
    stage, fleet_in
):
    async def story():
        news = asyncio.Event()

        async def told_of(holds):
            async with asyncio.timeout(10):
                while True:
                    news.clear()
                    if holds(fleet_in(await target.observe(), "v1")):
                        return
                    await news.wait()  # without a word from the target this waits for ever

        async with stage.target() as target:
            target.watch(news.set)
            bundle = stage.bundle("v1")
            await target.prepare(bundle)
            await target.perform(Scale("v1", 2, 1))
            await told_of(lambda fleet: fleet.ready == 2)
            os.killpg(stage.processes()["v1/0"], signal.SIGKILL)
            await told_of(lambda fleet: fleet.restarts == 1)
            await told_of(lambda fleet: fleet.ready == 2)
            await target.perform(Scale("v1", 0, 1))
            await told_of(lambda fleet: fleet.size == 0)

    asyncio.run(story())


def test_no_look_sees_a_death_that_is_counted_before_its_reason_is_known(stage, fleet_in):
    """Else a rollout says that instances died, where it could say of what."""
    bundle = stage.bundle("v1", run=stage.program("app.py", "raise SystemExit('no config found')"))

    async def story():
        async with stage.target() as target, asyncio.timeout(30):
            await target.prepare(bundle)
            await target.perform(Scale("v1", 2, 1))
            seen = fleet_in(await target.observe(), "v1")
            while seen.restarts < 4:
                if seen.restarts:
                    assert seen.failure is not None
                    assert seen.failure.log_tail == ("no config found",)
                if seen.restarts >= 3:  # of two instances one has died twice
                    assert seen.failure.hopeless
                seen = fleet_in(await target.observe(), "v1")

    asyncio.run(story())
