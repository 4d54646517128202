"""One story for each rule of the engine that no other test would have missed (found by mutants)."""

import asyncio
from dataclasses import replace

import pytest
from playground import HEALTHY, Stage, release, service, virtual

from holdfast.rollout.commands import Abort, Approve, Promote, ScaleTo
from holdfast.rollout.converge import desire
from holdfast.rollout.engine import decide
from holdfast.rollout.model import (
    Dequeued,
    Ending,
    Finished,
    FleetSeen,
    Judged,
    Mark,
    Measured,
    Observation,
    Queued,
    RevertOrdered,
    Started,
    WeightReached,
)
from holdfast.rollout.plan import plan_rollout
from holdfast.rollout.state import fold
from holdfast.targets.simulated import Behaviour

SLOW = [{"weight": 10, "hold": 30.0, "max": 120.0}, {"weight": 100}]
V0, V1, V2 = (release(f"v{n}") for n in range(3))


def seen(at, ready, weights, **more):
    """One look; ``ready`` and ``weights`` by release."""
    fleets = tuple(FleetSeen(name, ready=count, **more) for name, count in ready.items())
    return Observation(at, fleets, tuple(weights.items()))


def going_to_v2(*more, strategy="canary"):
    """v1 serves with four instances, and v2 has just been started."""
    spec = service(strategy=strategy)
    first, second = plan_rollout(spec, None, V1, "r1"), plan_rollout(spec, V1, V2, "r2")
    promoted = Finished(1.0, Ending.PROMOTED, "done")
    return fold([Started(0.0, first, "ann"), promoted, Started(2.0, second, "ann"), *more], "shop")


# ---- taking back --------------------------------------------------------------------------------


@virtual
async def test_an_abort_is_carried_out_although_somebody_changed_the_route_by_hand():
    stage = await Stage(service(steps=SLOW)).with_v1()
    await stage.deploy("v2")
    await stage.until(lambda: stage.run.reached_at is not None)
    async with stage.suffer("drift", "v2"):
        await stage.post.command(Abort("ann"))
        assert await stage.ended(20.0) == "reverted"
        assert stage.weights() == {"v1": 100}


@virtual
async def test_the_old_fleet_of_a_canary_stays_whole_so_the_way_back_starts_nobody():
    stage = await Stage(service(steps=[{"weight": 50, "hold": 60.0}, {"weight": 100}])).with_v1()
    await stage.deploy("v2")
    await stage.until(lambda: stage.run.reached_at is not None)
    await stage.settle(20.0)
    assert stage.world.ready("v1") == 4
    born = stage.world.shop.births
    await stage.post.command(Abort("ann"))
    assert await stage.ended(5.0) == "reverted"
    assert stage.world.shop.births == born


@virtual
async def test_a_rolling_update_is_reverted_only_when_the_old_fleet_is_whole_again():
    spec = service(10, strategy="rolling", max_surge=2)
    stage = await Stage(spec, v1=Behaviour(start_s=3.0, work_s=0.1)).with_v1()
    await stage.deploy("v2")
    await stage.until(lambda: stage.weights().get("v2", 0) >= 60)
    await stage.post.command(Abort("ann"))
    assert await stage.ended() == "reverted"
    stage.world.advance()
    assert stage.world.ready("v1") == 10


def test_a_home_that_can_never_start_again_is_known_at_once_and_not_after_a_deadline():
    state = going_to_v2(RevertOrdered(5.0, "verdict", "bad", "engine"))
    lost = FleetSeen(V1.id, failed=4, failure=failure("image-pull"))
    look = Observation(6.0, (lost, FleetSeen(V2.id, ready=1)), ((V2.id, 100),))
    (ended,) = decide(state, look).events
    assert ended.ending is Ending.STRANDED
    assert "v1 cannot start" in ended.reason


def failure(code):
    from holdfast.rollout.model import Failure

    return Failure(code, "gone")


