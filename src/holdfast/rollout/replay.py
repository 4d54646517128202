"""Would this have rolled back? A policy, run over the counters a past rollout left in the ledger.

The recorded weights stay what they were: a policy that would have passed a step sooner is not given
the traffic it would have had. So the time of the first FAIL is exact for a policy that is stricter
than the recorded one, and the time of a PASS is an upper bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from holdfast.rollout.model import (
    ConductorStarted,
    Event,
    JudgePolicy,
    Mark,
    Measured,
    Plan,
    RevertOrdered,
    Started,
    StepEntered,
    Verdict,
)
from holdfast.rollout.verdict import Tally, absorb, judge, restart


@dataclass(frozen=True, slots=True)
class Turn:
    """The verdict changed its mark."""

    at: float  # engine seconds
    after_s: float  # since the rollout started
    step: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Replay:
    """What a policy would have said about one recorded rollout."""

    rollout: str
    turns: tuple[Turn, ...]  # each change of mark, in order
    requests: int  # that users sent to the new release, until the first FAIL or the end
    errors: int  # that users got from it, until the first FAIL or the end
    looks: int  # how many recorded intervals were judged
    reverted_after_s: float | None  # when the rollout really was reverted, None: it was not

    @property
    def failed(self) -> Turn | None:
        return self._first(Mark.FAIL)

    @property
    def passed(self) -> Turn | None:
        return self._first(Mark.PASS)

    def _first(self, mark: Mark) -> Turn | None:
        return next((turn for turn in self.turns if turn.verdict.mark is mark), None)

    def __str__(self) -> str:
        if self.looks == 0:
            return f"{self.rollout}: no counters are recorded, so nothing can be said"
        users = f"{self.errors} of {self.requests} requests to the new release failed"
        if turn := self.failed:
            return (
                f"{self.rollout}: would have rolled back after {turn.after_s:.1f} s on step"
                f" {turn.step + 1}; until then {users}. {turn.verdict.detail}"
            )
        return f"{self.rollout}: would not have rolled back; {users}"


@dataclass(slots=True)
class _Run:
    """The state of one rollout while its events are read."""

    plan: Plan
    policy: JudgePolicy
    since: float
    tally: Tally = field(default_factory=Tally)
    step: int = 0
    turns: list[Turn] = field(default_factory=list)
    requests: int = 0
    errors: int = 0
    looks: int = 0
    reverted: float | None = None

    def result(self) -> Replay:
        return Replay(
            self.plan.rollout,
            tuple(self.turns),
            self.requests,
            self.errors,
            self.looks,
            self.reverted,
        )


def replay(events: Sequence[Event], policy: JudgePolicy | None = None) -> tuple[Replay, ...]:
    """Every rollout in ``events`` under ``policy`` (None: the one it was planned with)."""
    return tuple(run.result() for run in _runs(events, policy))


def _runs(events: Sequence[Event], policy: JudgePolicy | None) -> Iterator[_Run]:
    run: _Run | None = None
    for event in events:
        if isinstance(event, Started):
            if run is not None:
                yield run
            plan = event.plan
            run = None if plan.rollback else _Run(plan, policy or plan.judge, event.at)
        elif run is not None:
            _follow(run, event)
    if run is not None:
        yield run


def _follow(run: _Run, event: Event) -> None:
    match event:
        case StepEntered():
            run.step = event.step
            run.tally = restart(run.tally)
        case ConductorStarted():
            run.tally = restart(run.tally)
        case Measured():
            _look(run, event)
        case RevertOrdered() if run.reverted is None:
            run.reverted = event.at - run.since
        case _:
            pass  # the other facts say nothing about requests


def _look(run: _Run, event: Measured) -> None:
    if run.turns and run.turns[-1].verdict.mark is Mark.FAIL:
        return  # from here on nobody would have been sent to the new release
    old = run.plan.old.id if run.plan.old else None
    counts = event.sample.arm(run.plan.new.id)
    run.tally = absorb(run.tally, run.policy, event.sample, run.plan.new.id, old)
    run.requests += counts.requests
    run.errors += counts.errors
    run.looks += 1
    verdict = judge(run.tally, run.policy)
    if not run.turns or run.turns[-1].verdict.mark is not verdict.mark:
        run.turns.append(Turn(event.at, event.at - run.since, run.step, verdict))
