"""What the five verdicts promise, as claims about counts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.rollout.model import Counts, JudgePolicy, Mark, Sample, Source
from holdfast.rollout.verdict import (
    RECENT_MAX,
    Tally,
    absorb,
    clean_requests_needed,
    judge,
    restart,
)

POLICY = JudgePolicy(warm_up_s=0.0)


def look(new: tuple[int, int], old: tuple[int, int], seconds: float = 1.0) -> Sample:
    """One interval: (requests, errors) of both arms."""
    return Sample(Source.OK, seconds, (("new", Counts(*new)), ("old", Counts(*old))))


def after(*samples: Sample, policy: JudgePolicy = POLICY, tally: Tally | None = None) -> Tally:
    grown = tally or Tally()
    for sample in samples:
        grown = absorb(grown, policy, sample, "new", "old")
    return grown


def first(mark: Mark, sample: Sample, policy: JudgePolicy = POLICY, looks: int = 2000) -> int:
    """After how many equal looks the verdict is ``mark``; 0: never."""
    tally = Tally()
    for count in range(1, looks + 1):
        tally = after(sample, policy=policy, tally=tally)
        if judge(tally, policy).mark is mark:
            return count
    return 0


def e_value(tally: Tally, policy: JudgePolicy = POLICY) -> float:
    return judge(tally, policy).evidence[0].e_value


interval = st.builds(
    lambda new, bad, old, worse: look((new, min(bad, new)), (old, min(worse, old))),
    st.integers(0, 200),
    st.integers(0, 20),
    st.integers(0, 200),
    st.integers(0, 20),
)


# ---- PASS needs evidence ------------------------------------------------------------------------


@pytest.mark.req("T72")
@pytest.mark.parametrize(("rate", "clean"), [(0.05, 65), (0.01, 332), (0.005, 664), (0.001, 3327)])
def test_a_stated_number_of_clean_requests_shows_a_stated_rate(rate, clean):
    policy = replace(POLICY, error_rate_max=rate)
    assert judge(Tally(), policy).needed == clean
    assert judge(after(look((clean - 1, 0), (10, 0)), policy=policy), policy).needed == 1
    assert judge(after(look((clean, 0), (10, 0)), policy=policy), policy).mark is Mark.PASS


@given(
    rate=st.floats(0.0005, 0.3),
    requests=st.integers(0, 20_000),
    share=st.floats(0, 0.5),
    phi=st.floats(1, 30),
)
def test_the_number_of_requests_still_needed_is_exact(rate, requests, share, phi):
    bad = int(requests * rate * share)
    more = clean_requests_needed(rate, 0.95, requests, bad, phi)
    if more:
        assert clean_requests_needed(rate, 0.95, requests + more, bad, phi) == 0
        assert clean_requests_needed(rate, 0.95, requests + more - 1, bad, phi) == 1


def test_no_data_at_all_is_no_verdict_and_says_what_is_needed():
    verdict = judge(Tally(), POLICY)
    assert verdict.mark is Mark.INSUFFICIENT
    assert "332 more clean requests" in verdict.detail


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 3)), max_size=30))
def test_a_release_without_requests_neither_passes_nor_fails(control):
    tally = after(*(look((0, 0), (n, min(bad, n))) for n, bad in control))
    assert judge(tally, POLICY).mark in (Mark.INSUFFICIENT, Mark.COMMON_CAUSE)
    assert judge(tally, POLICY, repair=True).mark is Mark.INSUFFICIENT


def test_a_shown_error_costs_more_requests_than_a_clean_start():
    assert judge(after(look((100, 1), (1900, 1))), POLICY).needed > 332


def test_dispersion_makes_pass_as_much_dearer_as_the_service_is_bursty():
    assert 3 * 331 < judge(Tally(), replace(POLICY, dispersion=3.0)).needed <= 3 * 332


def test_dispersion_takes_ten_failures_of_one_burst_for_one():
    bursty = replace(POLICY, dispersion=10.0)
    ten = e_value(after(look((100, 10), (1900, 20)), policy=bursty), bursty)
    assert ten == pytest.approx(e_value(after(look((100, 1), (1900, 2)))))


def test_a_rate_above_the_limit_is_never_shown_to_be_below_it():
    assert clean_requests_needed(0.01, 0.95, 10_000, 5_000) > 480_000


def test_every_blocking_metric_must_pass():
    policy = replace(POLICY, metrics=("errors", "slow"), slow_rate_max=0.05)
    slow = Sample(arms=(("new", Counts(400, 0, 30)), ("old", Counts(400, 0, 0))), seconds=1.0)
    verdict = judge(absorb(Tally(), policy, slow, "new", "old"), policy)
    assert verdict.mark is not Mark.PASS
    clean = Sample(arms=(("new", Counts(400, 0, 0)), ("old", Counts(400, 0, 0))), seconds=1.0)
    assert judge(absorb(Tally(), policy, clean, "new", "old"), policy).mark is Mark.PASS


def test_pass_on_one_step_is_not_pass_on_the_next():
    tally = after(look((400, 0), (400, 0)))
    assert judge(tally, POLICY).mark is Mark.PASS
    assert judge(restart(tally), POLICY).needed == 332


# ---- FAIL ---------------------------------------------------------------------------------------


@pytest.mark.req("T72", "T76")
def test_a_canary_that_fails_half_of_one_request_a_second_fails_within_fifteen_looks():
    assert 0 < first(Mark.FAIL, look((2, 1), (38, 0))) <= 15


@pytest.mark.req("T72", "T76")
def test_fail_names_the_metric_both_rates_and_the_bound():
    tally = after(*[look((10, 1), (190, 0))] * 10)
    verdict = judge(tally, POLICY)
    assert verdict.mark is Mark.FAIL
    for words in ("errors", "10 of 100 (10 %)", "0 of 1900 (0 %)", "bound 100"):
        assert words in verdict.detail


@given(st.lists(interval, min_size=1, max_size=25), st.data())
@settings(max_examples=150)
def test_one_more_bad_request_of_the_new_release_never_lowers_the_evidence(samples, data):
    at = data.draw(st.integers(0, len(samples) - 1))
    counts = samples[at].arm("new")
    if counts.errors == counts.requests:
        counts = Counts(counts.requests + 1, counts.errors)
        samples[at] = replace(samples[at], arms=(("new", counts), samples[at].arms[1]))
    worse = Counts(counts.requests, counts.errors + 1)
    worsened = list(samples)
    worsened[at] = replace(samples[at], arms=(("new", worse), samples[at].arms[1]))
    before, now = judge(after(*samples), POLICY), judge(after(*worsened), POLICY)
    if Mark.COMMON_CAUSE not in (before.mark, now.mark):
        frozen_alike = [a.frozen for a in _path(samples)] == [a.frozen for a in _path(worsened)]
        if frozen_alike:
            assert now.evidence[0].e_value >= before.evidence[0].e_value * (1 - 1e-9)


def _path(samples: list[Sample]) -> list[Tally]:
    tallies = [Tally()]
    for sample in samples:
        tallies.append(after(sample, tally=tallies[-1]))
    return tallies


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 2), st.integers(0, 3)), max_size=30))
def test_looking_twice_as_often_changes_the_evidence_by_a_factor_of_four_at_most(halves):
    """All of it is the prior of later faults; against a control without errors nothing changes."""
    whole = [look((2 * n, 2 * bad), (40 * n, 2 * worse)) for n, bad, worse in halves]
    parts = [look((n, bad), (20 * n, worse), 0.5) for n, bad, worse in halves]
    once = after(*whole)
    twice = after(*(part for part in parts for _ in range(2)))
    assert 0.25 < e_value(twice) / e_value(once) < 4.0
    if not any(worse for _, _, worse in halves):
        assert e_value(twice) == pytest.approx(e_value(once))


def test_few_errors_against_a_control_without_any_are_weighed_and_never_pass():
    """kayenta #426: errors 0,1,2,1,0,0 against zeros was a pass there."""
    tally = after(*(look((100, bad), (100, 0), 60.0) for bad in (0, 1, 2, 1, 0, 0)))
    assert judge(tally, POLICY).mark is Mark.INSUFFICIENT
    assert e_value(tally) > 2
    going_on = after(*(look((100, bad), (100, 0), 60.0) for bad in (0, 1, 2, 1, 0, 0) * 2))
    assert judge(going_on, POLICY).mark is Mark.INSUFFICIENT
    third = after(*(look((100, bad), (100, 0), 60.0) for bad in (0, 1, 2, 1, 0, 0) * 3))
    assert judge(third, POLICY).mark is Mark.FAIL


