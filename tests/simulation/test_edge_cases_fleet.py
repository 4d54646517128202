"""Edge cases 12-24, 30, 31 and 34: deploys on deploys, broken releases, instances and weights."""

import asyncio

import pytest
from playground import HEALTHY, Stage, release, service, virtual

from holdfast.rollout.commands import Abort, Rejected, ScaleTo
from holdfast.rollout.model import (
    Progressed,
    Queued,
    Route,
    Scale,
    Scaled,
    Started,
    StepEntered,
)
from holdfast.targets.base import Refused
from holdfast.targets.simulated import Behaviour, Fate

SLOW = [{"weight": 20, "hold": 20.0, "max": 120.0}, {"weight": 100}]


@pytest.mark.parametrize("policy", ["refuse", "queue", "replace"])
@virtual
async def test_12_a_deploy_while_one_runs_is_refused_queued_or_replaces_from_the_proven_base(
    policy,
):
    stage = await Stage(service(steps=SLOW)).with_v1()
    await stage.deploy("v2")
    await stage.until(lambda: stage.run.reached_at is not None)
    if policy == "refuse":
        with pytest.raises(Rejected, match="conflict"):
            await stage.deploy("v3", policy=policy)
        assert await stage.ended() == "promoted"
        return
    await stage.deploy("v3", policy=policy)
    if policy == "replace":
        assert not stage.run.tally.trials  # nothing that was seen of v2 is held for or against v3
    assert bool(stage.facts(Queued)) is (policy == "queue")
    await stage.until(lambda: stage.run and stage.run.plan.new.version == "v3")
    assert stage.run.plan.old.version == {"queue": "v2", "replace": "v1"}[policy]
    assert await stage.ended() == "promoted"
    await stage.settle(20.0)
    assert "v2" not in stage.sizes() or policy == "queue"
    assert stage.watch.starved == 0


@virtual
async def test_the_instances_that_were_judged_are_the_ones_that_are_promoted():
    stage = await Stage(service(steps=SLOW)).with_v1()
    await stage.deploy("v2")
    await stage.until(lambda: stage.run.reached_at is not None)
    judged = {one.number for one in stage.world.fleets["v2"].instances}
    assert await stage.ended() == "promoted"
    await stage.settle()
    assert judged and judged <= {one.number for one in stage.world.fleets["v2"].instances}
    assert stage.world.fleets["v2"].farewells == []


@pytest.mark.parametrize("strategy", ["blue-green", "canary"])
@virtual
async def test_a_rollback_to_a_warm_release_is_one_route_and_no_start(strategy):
    stage = await Stage(service(strategy=strategy)).with_v1()
    await stage.deploy("v2")
    assert await stage.ended() == "promoted"
    await stage.settle(60.0)
    began, born = stage.clock.now(), stage.world.shop.births
    await stage.rollback("v1")
    await stage.until(lambda: stage.weights() == {"v1": 100})
    assert stage.clock.now() - began <= 0.25
    assert stage.world.shop.births == born
    routes = {s.order.weights for s in stage.watch.done(Route) if s.at >= began}
    assert routes == {(("v1", 100),)}


@virtual
async def test_13_a_deploy_of_what_serves_changes_nothing():
    stage = await Stage().with_v1()
    moved = len(stage.watch.orders)
    assert await stage.deploy("v1") == ()
    await stage.settle(5.0)
    assert len(stage.watch.orders) == moved


@pytest.mark.req("T77")
@virtual
async def test_14_a_release_that_was_rolled_back_is_refused_also_as_a_way_back():
    stage = await Stage().with_v1()
    await stage.deploy("v2")
    await stage.ended()
    await stage.rollback("v1")
    assert await stage.ended() == "promoted"
    with pytest.raises(Rejected, match="rejected-before"):
        await stage.deploy("v2")
    with pytest.raises(Rejected, match="rejected-before"):
        await stage.rollback("v2")
    await stage.rollback("v2", forced=True)
    assert await stage.ended() == "promoted"
    assert stage.weights() == {"v2": 100}


@virtual
async def test_14_nothing_goes_back_by_itself_to_a_release_that_was_rejected():
    stage = await Stage(service(bake=5.0)).with_v1()
    await stage.deploy("v2")
    await stage.ended()
    await stage.rollback("v1")  # v2 is rejected now, and v1 serves
    await stage.until(lambda: stage.run is None or stage.run.reached_at is not None)
    async with stage.suffer("lose-fleet", "v1"):
        await stage.settle(60.0)
    back_to_v2 = [s for s in stage.facts(Started) if s.plan.new.version == "v2"]
    assert len(back_to_v2) == 1


