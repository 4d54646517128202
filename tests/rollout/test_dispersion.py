"""How bursty failures are, measured before a rollout."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import default_rng

from holdfast.rollout.dispersion import (
    BINS_MAX,
    BINS_MIN,
    DISPERSION_MAX,
    Bins,
    dispersion,
)


def test_independent_failures_have_a_dispersion_of_about_one():
    counts = default_rng(1).poisson(4.0, BINS_MAX).tolist()
    assert 1.0 <= dispersion(counts) < 1.4


@pytest.mark.parametrize("burst", [3, 10, 30])
def test_bursts_show_in_the_dispersion(burst):
    dice = default_rng(2)
    counts = (dice.poisson(4.0, BINS_MAX) * burst).tolist()
    assert dispersion(counts) == pytest.approx(burst, rel=0.4)


def test_too_few_bins_and_no_failures_say_nothing():
    assert dispersion([0, 50] * (BINS_MIN // 2 - 1)) == 1.0
    assert dispersion([0] * BINS_MAX) == 1.0


@given(st.lists(st.integers(0, 10**6), max_size=200))
def test_the_dispersion_stays_within_its_bounds(counts):
    assert 1.0 <= dispersion(counts) <= DISPERSION_MAX


def test_an_outage_in_the_minutes_before_does_not_blind_the_verdict():
    assert dispersion([1] * 108 + [300] * 12) == DISPERSION_MAX


@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.1, 1.0, 5.0, 60.0]), st.integers(0, 9)), max_size=900
    )
)
def test_the_bins_lose_no_failure_before_they_are_full_and_never_grow_beyond_their_ring(intervals):
    bins = Bins()
    for seconds, bad in intervals:
        bins = bins.add(seconds, bad)
    assert len(bins.full) <= BINS_MAX
    if len(bins.full) < BINS_MAX:
        assert sum(bins.full) + bins.bad == sum(bad for _, bad in intervals)


def test_fifty_looks_of_a_tenth_second_are_one_bin():
    bins = Bins()
    for _ in range(50):
        bins = bins.add(0.1, 1)
    assert bins.full == (50,)