def test_what_is_tolerated_is_not_a_regression():
    policy = replace(POLICY, ratio_tolerated=3.0)
    assert first(Mark.FAIL, look((100, 3), (100, 1)), policy, looks=1500) == 0
    assert first(Mark.FAIL, look((100, 3), (100, 1)), looks=1500) > 0


def test_two_metrics_share_the_chance_of_a_false_stop():
    policy = replace(POLICY, metrics=("errors", "slow"))
    assert judge(Tally(), policy).evidence[0].bound == 200.0


def test_evidence_against_a_release_survives_the_next_step():
    tally = after(*[look((10, 1), (190, 0))] * 3)
    assert e_value(restart(tally)) == pytest.approx(e_value(tally))


def test_ten_clean_minutes_do_not_shield_a_late_fault():
    tally = after(*[look((10, 0), (190, 2))] * 600)
    looks = 0
    while judge(tally, POLICY).mark is not Mark.FAIL:
        tally = after(look((10, 5), (190, 2)), tally=tally)
        looks += 1
    assert looks <= 5


@pytest.mark.req("T72")
def test_one_request_a_minute_is_enough_to_judge_given_time():
    def minutes(errors: int, limit: int) -> int:
        tally, count = Tally(), 0
        while judge(tally, POLICY).mark is not Mark.FAIL and count < limit:
            half = [look((1, errors), (0, 0), 30.0), look((0, 0), (1, 0), 30.0)]
            tally, count = after(*half, tally=tally), count + 1
        return count

    assert minutes(errors=1, limit=100) <= 20
    assert minutes(errors=0, limit=500) == 500