@virtual
async def test_15_a_rollback_to_what_is_gone_leaves_traffic_where_it_is_answered():
    stage = await Stage(service(no_progress=20.0, step_deadline=30.0)).with_v1()
    await stage.deploy("v2")
    await stage.ended()
    async with stage.suffer("lose-fleet", "v1"):
        await stage.rollback("v1")
        # The rollback rejected v2, and v1 is gone: nothing proven is left, a person is called.
        assert await stage.ended(60.0) == "stranded"
        assert "stranded" in stage.holds
    assert stage.weights() == {"v2": 100}
    assert stage.watch.starved == 0
    assert "cannot be fetched" in stage.revert.reason


@virtual
async def test_16_new_configuration_is_a_rollout_and_a_new_number_of_replicas_is_not():
    stage = await Stage().with_v1()
    await stage.deploy("v1", config="-flags2")
    assert stage.run.plan.new.digest != release("v1").digest
    assert await stage.ended() == "promoted"
    facts = await stage.post.command(ScaleTo(6, "ann"))
    assert [type(fact) for fact in facts] == [Scaled]
    await stage.settle()
    assert stage.run is None
    assert stage.world.ready("v1-flags2") == 6


@pytest.mark.parametrize("strategy", ["rolling", "blue-green", "canary"])
@virtual
async def test_17_a_single_replica_is_started_before_the_old_one_stops(strategy):
    spec = service(replicas=1, strategy=strategy, max_surge=1)
    stage = await Stage(spec).with_v1()
    await stage.deploy("v2")
    assert await stage.ended() == "promoted"
    assert stage.watch.ready_least == 1
    assert stage.watch.errors == 0


@virtual
async def test_17_scaling_to_zero_in_the_middle_cancels_clean():
    stage = await Stage(service(steps=SLOW)).with_v1()
    await stage.deploy("v2")
    await stage.until(lambda: stage.run.reached_at is not None)
    await stage.post.command(ScaleTo(0, "ann"))
    assert await stage.ended(30.0) == "reverted"
    await stage.settle()
    assert stage.sizes() == {}
    assert stage.revert.code == "scaled-to-zero"
    assert stage.post.state.rejected == frozenset()
    await stage.post.command(ScaleTo(2, "ann"))
    await stage.settle()
    assert stage.sizes() == {"v1": 2} and stage.weights() == {"v1": 100}


@virtual
async def test_18_an_exhausted_quota_fails_the_rollout_and_not_the_service():
    stage = await Stage(service(no_progress=10.0)).with_v1()
    async with stage.suffer("quota", amount=4):
        await stage.deploy("v2")
        await stage.until(lambda: "quota" in str(stage.post.holds))
        assert await stage.ended(30.0) == "reverted"
    assert stage.revert.code == "no-progress"
    assert stage.weights() == {"v1": 100} and stage.watch.errors == 0


@pytest.mark.parametrize("code", ["disk-full", "port-taken", "missing-binary", "image-pull"])
@virtual
async def test_18_19_what_can_never_be_launched_is_refused_before_anything_moves(code):
    stage = await Stage(v2=Behaviour(prepare_fails=code)).with_v1()
    moved = len(stage.watch.orders)
    with pytest.raises(Refused, match=code):
        await stage.deploy("v2")
    await stage.settle(5.0)
    assert len(stage.watch.orders) == moved and stage.weights() == {"v1": 100}


@pytest.mark.req("T76")
@pytest.mark.parametrize(
    ("fate", "within"),
    [
        (Fate.EXITS_AT_ONCE, 1.0),
        (Fate.NEVER_LISTENS, 4.0),
        (Fate.NEVER_READY, 4.0),
        (Fate.CRASH_LOOP, 15.0),
        (Fate.SMOKE_FAILED, 1.0),
        (Fate.WRONG_VERSION, 1.0),
    ],
)
@pytest.mark.parametrize("strategy", ["rolling", "blue-green", "canary"])
@virtual
async def test_19_each_way_to_be_broken_is_refused_in_seconds_with_its_own_reason(
    fate, within, strategy
):
    broken = Behaviour(fate=fate, start_s=0.2, life_s=0.5)
    spec = service(strategy=strategy, start_within=3.0, bake=20.0)
    stage = await Stage(spec, v2=broken).with_v1()
    began = stage.clock.now()
    await stage.deploy("v2")
    assert await stage.ended(60.0) == "reverted"
    assert stage.clock.now() - began < within
    # A crash loop that had traffic may be condemned by its errors before its third death.
    assert stage.revert.code in {fate.value} | ({"verdict"} if fate is Fate.CRASH_LOOP else set())
    assert stage.weights() == {"v1": 100}
    if fate is not Fate.CRASH_LOOP:
        assert stage.served_by("v2") == 0 and stage.watch.errors == 0


@virtual
async def test_20_flapping_is_not_progress_and_ends_in_a_rollback():
    flapping = Behaviour(**HEALTHY, flap_every_s=1.0, flap_down_s=0.6)
    spec = service(strategy="blue-green", no_progress=20.0, deadline=90.0, bake=60.0)
    stage = await Stage(spec, v2=flapping).with_v1()
    await stage.deploy("v2")
    assert await stage.ended(120.0) == "reverted"
    most = [fact.ready for fact in stage.facts(Progressed) if fact.at > 1.0]
    assert most == sorted(set(most))  # only ever more than before
    assert stage.revert.code != "deadline-rollout"  # noticed long before that
    assert stage.weights() == {"v1": 100}


