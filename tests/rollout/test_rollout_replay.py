"""Would this have rolled back?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from holdfast.rollout.model import (
    ConductorStarted,
    Counts,
    Event,
    JudgePolicy,
    Mark,
    Measured,
    Plan,
    Release,
    RevertOrdered,
    Sample,
    Source,
    Started,
    Step,
    StepEntered,
    Strategy,
    WeightReached,
)
from holdfast.rollout.replay import Replay, replay

OLD, NEW = Release("v1-a", "aa", "v1"), Release("v2-b", "bb", "v2")
PLAN = Plan(
    "r1",
    Strategy.CANARY,
    OLD,
    NEW,
    4,
    (Step(5, 25, judged=True), Step(50, 50, judged=True)),
    judge=JudgePolicy(warm_up_s=0.0),
)


def second(at: float, new: tuple[int, int], old: tuple[int, int]) -> Measured:
    arms = ((NEW.id, Counts(*new)), (OLD.id, Counts(*old)))
    return Measured(at, Sample(Source.OK, 1.0, arms))


def story(errors: int, seconds: int = 60) -> list[Event]:
    looks = (second(101.0 + n, (10, errors), (190, 0)) for n in range(seconds))
    return [Started(100.0, PLAN, "ann"), StepEntered(100.0, 0), *looks]


def only(events: list[Event], policy: JudgePolicy | None = None) -> Replay:
    (result,) = replay(events, policy)
    return result


@pytest.mark.req("T72")
def test_a_bad_release_would_have_been_stopped_and_users_errors_are_counted_until_then():
    result = only(story(errors=1))
    assert result.failed is not None
    assert result.errors == result.failed.after_s == result.looks < 10
    assert "would have rolled back after" in str(result)
    assert f"{result.errors} of {10 * result.looks} requests" in str(result)


def test_a_good_release_passes_and_would_not_have_been_stopped():
    result = only(story(errors=0))
    assert result.failed is None
    assert result.passed is not None and result.passed.after_s == 34.0
    assert "would not have rolled back; 0 of 600" in str(result)


def test_another_policy_may_say_something_else_about_the_same_counters():
    patient = replace(PLAN.judge, alpha=1e-9)
    quick, slow = only(story(errors=1)), only(story(errors=1), patient)
    assert quick.failed is not None and slow.failed is not None
    assert quick.failed.after_s < slow.failed.after_s


def test_a_new_step_and_a_new_conductor_must_earn_pass_again():
    for fact in (WeightReached(140.5, 1), ConductorStarted(140.5, 2, "b")):
        events = story(errors=0)
        marks = [turn.verdict.mark for turn in only([*events[:42], fact, *events[42:]]).turns]
        assert marks == [Mark.INSUFFICIENT, Mark.PASS, Mark.INSUFFICIENT]


def test_each_rollout_is_replayed_apart_and_rollbacks_are_not_judged():
    back = Started(500.0, replace(PLAN, rollout="r2", rollback=True), "ann")
    third = Started(600.0, replace(PLAN, rollout="r3"), "ann")
    events = [*story(1), RevertOrdered(170.0, "verdict", "bad", "engine"), back, third]
    first, last = replay([*events, second(601.0, (400, 0), (400, 0))])
    assert (first.rollout, last.rollout) == ("r1", "r3")
    assert first.reverted_after_s == 70.0 and last.reverted_after_s is None


def test_a_rollout_without_counters_is_not_called_good():
    assert "nothing can be said" in str(only([Started(0.0, PLAN, "ann")]))


def test_counters_of_no_rollout_are_no_result():
    assert replay([second(1.0, (10, 10), (10, 0))]) == ()
