"""The rank test against scipy, and against what users reported about Kayenta's."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import default_rng
from scipy.stats import mannwhitneyu

from holdfast.rollout.saturation import Label, advise, hodges_lehmann, mann_whitney

series = st.lists(st.floats(-1e6, 1e6), min_size=5, max_size=20, unique=True)
tied = st.lists(st.integers(0, 4), min_size=5, max_size=40)


@given(series, series)
@settings(max_examples=60, deadline=None)
def test_small_samples_without_ties_have_the_exact_p_value_of_scipy(new, old):
    if not set(new) & set(old):
        expected = mannwhitneyu(new, old, method="exact").pvalue
        assert mann_whitney(new, old) == pytest.approx(expected)


@given(tied, tied)
@settings(max_examples=60, deadline=None)
def test_ties_are_corrected_as_scipy_does(new, old):
    if len(set(new) | set(old)) > 1:
        expected = mannwhitneyu(new, old, method="asymptotic").pvalue
        assert mann_whitney(new, old) == pytest.approx(expected)


def test_series_of_one_and_the_same_value_show_nothing():
    assert mann_whitney([3.0] * 12, [3.0] * 12) == 1.0
    assert advise([3.0] * 12, [3.0] * 12).advice is Label.SAME


def test_the_interval_covers_the_true_shift_as_often_as_it_says():
    dice = default_rng(3)
    covered = 0
    for _ in range(400):
        new, old = dice.normal(2, 1, 10).tolist(), dice.normal(0, 1, 10).tolist()
        _, low, high = hodges_lehmann(new, old)
        covered += low <= 2 <= high
    assert covered >= 0.96 * 400


def test_ten_points_find_a_doubled_memory_use():
    dice = default_rng(4)
    advice = advise(dice.normal(800, 40, 10).tolist(), dice.normal(400, 40, 10).tolist())
    assert advice.advice is Label.HIGH and advice.kayenta is Label.HIGH
    assert "10 and 10 points" in advice.detail


def test_a_significant_change_of_three_percent_is_no_advice_to_stop():
    dice = default_rng(5)
    advice = advise(dice.normal(412, 4, 50).tolist(), dice.normal(400, 4, 50).tolist())
    assert advice.p_value < 0.001
    assert advice.advice is Label.SAME


def test_four_points_are_refused_and_nine_get_no_advice():
    assert advise([9.0] * 4, [1.0] * 50).kayenta is Label.TOO_FEW
    nine = advise([float(n) for n in range(20, 29)], [float(n) for n in range(9)])
    assert nine.kayenta is Label.HIGH and nine.advice is Label.TOO_FEW


def test_missing_points_are_left_out_and_are_no_zeros():
    holes = [math.nan, math.inf] * 10
    assert advise([*holes, 5.0, 6.0], [1.0] * 20).advice is Label.TOO_FEW


def test_false_alarms_of_healthy_releases_stay_below_the_stated_share():
    dice = default_rng(6)
    alarms = 0
    for _ in range(600):
        new, old = dice.lognormal(0, 1, 12).tolist(), dice.lognormal(0, 1, 12).tolist()
        alarms += advise(new, old).advice is Label.HIGH
    assert alarms <= 0.02 * 600


# ---- what users reported ------------------------------------------------------------------------


def test_seven_of_ten_points_a_hundred_times_worse_pass_kayenta_and_not_us():
    """spinnaker #6278: shift 99, interval from 0 to 99, mean ratio 70.3, verdict Pass."""
    advice = advise([100.0] * 7 + [1.0] * 3, [1.0] * 10)
    assert (advice.shift, advice.high) == (99.0, 99.0)
    assert advice.low == pytest.approx(6.83e-05, abs=1e-4)
    assert advice.kayenta is Label.SAME
    assert advice.advice is Label.HIGH
    assert "mean 70.3 against 1" in advice.detail


def test_eight_of_ten_points_are_high_for_both():
    advice = advise([100.0] * 8 + [1.0] * 2, [1.0] * 10)
    assert advice.kayenta is Label.HIGH and advice.advice is Label.HIGH


def test_few_errors_against_zeros_pass_kayenta_and_get_no_advice_from_six_points():
    """kayenta #426; the counts in ``rollout/verdict.py`` are the right judge of errors."""
    advice = advise([0.0, 1.0, 2.0, 1.0, 0.0, 0.0], [0.0] * 6)
    assert advice.kayenta is Label.SAME
    assert advice.advice is Label.TOO_FEW


def test_five_points_of_errors_against_zeros_are_high_for_kayenta():
    """kayenta #799."""
    assert advise([1.0, 4.0, 2.0, 3.0, 1.0], [0.0] * 5).kayenta is Label.HIGH


def test_a_change_of_spread_alone_is_seen_by_neither():
    """kayenta #780: the limit of every test of location, and why this is advice only."""
    old = [float(100 + n) for n in range(-6, 7)]
    new = [float(100 + 15 * n) for n in range(-6, 7)]
    advice = advise(new, old)
    assert advice.kayenta is Label.SAME and advice.advice is Label.SAME
