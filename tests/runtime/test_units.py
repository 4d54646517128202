"""Durations, sizes and rates as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.runtime.units import parse_duration, parse_rate, parse_size, show_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("30s", 30.0), ("1h30m", 5400.0), ("15m", 900.0), ("1.5s", 1.5)],
)
def test_durations_carry_their_unit(text, seconds):
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["30", 30, "s", "-1s", "1 s", "", "1s2", "nan s", None, "9" * 400 + "d"]
)
def test_a_duration_without_a_clear_unit_is_refused(text):
    with pytest.raises(ValueError, match="wanted a duration with a unit"):
        parse_duration(text)


def test_sizes_and_rates():
    assert parse_size("50MB") == 50_000_000
    assert parse_size("8Gi") == 8 * 2**30
    assert parse_rate("1_000_000/s") == 1e6
    assert parse_rate("300/m") == pytest.approx(5.0)
    for parse in (parse_size, parse_rate):
        with pytest.raises(ValueError, match="wanted a"):
            parse("lots")


@given(st.floats(1e-6, 1e7))
def test_every_duration_can_be_shown(seconds):
    assert show_duration(seconds)
