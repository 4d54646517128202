"""Decisions that look right at first: pauses over a restart, queues, bakes, blame, what is left."""

import asyncio

import pytest
from playground import HEALTHY, Stage, release, service, virtual

from holdfast.rollout.commands import Abort, Deploy, Pause, Resume, ScaleTo
from holdfast.rollout.model import Route, Slipped
from holdfast.rollout.plan import plan_rollout
from holdfast.rollout.replay import replay
from holdfast.rollout.state import wanted_releases
from holdfast.targets.base import Bundle
from holdfast.targets.simulated import Behaviour, Fate

SLOW = [{"weight": 10, "hold": 30.0, "max": 120.0}, {"weight": 100}]


@virtual
async def test_a_conductor_that_is_replaced_during_a_pause_does_not_lengthen_what_comes_after():
    stage = await Stage(service(steps=SLOW, deadline=300.0)).with_v1()
    await stage.deploy("v2")
    await stage.until(lambda: stage.run.reached_at is not None)
    await stage.post.command(Pause("ann"))
    await asyncio.sleep(1800.0)
    await stage.restart()
    await asyncio.sleep(1800.0)
    await stage.post.command(Resume("ann"))
    assert await stage.ended(120.0) == "promoted", stage.revert


@virtual
async def test_an_aborted_rollback_ends_where_it_began_and_strands_nobody():
    stage = await Stage(service(steps=SLOW, deadline=300.0)).with_v1()
    await stage.deploy("v2")
    assert await stage.ended(300.0) == "promoted"
    async with stage.suffer("slow-ack", amount=5.0):
        await stage.rollback("v1")
        await stage.post.command(Abort("ben", "it was the network"))
    assert await stage.ended(60.0) == "reverted", stage.run
    assert stage.post.state.stable.version == "v2"
    assert stage.weights() == {"v2": 100}


@virtual
async def test_what_flaps_while_it_bakes_is_not_promoted_between_two_of_its_falls():
    flapping = Behaviour(**HEALTHY, flap_every_s=4.0, flap_down_s=0.6)
    spec = service(
        2,
        strategy="blue-green",
        bake=5.0,
        deadline=120.0,
        no_progress=60.0,
        analysis={"error_rate_max": 0.5},
    )
    stage = await Stage(spec, v2=flapping).with_v1()
    await stage.deploy("v2")
    assert await stage.ended(200.0) == "reverted"
    assert stage.revert.code == "flapping"
    assert stage.facts(Slipped)


@virtual
async def test_a_bake_that_ends_with_one_of_four_instances_ready_is_not_a_promotion():
    spec = service(strategy="blue-green", bake=5.0, deadline=60.0, start_within=40.0)
    stage = await Stage(spec).with_v1()
    await stage.deploy("v2")
    await stage.until(lambda: stage.run.phase.value == "settling")
    async with stage.suffer("slow-start", amount=20.0):
        async with stage.suffer("kill-replica", "v2", 2):
            pass
        await asyncio.sleep(14.0)
        stage.world.advance()
        assert stage.world.ready("v2") < 4
        assert stage.run is not None, "promoted while half of it was down"


@pytest.mark.parametrize("hold", ["approval", "window", "common-cause"])
@virtual
async def test_a_deadline_that_passed_while_nothing_was_shown_against_a_release_blames_nobody(hold):
    steps = [{"weight": 25, "approvals": int(hold == "approval")}, {"weight": 100}]
    stage = await Stage(service(steps=steps, deadline=40.0)).with_v1()
    await stage.deploy("v2")
    await stage.until(lambda: stage.run.reached_at is not None)
    stage.gate_text = "frozen" if hold == "window" else None
    async with stage.suffer("shared-outage", amount=0.5 if hold == "common-cause" else 0.0):
        assert await stage.ended(60.0) == "reverted"
    assert stage.revert.code == "deadline-rollout"
    assert stage.post.state.rejected == frozenset()
    stage.gate_text = None
    await stage.deploy("v2")


