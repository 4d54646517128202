"""What the recorded facts say, told without the engine's own fold.

The checkers judge orders by this telling. It is deliberately simpler than ``rollout.state``: if
both were the same code, a mistake in it would be invisible.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from holdfast.rollout.model import (
    ConductorStarted,
    Ending,
    Event,
    Finished,
    Judged,
    Mark,
    Measured,
    Paused,
    Plan,
    PromoteRequested,
    Release,
    ReleaseId,
    Resumed,
    Retired,
    RevertOrdered,
    Scaled,
    SettleEntered,
    Started,
    StepEntered,
    WarmEnded,
    WeightReached,
)

#: Reverts for these reasons do not condemn the release.
NO_BLAME = frozenset({"abort", "scaled-to-zero", "source-down", "insufficient", "window"})


@dataclass(slots=True)
class Told:
    """One rollout as told by its facts so far."""

    plan: Plan
    began: float  # loop seconds
    step: int = 0
    back: RevertOrdered | None = None
    back_at: float = 0.0
    ending: Ending | None = None
    ended: float = 0.0
    passed: bool = False  # this step has its PASS, or the policy's leave
    waved: bool = False  # a person promoted past this step
    arrived: bool = False  # this step carries its weight: what is left is waiting
    pauses: float = 0.0
    paused_since: float | None = None
    counted: dict[ReleaseId, int] = field(default_factory=dict)  # requests in Measured facts

    @property
    def weight(self) -> int:
        return self.plan.ladder[self.step].weight

    @property
    def weight_most(self) -> int:
        """The heaviest rung entered so far."""
        return max(rung.weight for rung in self.plan.ladder[: self.step + 1])


class Chronicle:
    """Fed with every batch of facts, in order, at the moment they became durable."""

    def __init__(self) -> None:
        self.run: Told | None = None
        self.past: list[Told] = []
        self.stable: Release | None = None
        self.warm: tuple[Release, float] | None = None  # and since when (loop seconds)
        self.replicas = 0
        self.replicas_most = 0  # since the last rollout began
        self.scaled_at = float("-inf")
        self.rejected: set[str] = set()
        self.generation = 0
        self.starts: list[float] = []  # when conductors took over
        self.retired = False

    def tell(self, facts: Sequence[Event], now: float) -> None:
        for fact in facts:
            self._tell(fact, now)

    def _tell(self, fact: Event, now: float) -> None:
        match fact:
            case Started():
                self._started(fact, now)
            case Scaled():
                self.replicas, self.scaled_at = fact.replicas, now
                self.replicas_most = max(self.replicas_most, fact.replicas)
            case ConductorStarted():
                self.generation = max(self.generation, fact.generation)
                self.starts.append(now)
            case WarmEnded():
                self.warm = None
            case Retired():
                self.retired, self.warm = True, None
            case _ if self.run is not None:
                self._tell_run(self.run, fact, now)

    def _started(self, fact: Started, now: float) -> None:
        plan = fact.plan
        self.run = Told(plan, now)
        self.rejected.discard(plan.new.digest)
        if plan.rollback and plan.old is not None:
            self.rejected.add(plan.old.digest)
        if self.stable is None:
            self.replicas = plan.replicas
        self.replicas_most = max(self.replicas, plan.replicas)
        self.retired = False
        if self.warm is not None and self.warm[0].id not in _sides(plan):
            self.warm = None

    def _tell_run(self, run: Told, fact: Event, now: float) -> None:
        match fact:
            case StepEntered():
                run.step, run.passed, run.waved, run.arrived = fact.step, False, False, False
            case WeightReached() | SettleEntered():
                run.arrived = True
            case Judged():
                run.passed = run.passed or fact.verdict.mark is Mark.PASS
            case PromoteRequested():
                run.waved = True
            case Paused() | Resumed():
                self._paused(run, fact, now)
            case Measured():
                for release, counts in fact.sample.arms:
                    run.counted[release] = run.counted.get(release, 0) + counts.requests
            case RevertOrdered():
                self._reverted(run, fact, now)
            case Finished():
                self._finished(run, fact, now)

    def _paused(self, run: Told, fact: Paused | Resumed, now: float) -> None:
        if isinstance(fact, Paused):
            run.paused_since = now
        elif run.paused_since is not None:
            run.pauses, run.paused_since = run.pauses + now - run.paused_since, None

    def _reverted(self, run: Told, fact: RevertOrdered, now: float) -> None:
        run.back, run.back_at, run.paused_since = fact, now, None
        if fact.code == "abort" and run.plan.rollback and run.plan.old is not None:
            self.rejected.discard(run.plan.old.digest)  # it is wanted after all
            return
        if self.warm is not None and self.warm[0].id == run.plan.new.id:
            self.warm = None
        old, new = run.plan.old, run.plan.new
        waited = fact.code == "deadline-rollout" and run.arrived  # for people, a window, requests
        repeated = old is None or old.digest == new.digest  # a first deploy, a restart
        if fact.code not in NO_BLAME and not (run.plan.rollback or waited or repeated):
            self.rejected.add(new.digest)

    def _finished(self, run: Told, fact: Finished, now: float) -> None:
        run.ending, run.ended = fact.ending, now
        self.past.append(run)
        self.run = None
        if fact.ending is Ending.PROMOTED:
            self.stable = run.plan.new
            keeps = run.plan.strategy.value != "rolling" and not run.plan.rollback
            kept = run.plan.old if keeps and run.plan.limits.keep_warm_s > 0 else None
            self.warm = (kept, now) if kept is not None else None


def _sides(plan: Plan) -> set[ReleaseId]:
    return {plan.new.id} | ({plan.old.id} if plan.old is not None else set())
