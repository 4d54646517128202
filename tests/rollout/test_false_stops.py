"""The promise of the sequential test, on seeded canaries: few false stops, however often one looks.

``benchmarks/canary_statistics.py`` runs the same on 10,000 canaries.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from numpy import asarray, maximum
from numpy.random import Generator, default_rng

from holdfast.rollout.dispersion import Bins
from holdfast.rollout.model import Counts, JudgePolicy, Mark, Sample, Source
from holdfast.rollout.verdict import Tally, absorb, judge

RUNS = 100  # of each scene; four scenes of healthy canaries
ALPHA = 0.01
SHARE = 0.05


def looks(dice: Generator, rate: float, bad: float, outage: bool = False) -> Iterator[Sample]:
    """Five minutes of a healthy canary; ``outage``: one minute in which 30 % fail on both arms."""
    new = dice.poisson(rate * SHARE, 300)
    old = dice.poisson(rate * (1 - SHARE), 300)
    rates = asarray([0.3 if outage and 100 <= second < 160 else bad for second in range(300)])
    columns = (new, dice.binomial(new, rates), old, dice.binomial(old, rates))
    return samples(*(column.tolist() for column in columns))


def samples(new: list[int], new_bad: list[int], old: list[int], old_bad: list[int]):
    for n, x, m, y in zip(new, new_bad, old, old_bad, strict=True):
        yield Sample(Source.OK, 1.0, (("new", Counts(n, x)), ("old", Counts(m, y))))


def stopped_after(story: Iterator[Sample], policy: JudgePolicy) -> int:
    tally = Tally()
    for second, sample in enumerate(story, start=1):
        tally = absorb(tally, policy, sample, "new", "old")
        if sample.arm("new").errors and judge(tally, policy).mark is Mark.FAIL:
            return second
    return 0


@pytest.mark.req("T72")
@pytest.mark.parametrize(
    ("rate", "bad", "outage"),
    [(200, 0.001, False), (20, 0.01, False), (200, 0.02, False), (200, 0.001, True)],
    ids=["steady", "few requests", "always errors", "shared outage"],
)
def test_a_healthy_canary_is_stopped_no_more_often_than_alpha(rate, bad, outage):
    policy = JudgePolicy(alpha=ALPHA, warm_up_s=1.0)
    dice = default_rng([72, rate, outage])
    stops = [stopped_after(looks(dice, rate, bad, outage), policy) for _ in range(RUNS)]
    assert sum(map(bool, stops)) <= ALPHA * RUNS


def burst(dice: Generator, errors: float, size: int) -> list[int]:
    """Failures of 300 seconds, ``errors`` a second, in bursts of ``size``."""
    return (dice.poisson(errors / size, 300) * size).tolist()


@pytest.mark.req("T72")
def test_bursts_stop_healthy_canaries_unless_the_dispersion_before_is_known():
    dice, raw, corrected = default_rng(76), 0, 0
    for _ in range(60):
        bins = Bins()
        for bad in burst(dice, 1.0, 10) + burst(dice, 1.0, 10):
            bins = bins.add(1.0, bad)
        new_bad, old_bad = burst(dice, SHARE, 10), burst(dice, 1 - SHARE, 10)
        new = maximum(dice.poisson(10, 300), new_bad).tolist()
        old = maximum(dice.poisson(190, 300), old_bad).tolist()
        story = list(samples(new, new_bad, old, old_bad))
        raw += stopped_after(iter(story), JudgePolicy(warm_up_s=1.0)) > 0
        known = JudgePolicy(warm_up_s=1.0, dispersion=bins.dispersion)
        corrected += stopped_after(iter(story), known) > 0
    assert raw >= 20
    assert corrected <= 1


@pytest.mark.req("T72", "T76")
def test_a_canary_with_five_percent_errors_is_stopped_well_within_a_minute():
    dice, times = default_rng(60), []
    for _ in range(100):
        new, old = dice.poisson(10, 300), dice.poisson(190, 300)
        story = samples(
            new.tolist(),
            dice.binomial(new, 0.05).tolist(),
            old.tolist(),
            dice.binomial(old, 0.001).tolist(),
        )
        times.append(stopped_after(story, JudgePolicy(warm_up_s=1.0)) or 1000)
    assert sorted(times)[50] <= 12
    assert sorted(times)[95] <= 30
