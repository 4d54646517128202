"""Edge cases 9-11, 25-29, 35 and 38: the conductor, its people, its clock and its journal."""

import asyncio
import errno

import pytest
from playground import Stage, release, service, virtual

from holdfast.conductor.journal import MemoryJournal
from holdfast.conductor.lease import LEASE_S, Held, Leases
from holdfast.rollout.commands import Abort, Approve, Pause, Promote, Rejected, Resume
from holdfast.rollout.model import (
    AbortRequested,
    Finished,
    Judged,
    Mark,
    Measured,
    RevertOrdered,
    Started,
    StepEntered,
    WeightReached,
)
from holdfast.rollout.plan import plan_rollout
from holdfast.targets.base import Refused

SLOW = [{"weight": 10, "hold": 30.0, "max": 120.0}, {"weight": 100}]


class FailingJournal(MemoryJournal):
    """Full while ``full`` is set."""

    full = False

    async def record(self, service, events):
        if self.full:
            raise OSError(errno.ENOSPC, "no space left on device")
        await super().record(service, events)


class Stopping(MemoryJournal):
    """The process ends right before it could write a fact of this kind, once."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.struck = kind, False

    async def record(self, service, events):
        second = any(isinstance(e, Started) for e in self.facts.get(service, ())[3:])
        if second and not self.struck and any(isinstance(e, self.kind) for e in events):
            self.struck = True
            raise asyncio.CancelledError
        await super().record(service, events)


@virtual
async def test_09_killed_between_the_route_and_its_record_the_route_is_read_back():
    journal = Stopping(WeightReached)
    stage = await Stage(journal=journal).with_v1()
    await stage.deploy("v2")
    await stage.until(lambda: journal.struck)
    weight = stage.weights()["v2"]
    assert weight == 5  # the deed is done, the record is not
    await stage.start()
    assert await stage.ended() == "promoted"
    steps = [fact.step for fact in stage.facts(StepEntered)]
    assert steps == [1, 2, 3]  # never two decisions


@virtual
async def test_10_an_hour_without_a_conductor_is_not_an_hour_of_watching():
    stage = await Stage(service(steps=SLOW)).with_v1()
    await stage.deploy("v2")
    await stage.until(lambda: stage.run.reached_at is not None)
    await asyncio.sleep(5.0)
    await stage.restart(after=3600.0)
    back = stage.clock.now()
    await stage.step(1)
    assert stage.clock.now() - back >= 29.0
    assert await stage.ended() == "promoted"  # and no deadline counted the hour


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
@virtual
async def test_11_a_jump_of_the_wall_clock_moves_no_timer(jump):
    stage = await Stage(service(steps=SLOW)).with_v1()
    began = stage.clock.now()
    await stage.deploy("v2")
    await stage.until(lambda: stage.run.reached_at is not None)
    stage.clock.jump(jump)
    assert await stage.ended() == "promoted"
    assert 30.0 <= stage.clock.now() - began <= 60.0


def test_25_the_second_of_two_operators_hears_who_holds_the_lease_and_until_when(tmp_path):
    leases = Leases(tmp_path / "leases.db")
    first = leases.acquire("service/shop", "ci", now=100.0)
    with pytest.raises(Held) as refused:
        leases.acquire("service/shop", "ann", now=104.0)
    assert (refused.value.lease.owner, refused.value.lease.since) == ("ci", 100.0)
    assert refused.value.lease.expires == 100.0 + LEASE_S
    second = leases.acquire("service/shop", "ann", now=100.0 + LEASE_S + 1)
    assert second.generation > first.generation
    leases.close()


@virtual
async def test_25_the_orders_of_a_conductor_that_was_replaced_are_refused():
    stage = await Stage().with_v1()
    await stage.deploy("v2")
    await stage.until(lambda: stage.run.reached_at is not None)
    old = stage.watch.orders[-1].order
    await stage.restart()
    await stage.step(1)
    await stage.settle(2.0)
    with pytest.raises(Refused, match="stale-generation"):
        await stage.world.perform(old)


@virtual
async def test_26_whoever_waits_may_leave_and_the_rollout_goes_on():
    stage = await Stage().with_v1()
    await stage.deploy("v2")
    waiting = asyncio.create_task(stage.ended())
    await asyncio.sleep(0.5)
    waiting.cancel()  # what Ctrl-C does to the one who watches
    assert stage.run is not None
    assert await stage.ended() == "promoted"


@pytest.mark.parametrize("step", [0, 1, 2, 3])
@virtual
async def test_27_an_abort_wins_at_every_step_and_twice_is_like_once(step):
    stage = Stage(service(steps=[{"weight": w, "hold": 5.0} for w in (5, 25, 50, 100)]))
    await stage.with_v1()
    assert await stage.post.command(Abort("ann")) == ()
    await stage.deploy("v2")
    await stage.step(step)
    first = await stage.post.command(Abort("ann", "a feeling"))
    assert [type(fact) for fact in first] == [AbortRequested, RevertOrdered]
    assert await stage.post.command(Abort("bob")) == ()
    assert await stage.ended(30.0) == "reverted"
    assert await stage.post.command(Abort("ann")) == ()
    assert stage.weights() == {"v1": 100}
    assert stage.watch.starved == 0


@virtual
async def test_27_an_abort_wins_over_a_promote_and_a_pause():
    stage = await Stage(service(steps=SLOW)).with_v1()
    await stage.deploy("v2")
    await stage.post.command(Pause("ann"))
    await stage.post.command(Promote("bob"))
    await stage.post.command(Abort("ann"))
    for late in (Promote("bob"), Pause("bob"), Resume("bob"), Approve("bob")):
        with pytest.raises(Rejected, match=r"reverting|nothing-running"):
            await stage.post.command(late)
    assert await stage.ended(30.0) == "reverted"


@virtual
async def test_28_a_pause_of_three_days_ends_nothing_and_ages_the_evidence_out():
    stage = await Stage(service(steps=SLOW)).with_v1()
    await stage.deploy("v2")
    await stage.until(lambda: stage.run.reached_at is not None)
    await asyncio.sleep(5.0)
    await stage.post.command(Pause("ann", "a long weekend"))
    await asyncio.sleep(60.0)
    asyncio.get_running_loop().leap(3 * 86400.0)
    await asyncio.sleep(60.0)
    assert stage.run is not None and "paused" in stage.holds
    assert "ann: a long weekend" in str(stage.post.holds)
    await stage.post.command(Resume("ann"))
    resumed, at = stage.run, stage.post.now()
    assert resumed.paused_s == pytest.approx(3 * 86400.0 + 120.0, abs=1.0)
    assert resumed.tally.trials[0].window.new_requests == 0
    await stage.step(1)
    passed = next(fact for fact in stage.facts(Judged) if fact.verdict.mark is Mark.PASS)
    seen = [f.sample.arm("v2").requests for f in stage.facts(Measured) if at < f.at <= passed.at]
    assert sum(seen) >= 332  # what was seen before the pause does not count
    assert await stage.ended() == "promoted"


@pytest.mark.req("T85")
@virtual
async def test_29_a_window_that_closes_holds_the_rollout_and_never_the_way_back():
    stage = await Stage(service(steps=SLOW)).with_v1()
    await stage.deploy("v2")
    await stage.until(lambda: stage.run.reached_at is not None)
    stage.gate_text = "outside mon-fri 09:00-17:00"
    await asyncio.sleep(60.0)
    assert stage.run.step == 0 and "window-closed" in stage.holds
    await stage.post.command(Abort("ann"))
    assert await stage.ended(30.0) == "reverted"
    stage.gate_text = None
    await stage.deploy("v3")
    assert await stage.ended() == "promoted"
    stage.gate_text = "frozen for the holidays"
    await stage.rollback("v1")
    assert await stage.ended(30.0) == "promoted"
    assert stage.weights() == {"v1": 100}


@virtual
async def test_35_the_plan_of_a_running_rollout_is_pinned_over_edits_and_upgrades():
    stage = await Stage(service(steps=SLOW)).with_v1()
    await stage.deploy("v2")
    pinned = stage.run.plan
    stage.spec = service(strategy="blue-green")
    await stage.restart()
    assert stage.run.plan == pinned
    assert await stage.ended() == "promoted"
    await stage.deploy("v3")
    assert stage.run.plan.strategy.value == "blue-green"
    assert stage.run.plan == plan_rollout(stage.spec, release("v2"), release("v3"), "r3")


@virtual
async def test_38_with_a_full_disk_nothing_starts_and_nothing_moves():
    journal = FailingJournal()
    stage = await Stage(journal=journal).with_v1()
    await stage.settle(2.0)
    journal.full = True
    moved = len(stage.watch.orders)
    with pytest.raises(OSError, match="no space left"):
        await stage.deploy("v2")
    await stage.settle(20.0)
    assert len(stage.watch.orders) == moved
    assert stage.weights() == {"v1": 100}
    journal.full = False
    await stage.deploy("v2")
    assert await stage.ended() == "promoted"


@virtual
async def test_38_a_disk_that_fills_up_on_the_way_stops_the_climb_not_the_service():
    journal = FailingJournal()
    stage = await Stage(service(steps=SLOW), journal=journal).with_v1()
    await stage.deploy("v2")
    await stage.until(lambda: stage.run.reached_at is not None)
    journal.full = True
    await asyncio.sleep(100.0)
    assert stage.weights() == {"v1": 90, "v2": 10}
    assert stage.watch.starved == 0
    journal.full = False
    assert await stage.ended() == "promoted"
    assert len(stage.facts(Finished)) == 2