def test_requests_that_never_fall_into_the_same_look_are_still_compared():
    """With such a limit the release alone proves nothing; only the comparison can."""
    policy = replace(POLICY, error_rate_max=0.9)
    tally = Tally()
    for _ in range(20):
        tally = after(look((1, 1), (0, 0)), look((0, 0), (1, 0)), policy=policy, tally=tally)
    assert judge(tally, policy).mark is Mark.FAIL


def test_errors_that_are_counted_before_their_requests_are_no_crash_and_no_verdict():
    verdict = judge(after(look((0, 1), (100, 0)), look((10, 0), (90, 0))), POLICY)
    assert verdict.mark is Mark.INSUFFICIENT
    assert (verdict.evidence[0].new_bad, verdict.evidence[0].new_requests) == (1, 11)


# ---- warm-up ------------------------------------------------------------------------------------


def test_errors_of_a_cold_start_are_not_held_against_the_release():
    policy = replace(POLICY, warm_up_s=30.0)
    cold = after(*[look((100, 3), (1900, 2))] * 30, policy=policy)
    assert e_value(cold, policy) <= 1.0
    assert judge(cold, policy).needed == 332


@pytest.mark.req("T76")
def test_a_release_that_answers_nothing_is_not_excused_by_its_warm_up():
    policy = replace(POLICY, warm_up_s=30.0)
    assert judge(after(look((8, 8), (152, 0)), policy=policy), policy).mark is Mark.FAIL


def test_the_warm_up_begins_with_the_first_request_and_not_with_the_first_look():
    policy = replace(POLICY, warm_up_s=10.0)
    waiting = after(*[look((0, 0), (100, 0))] * 60, policy=policy)
    cold = after(*[look((100, 0), (100, 0))] * 10, policy=policy, tally=waiting)
    assert judge(cold, policy).needed == 332
    assert judge(after(look((400, 0), (100, 0)), policy=policy, tally=cold), policy).needed == 0