@pytest.mark.req("T75")
@pytest.mark.parametrize("fate", [Fate.SMOKE_FAILED, Fate.WRONG_VERSION])
@virtual
async def test_21_a_green_probe_with_a_wrong_answer_gets_no_request(fate):
    stage = await Stage(v2=Behaviour(fate=fate)).with_v1()
    await stage.deploy("v2")
    assert await stage.ended(30.0) == "reverted"
    assert stage.served_by("v2") == 0
    assert all("v2" not in dict(s.order.weights) for s in stage.watch.done(Route))


@virtual
async def test_22_when_the_stable_release_dies_the_healthy_canary_takes_over():
    stage = await Stage(service(steps=SLOW)).with_v1()
    await stage.deploy("v2")
    await stage.until(lambda: stage.run.reached_at is not None)
    async with stage.suffer("lose-fleet", "v1"):
        await asyncio.sleep(1.0)
        assert stage.weights() == {"v2": 100}
        assert "refuge" in stage.holds or stage.run is None
        assert await stage.ended() == "promoted"
    assert stage.weights() == {"v2": 100}


@pytest.mark.parametrize("phase", ["shifting", "settling", "reverting"])
@pytest.mark.parametrize("replicas", [2, 8])
@virtual
async def test_23_scaling_in_every_phase_reaches_both_arms_and_starves_nobody(phase, replicas):
    slow_home = Behaviour(**HEALTHY)
    stage = await Stage(service(steps=SLOW, bake=20.0), v1=slow_home).with_v1()
    await stage.deploy("v2")
    await stage.until(lambda: stage.run.reached_at is not None)
    if phase == "settling":
        await stage.until(lambda: stage.run.phase.value == "settling")
    if phase == "reverting":
        await stage.post.command(Abort("ann"))
    await stage.post.command(ScaleTo(replicas, "ann"))
    ending = await stage.ended()
    assert ending == ("reverted" if phase == "reverting" else "promoted")
    await stage.settle()
    serving = "v1" if phase == "reverting" else "v2"
    assert stage.world.ready(serving) == replicas
    assert stage.watch.starved == 0


@virtual
async def test_24_instances_of_a_lost_node_come_back_as_the_release_they_were():
    stage = await Stage(service(replicas=5, steps=SLOW)).with_v1()
    await stage.deploy("v2")
    await stage.until(lambda: stage.run.reached_at is not None)
    before = stage.sizes()
    for version in ("v1", "v2"):
        async with stage.suffer("kill-replica", version, 1):
            await asyncio.sleep(0.05)
    await asyncio.sleep(2.0)
    stage.world.advance()
    assert stage.sizes() == before
    assert {r: stage.world.ready(r) for r in before} == before
    assert await stage.ended() == "promoted"


@virtual
async def test_30_a_weight_that_was_never_acknowledged_is_never_a_step():
    stage = await Stage(service(steps=SLOW, step_deadline=20.0, no_progress=60.0)).with_v1()
    async with stage.suffer("nack"):
        await stage.deploy("v2")
        await asyncio.sleep(15.0)
        assert stage.run.reached_at is None and "routing" in stage.holds
        assert await stage.ended(30.0) == "reverted"
    assert stage.revert.code == "deadline-step"
    assert stage.facts(StepEntered) == [] and stage.served_by("v2") == 0


@virtual
async def test_31_long_connections_are_counted_and_have_until_the_drain_deadline():
    long_lived = Behaviour(start_s=0.2, work_s=60.0)
    stage = await Stage(service(strategy="rolling", drain=5.0), v1=long_lived).with_v1()
    await stage.deploy("v2")
    await stage.until(lambda: stage.watch.done(Scale)[-1].order.release == "v1")
    assert stage.post.seen.fleet("v1").in_flight > 0
    assert await stage.ended() == "promoted"
    await stage.settle(10.0)
    gone = [bye.gone - bye.told for bye in stage.world.fleets["v1"].farewells if bye.served]
    assert len(gone) == 4
    assert min(gone) == pytest.approx(5.0) and max(gone) == pytest.approx(5.0)


@virtual
async def test_34_a_route_changed_by_hand_is_reported_and_not_fought():
    stage = await Stage(service(steps=SLOW)).with_v1()
    await stage.deploy("v2")
    await stage.until(lambda: stage.run.reached_at is not None)
    async with stage.suffer("drift", "v2"):
        await asyncio.sleep(1.0)
        moved = len(stage.watch.done(Route))
        await asyncio.sleep(30.0)
        assert "drift" in stage.holds
        assert len(stage.watch.done(Route)) == moved
        assert stage.run.step == 0
    assert await stage.ended() == "promoted"