@virtual
async def test_a_release_queued_behind_the_first_one_climbs_its_own_ladder():
    stage = await Stage(service(steps=SLOW)).start()
    await stage.deploy("v1")
    await stage.deploy("v2", policy="queue")
    await stage.until(lambda: stage.run and stage.run.plan.new.version == "v2")
    assert stage.run.plan.old == release("v1")
    assert [step.weight for step in stage.run.plan.ladder] == [10, 100]
    assert await stage.ended() == "promoted"


@virtual
async def test_a_release_queued_behind_a_first_one_that_fails_is_a_first_deploy():
    stage = await Stage(service(steps=SLOW), v1=Behaviour(fate=Fate.EXITS_AT_ONCE)).start()
    await stage.deploy("v1")
    await stage.deploy("v2", policy="queue")
    await stage.until(lambda: stage.run and stage.run.plan.new.version == "v2")
    assert stage.run.plan.old is None
    assert await stage.ended() == "promoted"
    assert stage.weights() == {"v2": 100}


@virtual
async def test_a_queued_release_waits_while_the_service_is_scaled_to_nothing():
    stage = await Stage(service(steps=SLOW, step_deadline=20.0)).with_v1()
    await stage.deploy("v2")
    await stage.until(lambda: stage.run.reached_at is not None)
    await stage.deploy("v3", policy="queue")
    await stage.post.command(ScaleTo(0, "ann"))
    await stage.settle(60.0)
    assert stage.run is None and "queued" in stage.holds
    await stage.post.command(ScaleTo(4, "ann"))
    await stage.until(lambda: stage.run and stage.run.plan.new.version == "v3")
    assert await stage.ended() == "promoted"


@virtual
async def test_the_bundle_of_a_queued_release_is_kept():
    stage = await Stage(service(steps=SLOW)).with_v1()
    await stage.deploy("v2")
    await stage.deploy("v3", policy="queue")
    assert {"v1", "v2", "v3"} <= wanted_releases(stage.post.state)


@pytest.mark.parametrize("way", ["replace", "rollback"])
@virtual
async def test_the_few_that_are_left_of_a_rolling_update_are_not_given_everything_at_once(way):
    stage = await Stage(service(10, strategy="rolling", max_surge=2)).with_v1()
    if way == "rollback":
        await stage.deploy("v2")
        assert await stage.ended() == "promoted"
    half, other = ("v3", "v1") if way == "rollback" else ("v2", "v3")
    await stage.deploy(half)
    await stage.until(lambda: stage.weights().get(half, 0) >= 50)
    began = stage.clock.now()
    if way == "rollback":
        await stage.rollback("v1")
    else:
        await stage.deploy("v3", policy="replace")
    assert await stage.ended() == "promoted"
    await stage.settle()
    assert stage.weights() == {other: 100}
    for seen in stage.watch.done(Route):
        for name, weight in seen.order.weights if seen.at >= began else ():
            assert weight <= 10 * seen.before.ready[name], f"{seen.order} on {seen.before.ready}"


@virtual
async def test_a_paused_rolling_update_gains_no_traffic():
    spec = service(10, strategy="rolling", max_surge=5)
    slow = Behaviour(start_s=5.0, start_spread_s=4.0, work_s=0.1)
    stage = await Stage(spec, v2=slow).with_v1()
    await stage.deploy("v2")
    await stage.until(lambda: stage.weights().get("v2", 0) > 0)
    await stage.post.command(Pause("ann"))
    await asyncio.sleep(0.2)
    before = stage.weights()["v2"]
    assert before < 50
    await asyncio.sleep(30.0)
    assert stage.weights()["v2"] == before
    await stage.post.command(Resume("ann"))
    assert await stage.ended() == "promoted"