def test_the_warm_up_is_repeated_only_for_instances_that_never_served():
    policy = replace(POLICY, warm_up_s=5.0)
    warm = after(*[look((100, 0), (100, 0))] * 6, policy=policy)
    again = look((400, 0), (400, 0))
    assert judge(after(again, policy=policy, tally=restart(warm)), policy).mark is Mark.PASS
    chilled = after(again, policy=policy, tally=restart(warm, cold=True))
    assert judge(chilled, policy).mark is Mark.INSUFFICIENT


# ---- the source ---------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [Source.DOWN, Source.STALE])
def test_a_silent_source_decides_nothing_and_its_counts_are_ignored(source):
    dark = Sample(source, 1.0, (("new", Counts(1000, 1000)), ("old", Counts(1000, 0))))
    tally = after(*[look((10, 0), (190, 0))] * 5, dark)
    assert judge(tally, POLICY).mark is Mark.SOURCE_DOWN
    assert tally.trials == after(*[look((10, 0), (190, 0))] * 5).trials


def test_the_verdict_resumes_when_the_source_does():
    tally = after(look((200, 0), (200, 0)), Sample(Source.DOWN), look((200, 0), (200, 0)))
    assert judge(tally, POLICY).mark is Mark.PASS


def test_shown_failure_is_not_forgotten_when_the_source_falls_silent():
    tally = after(*[look((10, 5), (190, 0))] * 5, Sample(Source.DOWN))
    assert judge(tally, POLICY).mark is Mark.FAIL


# ---- the control is bad too ---------------------------------------------------------------------


@pytest.mark.req("T72")
def test_an_outage_of_both_arms_freezes_and_blames_nobody():
    tally = after(*[look((100, 0), (1900, 1))] * 3, *[look((100, 60), (1900, 700))] * 20)
    verdict = judge(tally, POLICY)
    assert verdict.mark is Mark.COMMON_CAUSE
    assert "the cause is shared" in verdict.detail


def test_an_outage_is_still_shared_after_a_step_a_pause_or_a_new_conductor():
    tally = after(*[look((100, 0), (1900, 1))] * 3, *[look((100, 90), (1900, 10))] * 2)
    assert judge(tally, POLICY).mark is Mark.FAIL
    shared = after(*[look((100, 90), (1900, 1700))] * 5, tally=tally)
    assert judge(shared, POLICY).mark is Mark.COMMON_CAUSE
    for cold in (False, True):
        assert judge(restart(shared, cold), POLICY).mark is Mark.COMMON_CAUSE
    calm = after(*[look((100, 0), (1900, 1))] * 30, tally=restart(shared))
    assert judge(calm, POLICY).mark is not Mark.COMMON_CAUSE


def test_an_outage_of_both_arms_during_the_warm_up_is_not_blamed_once_it_is_over():
    policy = replace(POLICY, warm_up_s=5.0)
    during = after(*[look((100, 40), (1900, 760))] * 20, policy=policy)
    assert judge(during, policy).mark is Mark.COMMON_CAUSE
    over = after(*[look((100, 0), (1900, 1))] * 20, policy=policy, tally=during)
    assert judge(over, policy).mark is Mark.PASS
    ruin = after(*[look((100, 100), (1900, 760))] * 4, policy=policy)
    assert judge(ruin, policy, repair=True).mark is Mark.FAIL


def test_after_an_outage_the_window_is_fresh_and_the_release_can_still_pass():
    during = after(*[look((100, 0), (1900, 1))] * 3, *[look((100, 35), (1900, 700))] * 20)
    looks, tally = 0, during
    while judge(tally, POLICY).mark is Mark.COMMON_CAUSE:
        tally = after(look((100, 0), (1900, 1)), tally=tally)
        looks += 1
    assert looks <= 10
    assert judge(tally, POLICY).needed == 332 - 100
    assert judge(after(*[look((100, 0), (1900, 1))] * 3, tally=tally), POLICY).mark is Mark.PASS


@pytest.mark.req("T72")
def test_a_sick_control_never_blocks_the_fix():
    assert first(Mark.PASS, look((100, 0), (1900, 700))) <= 5