def test_what_is_stranded_keeps_its_shares_and_gives_none_of_a_third_to_who_failed():
    reverted = RevertOrdered(5.0, "verdict", "bad", "engine")
    state = going_to_v2(reverted, Finished(6.0, Ending.STRANDED, "nobody left"))
    look = seen(7.0, {V0.id: 2, V1.id: 2, V2.id: 2}, {V0.id: 30, V1.id: 60, V2.id: 10})
    wanted = desire(state, look).weights
    assert set(wanted) == {V1.id, V2.id} and wanted[V1.id] > 80
    nobody = seen(7.0, {V1.id: 2, V2.id: 2}, {})
    assert desire(state, nobody).weights == {V1.id: 100}


# ---- hard gates and deadlines -------------------------------------------------------------------


def test_three_deaths_of_new_instances_are_a_crash_loop_whatever_their_supervisor_thinks():
    state = going_to_v2(WeightReached(3.0, 0))
    for deaths, codes in ((2, []), (3, ["crash-loop"])):
        fleets = (FleetSeen(V1.id, ready=4), FleetSeen(V2.id, ready=1, restarts=deaths))
        look = Observation(4.0, fleets, ((V1.id, 95), (V2.id, 5)))
        found = [e.code for e in decide(state, look).events if isinstance(e, RevertOrdered)]
        assert found == codes


@pytest.mark.parametrize(("restarts", "loop"), [(5, False), (7, False), (8, True), (3, True)])
def test_deaths_before_the_rollout_do_not_count_unless_the_target_counts_anew(restarts, loop):
    state = going_to_v2(WeightReached(3.0, 0))
    plan = replace(state.rollout.plan, deaths_before=5)
    state = replace(state, rollout=replace(state.rollout, plan=plan))
    fleets = (FleetSeen(V1.id, ready=4), FleetSeen(V2.id, ready=1, restarts=restarts))
    events = decide(state, Observation(4.0, fleets, ((V1.id, 95), (V2.id, 5)))).events
    assert any(isinstance(event, RevertOrdered) for event in events) is loop


@virtual
async def test_a_promote_never_skips_a_hard_gate():
    stage = await Stage(service(steps=SLOW)).with_v1()
    await stage.deploy("v2")
    await stage.until(lambda: stage.run.reached_at is not None)
    stage.gate_text = "frozen"  # so that the promote has to wait
    await stage.post.command(Promote("ann"))
    async with stage.suffer("lose-fleet", "v2"):
        assert await stage.ended(20.0) == "reverted"
    assert stage.revert.code == "image-pull"


@pytest.mark.parametrize("policy", ["promote", "rollback"])
@virtual
async def test_a_silent_metric_store_has_its_whole_budget_before_the_policy_decides(policy):
    steps = [{"weight": 10, "max": 120.0}, {"weight": 100}]
    spec = service(steps=steps, source_down=20.0, on_source_down=policy)
    stage = await Stage(spec).with_v1()
    async with stage.suffer("metrics-down"):
        await stage.deploy("v2")
        began = stage.clock.now()
        await stage.until(lambda: stage.run is None or stage.run.step == 1)
        assert stage.clock.now() - began >= 20.0
    assert await stage.ended() == {"promote": "promoted", "rollback": "reverted"}[policy]


# ---- people and evidence ------------------------------------------------------------------------


@virtual
async def test_two_people_must_approve_each_step_and_one_promote_skips_one_step():
    steps = [{"weight": w, "approvals": 2} for w in (10, 20, 30)] + [{"weight": 100}]
    stage = await Stage(service(steps=steps, deadline=600.0)).with_v1()
    await stage.deploy("v2")
    await stage.until(lambda: stage.run.reached_at is not None)
    await stage.post.command(Approve("ann"))
    await asyncio.sleep(40.0)
    assert stage.run.step == 0, "one of two is enough"
    await stage.post.command(Approve("bob"))
    await stage.step(1)
    await asyncio.sleep(40.0)
    assert stage.run.step == 1, "approvals of an earlier step still count"
    await stage.post.command(Promote("ann"))
    await stage.step(2)
    await asyncio.sleep(40.0)
    assert stage.run.step == 2, "one promote skipped two steps"


