"""Would this have rolled back? A policy, run over the counters a past rollout left in the ledger.

The recorded weights stay what they were: a policy that would have passed a step sooner is not given
the traffic it would have had. So the time of the first FAIL is exact for a policy that is stricter
than the recorded one, and the time of a PASS is an upper bound. Fleets are not recorded: while the
old one was down the engine judged the new one by itself, which a replay cannot know.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from holdfast.rollout.model import (
    Event,
    JudgePolicy,
    Mark,
    Measured,
    RevertOrdered,
    Started,
    Verdict,
)
from holdfast.rollout.state import RolloutState, ServiceState, evolve
from holdfast.rollout.verdict import judge


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
    """One rollout while its events are read. ``state`` is the engine's own fold of them."""

    state: RolloutState
    turns: list[Turn] = field(default_factory=list)
    requests: int = 0
    errors: int = 0
    looks: int = 0
    reverted: float | None = None

    def result(self) -> Replay:
        return Replay(
            self.state.plan.rollout,
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
    """The evidence is folded as the engine folds it, so the same policy says the same again."""
    state, run = ServiceState(""), None
    for event in events:
        if isinstance(event, Started) and policy is not None:
            event = replace(event, plan=replace(event.plan, judge=policy))
        state = evolve(state, event)
        if isinstance(event, Started):
            if run is not None:
                yield run
            assert state.rollout is not None, "one has just been started"
            run = None if event.plan.rollback else _Run(state.rollout)
        elif run is not None and state.rollout is not None:
            _follow(run, state.rollout, event)
    if run is not None:
        yield run


def _follow(run: _Run, state: RolloutState, event: Event) -> None:
    run.state = state
    match event:
        case Measured():
            _look(run, event)
        case RevertOrdered() if run.reverted is None:
            run.reverted = event.at - state.started_at
        case _:
            pass  # the other facts say nothing about requests


def _look(run: _Run, event: Measured) -> None:
    if run.turns and run.turns[-1].verdict.mark is Mark.FAIL:
        return  # from here on nobody would have been sent to the new release
    plan = run.state.plan
    counts = event.sample.arm(plan.new.id)
    run.requests += counts.requests
    run.errors += counts.errors
    run.looks += 1
    verdict = judge(run.state.tally, plan.judge, repair=plan.repair or plan.old is None)
    if not run.turns or run.turns[-1].verdict.mark is not verdict.mark:
        run.turns.append(Turn(event.at, event.at - run.state.started_at, run.state.step, verdict))
