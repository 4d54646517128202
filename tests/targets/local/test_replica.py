"""How long a place stays empty after a death."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from holdfast.targets.local.replica import pause_after


def test_who_served_is_replaced_at_once_and_later_within_a_second():
    assert [pause_after(streak, True) for streak in (1, 2, 3, 9)] == [0.0, 0.2, 0.4, 1.0]


def test_who_never_served_is_tried_ever_more_rarely():
    pauses = [pause_after(streak, False) for streak in range(1, 12)]
    assert pauses[:4] == [0.1, 0.2, 0.4, 0.8]
    assert pauses[-1] == 10.0


@given(st.integers(0, 10**9), st.booleans())
def test_a_longer_streak_never_waits_less_and_nobody_waits_forever(streak, served):
    assert pause_after(streak, served) <= pause_after(streak + 1, served) <= 10.0