@virtual
async def test_each_judged_step_earns_its_pass_with_requests_of_its_own():
    steps = [{"weight": w} for w in (50, 60, 70)] + [{"weight": 100}]
    stage = await Stage(service(steps=steps, analysis={"warm_up": 0.0}), rate=100.0).with_v1()
    await stage.deploy("v2")
    assert await stage.ended() == "promoted"
    since, counted = {}, []
    for fact in stage.journal.recall("shop"):
        match fact:
            case WeightReached():
                since, counted = {fact.step: fact.at}, []
            case Measured() if since:
                counted.append(fact.sample.arm("v2").requests)
            case Judged() if fact.verdict.mark is Mark.PASS:
                assert sum(counted) >= 332, f"step {fact.step} passed on {sum(counted)}"


@virtual
async def test_while_both_fail_alike_no_step_is_taken():
    stage = await Stage(service(steps=[{"weight": 25, "max": 60.0}, {"weight": 100}])).with_v1()
    await stage.deploy("v2")
    await stage.until(lambda: stage.run.reached_at is not None)
    async with stage.suffer("shared-outage", amount=0.4):
        await asyncio.sleep(90.0)
        assert stage.run is not None and stage.run.step == 0
        assert "common-cause" in stage.holds
    assert await stage.ended() == "promoted"


@virtual
async def test_time_without_a_metric_store_is_not_time_on_the_step():
    spec = service(steps=[{"weight": 25, "max": 20.0}, {"weight": 100}], source_down=300.0)
    stage = await Stage(spec, rate=100.0).with_v1()
    await stage.deploy("v2")
    await stage.until(lambda: stage.run.reached_at is not None)
    async with stage.suffer("metrics-down"):
        await asyncio.sleep(25.0)
    back = stage.clock.now()
    assert await stage.ended() == "promoted", stage.revert
    assert stage.clock.now() - back < 25.0


# ---- queues, sizes, refuge ----------------------------------------------------------------------


@virtual
async def test_a_queued_release_that_serves_by_then_is_let_go():
    stage = await Stage(service(steps=SLOW)).with_v1()
    await stage.deploy("v2")
    await stage.deploy("v3", policy="queue")
    await stage.deploy("v3", policy="queue")
    await stage.until(lambda: stage.post.state.stable.version == "v3")
    await stage.settle(5.0)
    assert len(stage.facts(Dequeued)) == 1
    assert stage.run is None and stage.post.state.queue == ()


def test_a_closed_window_keeps_a_queued_release_waiting_and_says_so():
    queued = Queued(3.0, plan_rollout(service(), V1, release("v3"), "r3"), "ann")
    state = going_to_v2(queued, Finished(5.0, Ending.PROMOTED, "done"))
    look = seen(6.0, {V1.id: 4, V2.id: 4}, {V2.id: 100})
    (started,) = decide(state, look).events
    assert isinstance(started, Started) and started.plan.old == V2
    closed = decide(state, replace(look, gate="frozen"))
    assert closed.events == () and [hold.code.value for hold in closed.holds] == ["window-closed"]


@virtual
async def test_a_new_release_gets_the_size_that_people_gave_the_service():
    stage = await Stage(service(strategy="blue-green")).with_v1()
    await stage.post.command(ScaleTo(6, "ann"))
    await stage.settle()
    await stage.deploy("v2")
    assert await stage.ended() == "promoted"
    stage.world.advance()
    assert stage.world.ready("v2") == 6


def test_refuge_is_taken_with_the_proven_release_before_any_other():
    state = going_to_v2(Finished(5.0, Ending.PROMOTED, "done"))
    look = seen(6.0, {V0.id: 9, V1.id: 1, V2.id: 0}, {V2.id: 100})
    assert state.warm is not None and state.warm.release == V1
    assert desire(state, look).weights == {V1.id: 100}
    assert desire(state, seen(6.0, {V0.id: 9, V2.id: 0}, {V2.id: 100})).weights == {V0.id: 100}


@virtual
async def test_a_healthy_release_is_not_left_alone_with_a_dead_control_of_which_nothing_is_known():
    """Errors that a dead old fleet made are no common cause: the new one is judged by itself."""
    stage = await Stage(service(steps=SLOW), v2=Behaviour(**HEALTHY, error_rate=0.2)).with_v1()
    await stage.deploy("v2")
    await stage.until(lambda: stage.run.reached_at is not None)
    async with stage.suffer("lose-fleet", "v1"):
        await asyncio.sleep(8.0)
    assert stage.facts(RevertOrdered), "nobody noticed one error in five"