async def restarted(stage, version, **more):
    """The same digest again, under a name of its own."""
    again = type(release(version))(f"{version}-again", release(version).digest, version)
    await stage.world.prepare(Bundle(again, stage.spec))
    plan = plan_rollout(stage.spec, stage.post.state.stable, again, "again")
    return await stage.post.command(Deploy(plan, "ann", restart=True, **more))


@virtual
async def test_a_restart_that_fails_goes_home_and_condemns_neither_itself_nor_the_next_way_back():
    stage = await Stage(
        service(steps=SLOW), **{"v1-again": Behaviour(fate=Fate.EXITS_AT_ONCE)}
    ).with_v1()
    await restarted(stage, "v1")
    assert await stage.ended() == "reverted"
    assert stage.weights() == {"v1": 100}
    assert stage.post.state.rejected == frozenset()
    stage.world.cast = type(stage.world.cast)((("v2", Behaviour(**HEALTHY, error_rate=0.5)),))
    await stage.deploy("v2")
    assert await stage.ended() == "reverted"


@virtual
async def test_deaths_of_an_earlier_life_are_no_crash_loop_of_this_rollout():
    stage = await Stage().with_v1()
    for _ in range(4):
        async with stage.suffer("kill-replica", "v1", 1):
            await asyncio.sleep(30.0)
    await stage.deploy("v2")
    assert await stage.ended() == "promoted"
    await stage.deploy("v1")
    assert await stage.ended() == "promoted", stage.revert


@pytest.mark.parametrize("trouble", ["pause", "restart"])
@pytest.mark.parametrize("rate", [0.0, 0.004, 0.012, 0.04])
@virtual
async def test_a_replay_under_the_planned_policy_says_what_was_said_then(trouble, rate):
    steps = [{"weight": 10, "hold": 6.0}, {"weight": 50, "hold": 6.0}, {"weight": 100}]
    bad = Behaviour(**HEALTHY, cold_s=4.0, cold_error_rate=0.08, error_rate=rate)
    spec = service(steps=steps, analysis={"warm_up": 5.0, "error_rate_max": 0.02})
    stage = await Stage(spec, rate=400.0, v2=bad).with_v1()
    await stage.deploy("v2")
    await stage.until(lambda: stage.run.reached_at is not None)
    await asyncio.sleep(4.0)
    if trouble == "pause":
        await stage.post.command(Pause("ann"))
        await asyncio.sleep(10.0)
        if stage.run is not None:
            await stage.post.command(Resume("ann"))
    else:
        await stage.restart(after=3.0)
    ending = await stage.ended()
    again = replay(stage.journal.recall("shop"))[-1]
    assert again.passed is not None or ending == "reverted"
    if ending == "promoted":
        assert again.failed is None, str(again)
    else:
        assert again.failed.at == stage.revert.at


@virtual
async def test_an_outage_that_both_share_is_not_blamed_on_the_last_batch_of_a_rolling_update():
    spec = service(10, strategy="rolling", max_surge=2, bake=5.0)
    stage = await Stage(spec, rate=2000.0).with_v1()
    await stage.deploy("v2")
    await stage.until(lambda: stage.weights().get("v2", 0) >= 60)
    async with stage.suffer("shared-outage", amount=0.5):
        await stage.until(lambda: stage.run is None or stage.run.phase.value == "settling")
    assert await stage.ended() == "promoted", stage.revert


@virtual
async def test_a_way_back_that_is_long_and_goes_on_is_not_called_hopeless():
    spec = service(10, strategy="rolling", max_surge=1, step_deadline=30.0, bake=60.0)
    slow = Behaviour(start_s=5.0, work_s=0.1)
    stage = await Stage(spec, v1=slow).with_v1()
    await stage.deploy("v2")
    await stage.until(lambda: stage.run.phase.value == "settling")
    await stage.post.command(Abort("ann"))
    assert await stage.ended() == "reverted"
    assert stage.clock.now() - stage.revert.at > 30.0
