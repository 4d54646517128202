"""What the facts add up to. ``evolve`` is total: an event without a branch fails the type check."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import assert_never

from holdfast.rollout.model import (
    AbortRequested,
    Approved,
    ConductorStarted,
    Dequeued,
    Ending,
    Event,
    Finished,
    Judged,
    Measured,
    Paused,
    Plan,
    Progressed,
    PromoteRequested,
    Queued,
    Release,
    ReleaseId,
    Resumed,
    Retired,
    RevertOrdered,
    Scaled,
    SettleEntered,
    Slipped,
    Source,
    Started,
    Step,
    StepEntered,
    Strategy,
    WarmEnded,
    WeightReached,
)
from holdfast.rollout.verdict import Tally, absorb, restart


class Phase(StrEnum):
    SHIFTING = "shifting"  # climbing the ladder
    SETTLING = "settling"  # at 100 %, baking
    REVERTING = "reverting"  # traffic goes back
    FINISHED = "finished"


#: A fall of the new fleet that lasts while it bakes is noted again so often, in seconds.
FALL_S = 1.0

#: Reverts for these reasons say nothing against the release itself.
BLAMELESS = frozenset({"abort", "scaled-to-zero", "source-down", "insufficient", "window"})


@dataclass(frozen=True, slots=True)
class RolloutState:
    """One rollout, from its first fact to its ending."""

    plan: Plan
    started_at: float
    phase: Phase = Phase.SHIFTING
    step: int = 0
    step_at: float = 0.0  # entry of the step
    reached_at: float | None = None  # weight acknowledged, or bake began
    progress_at: float = 0.0
    ready_most: int = 0
    slips: int = 0
    slipped_at: float | None = None
    tally: Tally = field(default_factory=Tally)
    verdict: Judged | None = None
    approvers: frozenset[str] = frozenset()
    skip: bool = False  # a person promoted past the rest of this step's wait
    paused_at: float | None = None
    paused_s: float = 0.0  # total, excluded from deadlines
    paused_by: str = ""
    source_down_at: float | None = None
    blind_at: float | None = None  # since when nothing can be judged: silence or a common cause
    revert: RevertOrdered | None = None
    ending: Ending | None = None
    ended_at: float | None = None
    reason: str = ""

    @property
    def rung(self) -> Step:
        return self.plan.ladder[self.step]

    def needed(self, replicas: int) -> int:
        """Instances the new fleet has when this step is whole."""
        return math.ceil(replicas * self.rung.fleet / 100)

    @property
    def live(self) -> bool:
        return self.phase is not Phase.FINISHED

    @property
    def rising(self) -> bool:
        return self.phase in (Phase.SHIFTING, Phase.SETTLING)

    def elapsed(self, now: float, since: float) -> float:
        """Seconds from ``since`` to ``now`` without the present pause."""
        end = now if self.paused_at is None else min(now, self.paused_at)
        return max(0.0, end - since)


@dataclass(frozen=True, slots=True)
class Warm:
    """The previous release, whole and idle: rolling back to it is one route write."""

    release: Release
    until: float


@dataclass(frozen=True, slots=True)
class ServiceState:
    """Everything the engine remembers about one service; the fold of its facts."""

    service: str
    replicas: int = 0
    stable: Release | None = None
    warm: Warm | None = None
    rollout: RolloutState | None = None  # the running or the last one
    queue: tuple[Queued, ...] = ()
    rejected: frozenset[str] = frozenset()  # digests refused until forced
    proven: tuple[Release, ...] = ()  # every release that was promoted, oldest first
    generation: int = 0
    retired: bool = False
    at: float = 0.0  # engine seconds of the last fact

    @property
    def running(self) -> RolloutState | None:
        return self.rollout if self.rollout is not None and self.rollout.live else None


def fold(events: Iterable[Event], service: str) -> ServiceState:
    state = ServiceState(service)
    for event in events:
        state = evolve(state, event)
    return state


def evolve(state: ServiceState, event: Event) -> ServiceState:  # noqa: C901, PLR0911
    """One flat match: which part of the state does this fact change?"""
    state = replace(state, at=max(state.at, event.at))
    if isinstance(event, RolloutEvent):
        running = state.running
        if running is None:  # a late fact about a finished rollout changes nothing
            return state
        state = _rejected(state, event)
        return replace(state, rollout=_evolve_rollout(running, event))
    match event:
        case Started():
            return _started(state, event)
        case Queued():
            return replace(state, queue=(*state.queue, event))
        case Dequeued():
            return replace(
                state, queue=tuple(q for q in state.queue if q.plan.rollout != event.rollout)
            )
        case Finished():
            return _finished(state, event)
        case WarmEnded():
            return replace(state, warm=None)
        case Scaled():
            return replace(state, replicas=event.replicas)
        case ConductorStarted():
            return _conductor_started(state, event)
        case Retired():
            return replace(state, retired=True, stable=None, queue=(), warm=None)
        case _:
            assert_never(event)


RolloutEvent = (
    StepEntered
    | WeightReached
    | Measured
    | Progressed
    | Slipped
    | Judged
    | SettleEntered
    | RevertOrdered
    | Paused
    | Resumed
    | Approved
    | PromoteRequested
    | AbortRequested
)


def _evolve_rollout(run: RolloutState, event: RolloutEvent) -> RolloutState:  # noqa: C901, PLR0911, PLR0912
    match event:
        case StepEntered():
            return _step_entered(run, event)
        case WeightReached():
            return replace(run, reached_at=event.at, tally=restart(run.tally, cold=_joined(run)))
        case Measured():
            return _measured(run, event)
        case Progressed():
            tally = restart(run.tally, cold=True) if _joined(run) else run.tally
            return replace(run, progress_at=event.at, ready_most=event.ready, tally=tally)
        case Slipped():
            return _slipped(run, event)
        case Judged():
            return replace(run, verdict=event)
        case SettleEntered():
            fresh = replace(run, slips=0, slipped_at=None, skip=False)
            return replace(fresh, phase=Phase.SETTLING, reached_at=event.at)
        case RevertOrdered():
            return replace(
                run, phase=Phase.REVERTING, revert=event, step_at=event.at, paused_at=None
            )
        case Paused():
            why = f": {event.reason}" if event.reason else ""
            return replace(run, paused_at=event.at, paused_by=f"{event.by}{why}")
        case Resumed():
            return _resumed(run, event)
        case Approved():
            return replace(run, approvers=run.approvers | {event.by})
        case PromoteRequested():
            return replace(run, skip=True)
        case AbortRequested():
            return run  # the RevertOrdered recorded with it does the work
        case _:
            assert_never(event)


def _started(state: ServiceState, event: Started) -> ServiceState:
    plan = event.plan
    state = _learn(state, plan)
    run = RolloutState(plan, event.at, step_at=event.at, progress_at=event.at)
    rejected = state.rejected - {plan.new.digest}
    if plan.rollback and plan.old is not None:
        rejected |= {plan.old.digest}  # outlives Git: applying it again is refused
    queue = tuple(q for q in state.queue if q.plan.rollout != plan.rollout)
    return replace(
        state,
        rollout=run,
        rejected=rejected,
        queue=queue,
        retired=False,
        replicas=plan.replicas if state.stable is None else state.replicas,
    )


def _learn(state: ServiceState, plan: Plan) -> ServiceState:
    """A warm release that is neither side of the new rollout is let go."""
    warm = state.warm
    if warm is not None and warm.release.id not in (plan.new.id, plan.old and plan.old.id):
        warm = None
    return replace(state, warm=warm)


def _step_entered(run: RolloutState, event: StepEntered) -> RolloutState:
    return replace(
        run,
        step=event.step,
        step_at=event.at,
        progress_at=event.at,
        reached_at=None,
        slips=0,
        slipped_at=None,
        approvers=frozenset(),
        skip=False,
        verdict=None,
    )


def _slipped(run: RolloutState, event: Slipped) -> RolloutState:
    """On the way up the step must be reached again; a bake that goes on starts anew."""
    shifting, last = run.phase is Phase.SHIFTING, run.slipped_at
    lasts = not shifting and last is not None and event.at - last <= 2 * FALL_S
    return replace(
        run,
        slips=run.slips if lasts else run.slips + 1,
        slipped_at=event.at,
        progress_at=event.at,
        reached_at=None if shifting else run.reached_at,
    )


def _joined(run: RolloutState) -> bool:
    """Did instances that never served join on this step, with a judged hold to excuse them in?

    Rolling has no such hold: excusing every batch there would leave nothing to judge by.
    """
    before = run.plan.ladder[run.step - 1].fleet if run.step else 0
    return run.rung.judged and run.rung.fleet > before


def _measured(run: RolloutState, event: Measured) -> RolloutState:
    plan = run.plan
    control = plan.old.id if plan.old is not None else None
    tally = absorb(run.tally, plan.judge, event.sample, plan.new.id, control)
    down_at = run.source_down_at
    if event.sample.source is Source.OK:
        down_at = None
    elif down_at is None:
        down_at = event.at
    return _blinded(replace(run, tally=tally, source_down_at=down_at), event)


def _blinded(run: RolloutState, event: Measured) -> RolloutState:
    """Time in which nothing could be judged is no time on the step: neither soaked nor spent."""
    blind = run.tally.frozen or event.sample.source is not Source.OK
    since = run.blind_at
    if blind:
        return run if since is not None else replace(run, blind_at=event.at)
    if since is None or run.reached_at is None:
        return replace(run, blind_at=None)
    end = event.at if run.paused_at is None else min(event.at, run.paused_at)
    lost = max(0.0, end - max(since, run.reached_at))
    return replace(run, blind_at=None, reached_at=run.reached_at + lost)


def _resumed(run: RolloutState, event: Resumed) -> RolloutState:
    if run.paused_at is None:
        return run
    paused_at = run.paused_at

    def moved(since: float) -> float:
        """Later by the pause; a conductor that came during it has moved its timers already."""
        return since + max(0.0, event.at - max(paused_at, since))

    # Evidence ages out: what was seen before a pause says little about now.
    return replace(
        run,
        paused_at=None,
        paused_s=run.paused_s + max(0.0, event.at - paused_at),
        step_at=moved(run.step_at),
        progress_at=moved(run.progress_at),
        reached_at=None if run.reached_at is None else moved(run.reached_at),
        blind_at=None if run.blind_at is None else event.at,
        tally=restart(run.tally),
    )


def _rejected(state: ServiceState, event: RolloutEvent) -> ServiceState:
    run = state.running
    if not isinstance(event, RevertOrdered) or run is None:
        return state
    if event.code == "abort" and run.plan.rollback and run.plan.old is not None:
        # Whoever stops a rollback wants what it was to take away; where it led stays at hand.
        return replace(state, rejected=state.rejected - {run.plan.old.digest})
    if state.warm is not None and state.warm.release.id == run.plan.new.id:
        state = replace(state, warm=None)  # what is taken back is not kept at hand
    if event.code in BLAMELESS or run.plan.rollback:
        return state
    if event.code == "deadline-rollout" and run.reached_at is not None:
        return state  # it waited for evidence, people or a window: nothing was shown against it
    if run.plan.old is None or run.plan.old.digest == run.plan.new.digest:
        return state  # a first deploy or a restart is tried again when its surroundings are mended
    return replace(state, rejected=state.rejected | {run.plan.new.digest})


def _finished(state: ServiceState, event: Finished) -> ServiceState:
    run = state.running
    if run is None:
        return state
    ended = replace(
        run, phase=Phase.FINISHED, ending=event.ending, ended_at=event.at, reason=event.reason
    )
    state = replace(state, rollout=ended)
    if event.ending is not Ending.PROMOTED:
        return state
    plan = run.plan
    proven = (*(r for r in state.proven if r.id != plan.new.id), plan.new)
    return replace(state, stable=plan.new, proven=proven, warm=_warm(plan, event.at))


def _warm(plan: Plan, at: float) -> Warm | None:
    """Rolling gives the old fleet up on the way; the others keep it whole for a while."""
    if plan.old is None or plan.limits.keep_warm_s <= 0 or plan.rollback:
        return None
    if plan.strategy is Strategy.ROLLING or plan.old.digest == plan.new.digest:
        return None
    return Warm(plan.old, at + plan.limits.keep_warm_s)


def _conductor_started(state: ServiceState, event: ConductorStarted) -> ServiceState:
    state = replace(state, generation=max(state.generation, event.generation))
    run = state.running
    if run is None or not run.rising:
        return state
    # Nobody looked for a while: hold timers and the warm-up of the evidence start afresh.
    fresh = replace(
        run,
        tally=restart(run.tally),
        progress_at=event.at,
        reached_at=None if run.reached_at is None else event.at,
    )
    return replace(state, rollout=fresh)


def wanted_releases(state: ServiceState) -> frozenset[ReleaseId]:
    """Every release whose launch bundle must stay at hand."""
    found = {r.id for r in (state.stable,) if r is not None}
    if state.warm is not None:
        found.add(state.warm.release.id)
    run = state.rollout
    if run is not None and (run.live or run.ending is Ending.STRANDED):
        found.add(run.plan.new.id)
        if run.plan.old is not None:
            found.add(run.plan.old.id)
    found.update(waiting.plan.new.id for waiting in state.queue)
    return frozenset(found)