def test_a_release_that_shares_the_sickness_is_judged_by_absolute_rates_in_repair_mode():
    tally = after(*[look((100, 35), (1900, 700))] * 5)
    assert judge(tally, POLICY).mark is Mark.COMMON_CAUSE
    assert judge(tally, POLICY, repair=True).mark is Mark.FAIL


def test_in_repair_mode_counts_of_the_shared_sickness_can_pass_too():
    lenient = replace(POLICY, error_rate_max=0.25)
    tally = after(*[look((100, 12), (1900, 1500))] * 10, policy=lenient)
    assert judge(tally, lenient).mark is Mark.COMMON_CAUSE
    assert judge(tally, lenient, repair=True).mark is Mark.PASS


@pytest.mark.parametrize("steady", [1, 2, 4])
def test_a_service_that_always_has_errors_can_still_be_rolled_out(steady):
    passed = first(Mark.PASS, look((100, steady), (1900, 19 * steady)))
    assert 0 < passed <= 60
    assert first(Mark.FAIL, look((100, steady), (1900, 19 * steady)), looks=1000) == 0


def test_a_release_twice_as_bad_as_a_control_with_errors_never_passes():
    assert first(Mark.PASS, look((100, 4), (1900, 38)), looks=400) == 0
    assert first(Mark.FAIL, look((100, 4), (1900, 38)), looks=400) > 0


def test_a_control_with_hardly_any_requests_excuses_nothing():
    assert judge(after(look((340, 9), (3, 1))), POLICY).mark is not Mark.PASS
    assert judge(after(look((340, 0), (3, 1))), POLICY).mark is Mark.PASS


# ---- without a control --------------------------------------------------------------------------


def alone(*counts: tuple[int, int]) -> Tally:
    tally = Tally()
    for pair in counts:
        sample = Sample(Source.OK, 1.0, (("new", Counts(*pair)),))
        tally = absorb(tally, POLICY, sample, "new", None)
    return tally


@pytest.mark.req("T76")
def test_a_first_deploy_with_twenty_percent_errors_fails():
    verdict = judge(alone(*[(10, 2)] * 5), POLICY)
    assert verdict.mark is Mark.FAIL
    assert "1 % that are promised" in verdict.detail


def test_a_first_deploy_passes_by_absolute_evidence():
    assert judge(alone(*[(83, 0)] * 4), POLICY).mark is Mark.PASS


def test_at_full_weight_a_fault_is_found_although_no_control_is_left():
    before = after(*[look((100, 0), (100, 0))] * 5)
    tally = after(*[look((200, 40), (0, 0))] * 3, tally=restart(before))
    assert judge(tally, POLICY).mark is Mark.FAIL


def test_at_full_weight_the_usual_errors_of_the_service_are_excused():
    tally = restart(after(*[look((100, 2), (1900, 38))] * 10))
    tally = after(*[look((200, 4), (0, 0))] * 300, tally=tally)
    assert judge(tally, POLICY).mark is Mark.PASS


# ---- bounds -------------------------------------------------------------------------------------


@given(st.lists(st.tuples(interval, st.sampled_from([0.01, 0.1, 1.0, 60.0])), max_size=60))
def test_the_tally_never_grows_beyond_its_ring(samples):
    tally = after(*(replace(sample, seconds=seconds) for sample, seconds in samples))
    assert len(tally.recent) <= RECENT_MAX


def test_a_million_requests_a_second_overflow_nothing():
    tally = after(*[look((10**6, 10**5), (10**6, 10**3))] * 1000)
    assert judge(tally, POLICY).mark is Mark.FAIL


@pytest.mark.parametrize("counts", [Counts(-1, 0), Counts(1, -1)])
def test_negative_counts_are_a_bug_of_the_caller(counts):
    with pytest.raises(AssertionError):
        absorb(Tally(), POLICY, Sample(arms=(("new", counts),)), "new", "old")


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1.0])
def test_an_impossible_interval_is_a_bug_of_the_caller(seconds):
    with pytest.raises(AssertionError):
        absorb(Tally(), POLICY, Sample(seconds=seconds), "new", "old")
