"""The sentences people read about a rollout."""

from __future__ import annotations

import pytest

from holdfast.cli import printing
from holdfast.cli.picture import Picture, absorb, look, unheard_ending
from holdfast.cli.telling import WAITS, ending_line, event_line, failure_lines, headline, hold_line
from holdfast.rollout.model import (
    FAILURES,
    Ending,
    Finished,
    HoldCode,
    Judged,
    Mark,
    Progressed,
    RevertOrdered,
    Started,
    StepEntered,
    Verdict,
    WeightReached,
)


def play(*events):
    picture = Picture("r-1")
    for event in events:
        picture = absorb(picture, event)
    return picture


def reverted(docs, status, old=True):
    plan = docs.plan() if old else docs.plan(old=None)
    reason = "12 of 240 requests failed (limit 1 %)"
    picture = play(
        Started(10.0, plan, "ann"),
        RevertOrdered(12.0, "verdict", reason, "engine"),
        Finished(13.1, Ending.REVERTED, reason),
    )
    return look(picture, status)


@pytest.mark.parametrize("code", HoldCode)
def test_every_wait_has_words(code):
    assert hold_line(code.value, "d").startswith(WAITS[code.value])


def test_a_wait_of_a_newer_conductor_is_still_told():
    assert hold_line("moon-phase", "full") == "waiting (moon-phase): full"


def test_promotion_is_told_with_its_time(docs):
    picture = play(Started(10.0, docs.plan(), "ann"), Finished(14.2, Ending.PROMOTED, ""))
    assert ending_line(picture) == "v2 promoted in 4.2 s"


def test_a_rollback_is_told_as_one(docs):
    plan = docs.plan(old=docs.v2, new=docs.v1, rollback=True)
    picture = play(Started(10.0, plan, "ann"), Finished(10.012, Ending.PROMOTED, ""))
    assert ending_line(picture) == "rolled back from v2 to v1 in 12 ms"


def test_a_reverted_release_is_told_with_reason_and_where_the_traffic_is(docs):
    line = ending_line(reverted(docs, docs.status()))
    assert line == (
        "v2 reverted after 3.1 s: 12 of 240 requests failed (limit 1 %); "
        "traffic is back on v1; the service is fine"
    )


def test_nothing_is_called_fine_while_replicas_are_missing(docs):
    status = docs.status(fleets=[docs.fleet(docs.v1, ready=1)])
    line = ending_line(reverted(docs, status))
    assert line.endswith("traffic is back on v1, which has 1 of 2 replicas ready")


def test_nothing_is_called_fine_while_traffic_is_elsewhere(docs):
    status = docs.status(
        fleets=[docs.fleet(docs.v1, ready=2), docs.fleet(docs.v2, ready=1)],
        weights={docs.v1.id: 40, docs.v2.id: 60},
    )
    assert ending_line(reverted(docs, status)).endswith("traffic is on v1 40 %, v2 60 %")


def test_a_first_deploy_that_fails_does_not_claim_that_something_serves(docs):
    line = ending_line(reverted(docs, docs.status(), old=False))
    assert line.endswith("nothing was deployed before, so nothing serves")


def test_a_failure_is_told_with_its_meaning_and_the_last_lines(docs):
    tail = [f"line {number}" for number in range(30)]
    failure = {"code": "never-ready", "detail": "503", "log_tail": tail, "hopeless": True}
    status = docs.status(fleets=[docs.fleet(docs.v2, failed=1, failure=failure)])
    lines = failure_lines(look(play(Started(1.0, docs.plan(), "ann")), status), [])
    assert lines[0] == f"never-ready: {FAILURES['never-ready']}: 503"
    assert lines[1] == "last lines of v2:"
    assert lines[2:] == [f"  | line {number}" for number in range(20, 30)]


def test_a_failure_is_remembered_after_its_instances_are_gone(docs):
    failure = {"code": "crash-loop", "detail": "x", "log_tail": [], "hopeless": True}
    sick = docs.status(fleets=[docs.fleet(docs.v2, failed=1, failure=failure)])
    picture = look(look(play(Started(1.0, docs.plan(), "ann")), sick), docs.status())
    assert failure_lines(picture, ["bye"])[0].startswith("crash-loop: ")


def test_facts_about_other_rollouts_are_not_told(docs):
    other = Started(1.0, docs.plan(), "ann")
    picture = absorb(Picture("r-other"), other)
    assert picture == Picture("r-other")
    assert event_line(other, picture) is None


def test_the_steps_of_a_rollout_read_as_a_story(docs):
    plan = docs.plan()
    picture, lines = Picture("r-1"), []
    for event in (
        Started(1.0, plan, "ann"), StepEntered(1.0, 0), Progressed(1.1, 1), WeightReached(1.2, 0),
        Judged(2.0, 0, Verdict(Mark.PASS, "340 clean requests")), StepEntered(2.0, 1),
    ):  # fmt: skip
        picture = absorb(picture, event)
        lines.append(event_line(event, picture))
    assert lines == [
        "canary v1 -> v2: 25 % -> 100 % of the traffic, 2 replicas",
        "step 1 of 2: 25 % to v2",
        "v2: 1 of 1 ready",
        "25 % of the traffic is on v2",
        "verdict PASS: 340 clean requests",
        "step 2 of 2: 100 % to v2",
    ]
    assert (picture.step, picture.reached, picture.verdict) == (1, False, None)


def test_one_replica_is_not_called_replicas(docs):
    assert headline(docs.plan()).endswith("2 replicas")


def test_an_ending_that_no_event_told_is_taken_from_the_status(docs):
    picture = play(Started(1.0, docs.plan(), "ann"))
    last = {"rollout": "r-1", "ending": "promoted", "reason": "", "new": docs.release(docs.v2)}
    seen = unheard_ending(look(picture, docs.status(state={"last": last})))
    assert seen is not None and seen.ending is Ending.PROMOTED
    other = {**last, "rollout": "r-0"}
    assert unheard_ending(look(picture, docs.status(state={"last": other}))) is None


def test_the_time_of_a_fact_counts_and_not_the_time_of_a_later_look(docs):
    picture = look(play(Started(10.0, docs.plan(), "ann")), docs.status(now=100.0))
    assert absorb(picture, Finished(14.2, Ending.PROMOTED, "")).elapsed_s == pytest.approx(4.2)


def test_a_program_may_colour_its_log_and_nothing_else_of_our_terminal(monkeypatch):
    hostile = "\x1b]0;owned\x07\x1b[2Jred: \x1b[31mfailed\x1b[0m\ttab"
    monkeypatch.setattr(printing, "colourful", lambda: True)
    shown = printing.log_line(hostile)
    assert "\x1b[31mfailed\x1b[0m\ttab\x1b[0m" in shown
    assert "\x1b]" not in shown and "\x1b[2J" not in shown and "\x07" not in shown
    monkeypatch.setattr(printing, "colourful", lambda: False)
    assert "\x1b" not in printing.log_line(hostile) and "failed\ttab" in printing.log_line(hostile)
