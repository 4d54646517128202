"""Edge cases 1-8, 32 and 37: what the counters say, and what they do not say."""

import asyncio
from dataclasses import replace

import pytest
from playground import HEALTHY, Stage, service, virtual

from holdfast.rollout.dispersion import dispersion
from holdfast.rollout.model import Counts, Judged, JudgePolicy, Mark, Measured, Sample, Source
from holdfast.rollout.verdict import Tally, absorb, judge
from holdfast.targets.simulated import Behaviour

SHORT = [{"weight": 10, "max": 20.0}, {"weight": 100}]


@pytest.mark.req("T72")
@pytest.mark.parametrize(
    ("policy", "ending"), [("rollback", "reverted"), ("promote", "promoted"), ("hold", "reverted")]
)
@virtual
async def test_01_without_traffic_the_verdict_is_insufficient_and_the_policy_decides(
    policy, ending
):
    spec = service(steps=SHORT, on_insufficient=policy, deadline=60.0)
    stage = await Stage(spec, rate=0.0).with_v1()
    await stage.deploy("v2")
    await stage.until(lambda: "needs-samples" in stage.holds)
    assert await stage.ended() == ending
    code = stage.revert.code if stage.revert else None
    assert code == {"rollback": "insufficient", "promote": None, "hold": "deadline-rollout"}[policy]
    assert Mark.PASS not in [fact.verdict.mark for fact in stage.facts(Judged)]


@virtual
async def test_02_at_very_low_traffic_it_waits_and_says_how_many_requests_are_missing():
    spec = service(steps=[{"weight": 50, "max": 900.0}, {"weight": 100}], deadline=1200.0)
    stage = await Stage(spec, rate=2.0).with_v1()
    await stage.deploy("v2")
    await stage.until(lambda: "needs-samples" in stage.holds)
    assert "332 more clean requests" in str(stage.post.holds)
    assert await stage.ended(1200.0) == "promoted"
    assert stage.run is None and stage.clock.now() > 300.0  # 332 requests at one per second


@virtual
async def test_03_counters_that_start_again_are_neither_negative_nor_a_verdict():
    stage = await Stage().with_v1()
    await stage.deploy("v2")
    await stage.step(1)
    async with stage.suffer("counter-reset"):
        await asyncio.sleep(1.0)
    assert await stage.ended() == "promoted"
    counts = [c for fact in stage.facts(Measured) for _, c in fact.sample.arms]
    assert counts and min(min(c.requests, c.errors, c.slow) for c in counts) >= 0
    assert sum(c.requests for c in counts) <= stage.watch.requests


@virtual
async def test_03_a_source_whose_numbers_stand_still_is_no_evidence_for_a_pass():
    spec = service(steps=SHORT, deadline=120.0)
    stage = await Stage(spec).with_v1()
    async with stage.suffer("metrics-frozen"):
        await stage.deploy("v2")
        assert await stage.ended() == "reverted"
    assert Mark.PASS not in [fact.verdict.mark for fact in stage.facts(Judged)]


@virtual
async def test_03_a_release_the_source_does_not_know_is_no_evidence_for_a_pass():
    stage = await Stage(service(steps=SHORT, deadline=120.0)).with_v1()
    whole = stage.world.counters

    async def half():
        return {name: counts for name, counts in (await whole()).items() if name != "v2"}

    stage.world.counters = half
    await stage.restart()
    await stage.deploy("v2")
    assert await stage.ended() == "reverted"
    assert stage.revert.code == "insufficient"
    assert stage.post.state.rejected == frozenset()


@virtual
async def test_04_few_errors_against_a_control_without_any_do_not_condemn():
    spec = service(steps=[{"weight": 10, "hold": 40.0}, {"weight": 100}])
    stage = await Stage(spec, v2=Behaviour(**HEALTHY, error_rate=0.0003)).with_v1()
    await stage.deploy("v2")
    assert await stage.ended() == "promoted", stage.revert
    errors = sum(f.sample.arm("v2").errors for f in stage.facts(Measured))
    assert errors > 0 and sum(f.sample.arm("v1").errors for f in stage.facts(Measured)) == 0


@virtual
async def test_05_a_silent_metric_store_holds_and_is_not_held_against_the_release():
    stage = await Stage(service(source_down=30.0, on_source_down="hold")).with_v1()
    async with stage.suffer("metrics-down"):
        await stage.deploy("v2")
        await stage.until(lambda: "source-down" in stage.holds)
        await asyncio.sleep(40.0)
        assert stage.run is not None and stage.run.step == 0
    assert await stage.ended() == "promoted"


