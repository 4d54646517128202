"""When a rollout may start."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.rollout.windows import blocked, instant, next_opening
from holdfast.spec.model import Freeze, Rollout, Run, Service, Window

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def service(windows: tuple[Window, ...] = (), freezes: tuple[Freeze, ...] = ()) -> Service:
    rollout = Rollout(windows=windows, freezes=freezes)
    return Service(service="shop", run=Run(command="./shop"), rollout=rollout)


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


OFFICE = Window(start="09:00", end="17:00")


def test_without_windows_and_freezes_a_rollout_may_start_at_any_time():
    assert blocked(service(), at("2026-07-05 03:00")) is None


@pytest.mark.parametrize(
    ("when", "free"),
    [
        ("2026-07-03 08:59:59", False),  # a Friday
        ("2026-07-03 09:00:00", True),
        ("2026-07-03 16:59:59", True),
        ("2026-07-03 17:00:00", False),
        ("2026-07-04 12:00:00", False),  # a Saturday
    ],
)
def test_a_window_includes_its_start_and_not_its_end(when, free):
    assert (blocked(service((OFFICE,)), at(when)) is None) is free


def test_the_reason_says_when_it_opens_next_and_that_a_rollback_is_free():
    reason = blocked(service((OFFICE,)), at("2026-07-03 17:30"))
    assert reason is not None
    assert "mon/tue/wed/thu/fri 09:00-17:00" in reason
    assert "may start again at mon 2026-07-06 09:00 UTC" in reason
    assert "a rollback is possible at any time" in reason


def test_a_window_over_midnight_belongs_to_the_day_it_starts():
    night = Window(days=("fri",), start="22:00", end="04:00")
    assert blocked(service((night,)), at("2026-07-03 23:00")) is None
    assert blocked(service((night,)), at("2026-07-04 03:59")) is None
    assert blocked(service((night,)), at("2026-07-04 04:00")) is not None
    assert blocked(service((night,)), at("2026-07-03 03:00")) is not None


def test_a_freeze_wins_over_a_window_and_gives_its_reason():
    freeze = Freeze(start="2026-07-03T00:00:00Z", end="2026-07-07T12:00:00+02:00", reason="sale")
    reason = blocked(service((OFFICE,), (freeze,)), at("2026-07-03 10:00"))
    assert reason is not None and "(sale)" in reason
    assert "may start again at tue 2026-07-07 10:00 UTC" in reason


def test_a_freeze_of_months_is_looked_past():
    freeze = Freeze(start="2026-01-01T00:00:00Z", end="2026-12-26T00:00:00Z")  # ends on a Saturday
    opens = next_opening(service((OFFICE,), (freeze,)), int(at("2026-02-01 10:00")))
    assert opens == at("2026-12-28 09:00")


def test_a_freeze_that_cannot_be_read_blocks():
    reason = blocked(service((), (Freeze(start="soon", end="later"),)), at("2026-07-03 10:00"))
    assert reason is not None
    assert "cannot be read" in reason and "no opening is in sight" in reason


def test_an_instant_without_offset_is_utc():
    assert instant("2026-07-03T10:00:00") == instant("2026-07-03T12:00:00+02:00")


windows = st.lists(
    st.builds(
        Window,
        days=st.sets(st.sampled_from(DAYS), min_size=1).map(tuple),
        start=st.sampled_from(["00:00", "09:30", "22:00"]),
        end=st.sampled_from(["04:00", "17:00", "24:00"]),
    ),
    min_size=1,
    max_size=3,
).map(tuple)


@given(windows, st.integers(0, 4 * 10**9), st.integers(0, 20))
def test_the_next_opening_is_open_and_nothing_before_it_is(windows, now, freeze_days):
    start = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=now)
    end = start + timedelta(days=freeze_days, minutes=17)
    held = service(windows, (Freeze(start=start.isoformat(), end=end.isoformat()),))
    opens = next_opening(held, now)
    assert opens is not None and blocked(held, opens) is None
    quarter = 900
    for earlier in range(opens - 1, max(now, opens - 86_400), -quarter):
        assert blocked(held, earlier) is not None
