"""The statistics once more, by scipy and by the formula of the paper: the same numbers."""

from __future__ import annotations

from math import exp, log

import numpy as np
import pytest
from scipy import integrate, stats

from holdfast.rollout.evidence import (
    LATER,
    PASS_PRIOR,
    RATIOS,
    Arms,
    Process,
    alone,
    clean_requests_needed,
    compare,
    fixed,
    wilson,
)
from holdfast.rollout.model import Counts, JudgePolicy, Mark, Sample
from holdfast.rollout.verdict import Tally, absorb, judge


def by_the_paper(tolerated: float, arms: Arms) -> list[float]:
    """Lindon & Malek: x bad of the new release among all bad ones, at share w; see DESIGN.md."""
    w = arms.new_requests / (arms.new_requests + arms.old_requests)
    base = tolerated * w / (tolerated * w + 1 - w)
    logs = []
    for ratio in RATIOS:
        if ratio > tolerated:
            theta = ratio * w / (ratio * w + 1 - w)
            logs.append(
                arms.new_bad * log(theta / base) + arms.old_bad * log((1 - theta) / (1 - base))
            )
    return logs


@pytest.mark.parametrize("tolerated", [1.0, 1.25, 3.0])
@pytest.mark.parametrize(
    "arms", [Arms(10, 1, 190, 0), Arms(10, 0, 190, 3), Arms(500, 40, 500, 7), Arms(1, 1, 9999, 2)]
)
def test_the_comparison_is_the_formula_of_the_paper(tolerated, arms):
    assert compare(tolerated, 1.0, arms) == pytest.approx(by_the_paper(tolerated, arms))


@pytest.mark.req("T72")
@pytest.mark.parametrize("tolerated", [1.0, 1.25, 2.0])
@pytest.mark.parametrize(("new", "old"), [(10, 190), (100, 100), (3, 7)])
@pytest.mark.parametrize("truth", [1.0, 0.8, 0.1])
def test_a_bin_of_a_healthy_release_is_a_fair_bet_or_a_losing_one(tolerated, new, old, truth):
    """E, summed over every split of the bad requests by scipy's binomial, is 1 at the tolerated
    ratio and below 1 for a better release: so nothing is won by looking often."""
    share = new / (new + old)
    ratio = tolerated * truth
    theta = ratio * share / (ratio * share + 1 - share)
    for bad in (1, 2, 7, 30):
        split = np.arange(bad + 1)
        chance = stats.binom.pmf(split, bad, theta)
        bets = np.exp([compare(tolerated, 1.0, Arms(new, x, old, bad - x)) for x in split])
        fair = chance @ bets
        if truth == 1.0:
            assert fair == pytest.approx(np.ones_like(fair))
        else:
            assert (fair < 1.0).all()


@pytest.mark.parametrize("limit", [0.001, 0.01, 0.2, 0.6])
@pytest.mark.parametrize("requests", [1, 20, 400])
def test_a_release_alone_at_its_limit_is_a_fair_bet(limit, requests):
    bad = np.arange(requests + 1)
    for truth in (limit, limit / 2):
        chance = stats.binom.pmf(bad, requests, truth)
        expected = chance @ [fixed(alone(limit, 1.0, requests, int(x))) for x in bad]
        assert expected <= 1.0 + 1e-9
        if truth == limit and requests <= 20:  # beyond, the chances of the greatest wins are 0.0
            assert expected == pytest.approx(1.0)


def test_the_mass_of_later_faults_adds_up_to_one_whatever_happens():
    process = Process()
    for starts in range(1, 200):
        process = process.grow([0.0] * len(RATIOS), start=starts % 3 > 0)
        assert process.value == pytest.approx(1.0)
    assert process.starts > 100 and 0 < LATER < 1


@pytest.mark.parametrize(
    ("rate", "requests", "bad"), [(0.01, 332, 0), (0.05, 200, 1), (0.1, 90, 2)]
)
def test_what_passes_is_the_beta_mixture_integrated_by_scipy(rate, requests, bad):
    """E of Beta(1, PASS_PRIOR/rate) against the rate itself; PASS when it reaches 1/(1-0.95)."""
    prior = stats.beta(1, PASS_PRIOR / rate)

    def evidence(n: int) -> float:
        def ratio(p: float) -> float:
            return float(prior.pdf(p)) * exp(
                bad * log(p / rate) + (n - bad) * log((1 - p) / (1 - rate))
            )

        value, _error = integrate.quad(ratio, 1e-12, 1 - 1e-12, limit=400, points=[rate / 5, rate])
        return float(value)

    needed = requests + clean_requests_needed(rate, 0.95, requests, bad)
    assert evidence(needed) >= 20.0 * (1 - 1e-6)
    assert evidence(needed - 1) < 20.0 or needed == requests


@pytest.mark.req("T72")
@pytest.mark.parametrize(("rate", "requests"), [(0.01, 2000), (0.05, 600)])
def test_a_release_at_the_forbidden_rate_passes_less_often_than_one_in_twenty(rate, requests):
    """Looked at after every request, as the engine does: exact, by the chances of each path."""
    alive = np.array([1.0])
    passed = 0.0
    for n in range(1, requests + 1):
        alive = np.append(alive * (1 - rate), 0.0) + np.append(0.0, alive * rate)
        for bad in range(min(n, 40) + 1):
            if alive[bad] > 1e-15 and clean_requests_needed(rate, 0.95, n, bad) == 0:
                passed += alive[bad]
                alive[bad] = 0.0
    assert 0.0 < passed <= 0.05


@pytest.mark.parametrize(("bad", "requests"), [(0, 10), (3, 40), (50, 1000), (999, 1000)])
def test_wilson_is_the_interval_that_scipy_knows(bad, requests):
    known = stats.binomtest(bad, requests).proportion_ci(0.90, "wilson")
    assert wilson(bad, requests) == pytest.approx((known.low, known.high), abs=1e-4)


def test_the_verdict_stops_where_the_paper_stops():
    """The whole path, once by the verdict and once by the sum over all bins of the formula."""
    dice, policy = np.random.default_rng(5), JudgePolicy(warm_up_s=0.0)
    tally, logs = Tally(), np.zeros(len(RATIOS))
    for _second in range(120):
        new, old = int(dice.poisson(10)) + 1, int(dice.poisson(190)) + 1
        arms = Arms(new, int(dice.binomial(new, 0.05)), old, 0)
        logs += by_the_paper(policy.ratio_tolerated, arms)
        pair = (("new", Counts(new, arms.new_bad)), ("old", Counts(old, 0)))
        tally = absorb(tally, policy, Sample(seconds=1.0, arms=pair), "new", "old")
        # 0.9 of the weight is the comparison, 0.9 of that from the first bin on; 0.05 and 0.05 and
        # what later faults may still get are the other bets, untouched here.
        mine = 0.9 * (0.9 * float(np.exp(logs).mean()) + LATER) + 0.05 + 0.05
        verdict = judge(tally, policy)
        assert verdict.evidence[0].e_value == pytest.approx(mine)
        assert (verdict.mark is Mark.FAIL) is (mine >= 100.0)
        if verdict.mark is Mark.FAIL:
            return
    raise AssertionError("a release that fails 5 % was never stopped")