@pytest.mark.req("T76")
@virtual
async def test_05_a_silent_metric_store_uses_up_a_budget_where_the_policy_says_rollback():
    stage = await Stage(service(source_down=10.0, on_source_down="rollback")).with_v1()
    async with stage.suffer("metrics-down"):
        await stage.deploy("v2")
        assert await stage.ended(60.0) == "reverted"
    assert stage.revert.code == "source-down"
    assert release_digest(stage) not in stage.post.state.rejected


def release_digest(stage):
    return stage.post.state.rollout.plan.new.digest


@virtual
async def test_06_an_outage_of_both_arms_is_not_blamed_on_the_new_release():
    stage = await Stage(service(steps=[{"weight": 25, "max": 120.0}, {"weight": 100}])).with_v1()
    await stage.deploy("v2")
    await stage.until(lambda: stage.run.reached_at is not None)
    await asyncio.sleep(2.0)
    async with stage.suffer("shared-outage", amount=0.4):
        await stage.until(lambda: "common-cause" in stage.holds)
        await asyncio.sleep(15.0)
    assert await stage.ended() == "promoted", stage.revert


@virtual
async def test_07_bursts_the_control_always_had_do_not_stop_a_release_that_has_them_too():
    bursty = {"start_s": 0.2, "error_rate": 0.003, "error_burst": 10.0}
    steps = [{"weight": 25, "hold": 60.0, "max": 200.0}, {"weight": 100}]
    raw = corrected = 0
    for seed in range(6):
        stage = Stage(
            service(steps=steps, analysis={"error_rate_max": 0.02}),
            rate=400.0,
            seed=seed,
            v1=Behaviour(**bursty),
            v2=Behaviour(**bursty),
        )
        await stage.with_v1()
        await asyncio.sleep(400.0)
        phi = dispersion_of_the_past(stage)
        assert phi > 3.0
        await stage.deploy("v2")
        await stage.ended()
        policy = stage.post.state.rollout.plan.judge
        raw += says_fail(stage, replace(policy, dispersion=1.0))
        corrected += says_fail(stage, replace(policy, dispersion=phi))
    assert corrected == 0
    assert raw > 0, "without the correction some are stopped"


def dispersion_of_the_past(stage):
    """Of the control's bad counts in bins of five seconds, before the rollout."""
    bad, seconds, bins = 0, 0.0, []
    for took, counts in stage.post.control:
        bad, seconds = bad + counts.errors, seconds + took
        if seconds >= 5.0:
            bins.append(bad)
            bad, seconds = 0, 0.0
    return dispersion(bins)


def says_fail(stage, policy):
    """Would this policy have stopped the rollout at any look? Replayed from the facts."""
    tally = Tally()
    for fact in stage.facts(Measured):
        tally = absorb(tally, policy, fact.sample, "v2", "v1")
        if judge(tally, policy).mark is Mark.FAIL:
            return True
    return False


@pytest.mark.parametrize(("warm_up", "ending"), [(6.0, "promoted"), (0.0, "reverted")])
@virtual
async def test_08_the_errors_of_a_cold_start_are_not_judged_within_the_warm_up(warm_up, ending):
    cold = Behaviour(**HEALTHY, cold_s=3.0, cold_error_rate=0.05)
    stage = await Stage(service(analysis={"warm_up": warm_up}), v2=cold).with_v1()
    await stage.deploy("v2")
    assert await stage.ended() == ending
    assert ending == "promoted" or stage.revert.code == "verdict"


@virtual
async def test_32_the_share_is_measured_so_sticky_sessions_do_not_look_like_errors():
    # At a weight of 5 % sticky sessions bring 30 % of the requests; both arms fail alike.
    policy = JudgePolicy(warm_up_s=0.0, error_rate_max=0.02)
    tally = Tally()
    for second in range(300):
        bad = second % 2
        arms = (("v2", Counts(300, bad * 3)), ("v1", Counts(700, bad * 7)))
        tally = absorb(tally, policy, Sample(Source.OK, 1.0, arms), "v2", "v1")
        assert judge(tally, policy).mark is not Mark.FAIL
    assert judge(tally, policy).mark is Mark.PASS


@pytest.mark.req("T76")
@virtual
async def test_37_a_verdict_that_falls_while_the_last_step_bakes_still_takes_it_back():
    stage = await Stage(service(bake=30.0)).with_v1()
    await stage.deploy("v2")
    await stage.until(lambda: stage.run.phase.value == "settling")
    await asyncio.sleep(5.0)
    stage.world.fleets["v2"].behaviour = Behaviour(**HEALTHY, error_rate=0.3)
    assert await stage.ended(30.0) == "reverted"
    assert stage.revert.code == "verdict"
    assert stage.weights() == {"v1": 100}
