"""What people ask for, judged by pure code: facts to record, or a refusal that says what to do.

Abort always wins: it is never refused, and a no-op when nothing runs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from holdfast.rollout.model import (
    AbortRequested,
    Approved,
    Ending,
    Event,
    Finished,
    OnConflict,
    Paused,
    Plan,
    PromoteRequested,
    Queued,
    Release,
    Resumed,
    Retired,
    RevertOrdered,
    Scaled,
    Started,
)
from holdfast.rollout.state import Phase, RolloutState, ServiceState


class Rejected(Exception):
    """The command cannot be done now. ``code`` is stable, ``hint`` says what to do next."""

    def __init__(self, code: str, detail: str, hint: str = "") -> None:
        super().__init__(f"{code}: {detail}" + (f" ({hint})" if hint else ""))
        self.code, self.detail, self.hint = code, detail, hint


@dataclass(frozen=True, slots=True)
class Deploy:
    plan: Plan
    by: str
    forced: bool = False
    restart: bool = False  # the same digest again, on purpose
    on_conflict: OnConflict = OnConflict.REFUSE
    gate: str | None = None  # why no rollout may start now
    override_gate: bool = False  # audited: the event says forced


@dataclass(frozen=True, slots=True)
class Rollback:
    plan: Plan  # made by ``plan_rollback``
    by: str
    forced: bool = False


@dataclass(frozen=True, slots=True)
class Promote:
    by: str


@dataclass(frozen=True, slots=True)
class Pause:
    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Resume:
    by: str


@dataclass(frozen=True, slots=True)
class Abort:
    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Approve:
    by: str


@dataclass(frozen=True, slots=True)
class ScaleTo:
    replicas: int
    by: str


@dataclass(frozen=True, slots=True)
class TakeDown:
    by: str


Command = Deploy | Rollback | Promote | Pause | Resume | Abort | Approve | ScaleTo | TakeDown
Events = tuple[Event, ...]


def propose(state: ServiceState, command: Command, at: float) -> Events:  # noqa: PLR0911
    """The facts this command makes true, in order; empty when it changes nothing."""
    match command:
        case Deploy():
            return _deploy(state, command, at)
        case Rollback():
            return _rollback(state, command, at)
        case Promote():
            _running(state, "promote")
            return (PromoteRequested(at, command.by),)
        case Pause():
            run = _running(state, "pause")
            return () if run.paused_at is not None else (Paused(at, command.by, command.reason),)
        case Resume():
            run = _running(state, "resume")
            return () if run.paused_at is None else (Resumed(at, command.by),)
        case Abort():
            return _abort(state, command, at)
        case Approve():
            return _approve(state, command, at)
        case ScaleTo():
            return _scale(state, command, at)
        case TakeDown():
            return _take_down(state, command, at)
        case _:
            assert_never(command)


def _running(state: ServiceState, word: str) -> RolloutState:
    run = state.running
    if run is None:
        raise Rejected("nothing-running", f"no rollout runs, so there is nothing to {word}")
    if run.phase is Phase.REVERTING:
        raise Rejected("reverting", f"the rollout is being taken back, it cannot {word} any more")
    return run


def _deploy(state: ServiceState, ask: Deploy, at: float) -> Events:
    new = ask.plan.new
    running = state.running
    if running is None and _is_stable(state, new.digest) and not ask.restart:
        return ()  # the very release that serves: nothing to do
    if running is not None and running.rising and running.plan.new.digest == new.digest:
        return ()  # on its way already
    if new.digest in state.rejected and not ask.forced:
        raise Rejected(
            "rejected-before",
            f"{new.version} was taken back before and nothing in it has changed",
            "change it, or deploy with --force",
        )
    if state.replicas == 0 and state.stable is not None and not state.retired:
        detail = f"the service is scaled to 0, so nothing of {new.version} could be proven"
        raise Rejected("scaled-to-zero", detail, "scale it up first: holdfast scale N")
    if ask.gate is not None and not ask.override_gate:
        raise Rejected("window-closed", ask.gate, "wait, or override with --override-gate")
    wanted_again = running is not None and _is_stable(state, new.digest) and not ask.restart
    if wanted_again and ask.on_conflict is OnConflict.REPLACE:
        return _abort(state, Abort(ask.by, f"{new.version}, which serves, is wanted again"), at)
    plan = _rebased(state, ask.plan, ask.on_conflict)
    started = Started(at, plan, ask.by, ask.forced or ask.override_gate)
    return started_over(state, started, ask.on_conflict)


def base_of(state: ServiceState, policy: OnConflict) -> Release | None:
    """What a plan made now replaces; None: nothing, it is a first deploy.

    That is what is proven. A plan that waits for a first deploy replaces what will be proven then;
    without that it would be a first deploy itself and climb no ladder.
    """
    if state.stable is None and state.running is not None and policy is OnConflict.QUEUE:
        return state.running.plan.new
    return state.stable


def _rebased(state: ServiceState, plan: Plan, policy: OnConflict) -> Plan:
    """The base is what is proven now: a rollout may have ended since the plan was made."""
    base = base_of(state, policy)
    if (plan.old is None) is not (base is None):
        raise Rejected(
            "base-changed",
            "what is deployed changed while the plan was made",
            "deploy again: a new plan is made",
        )
    return replace(plan, old=base)


def _is_stable(state: ServiceState, digest: str) -> bool:
    return state.stable is not None and state.stable.digest == digest and not state.retired


def started_over(state: ServiceState, started: Started, policy: OnConflict) -> Events:
    """A start while another rollout runs: replace it, wait for it, or be refused."""
    run = state.running
    if run is None:
        return (started,)
    other = run.plan.new.version
    match policy:
        case OnConflict.REFUSE:
            raise Rejected(
                "conflict",
                f"a rollout of {other} runs since {started.at - run.started_at:.0f} s",
                "wait, abort it, or deploy with --on-conflict replace or --on-conflict queue",
            )
        case OnConflict.QUEUE:
            return (Queued(started.at, started.plan, started.by),)
        case OnConflict.REPLACE:
            reason = f"replaced by {started.plan.new.version}"
            return (Finished(started.at, Ending.SUPERSEDED, reason), started)


def _rollback(state: ServiceState, ask: Rollback, at: float) -> Events:
    """Back to a proven release. Never blocked by a window, a freeze or another rollout."""
    good, bad = ask.plan.new, ask.plan.old
    if bad is None or state.stable is None:
        raise Rejected("nothing-deployed", "nothing is deployed, so nothing can be rolled back")
    if good.digest == state.stable.digest:
        raise Rejected("already-there", f"{good.version} is what serves already")
    if good.digest in state.rejected and not ask.forced:
        hint = "choose another with --to, or use --force"
        raise Rejected("rejected-before", f"{good.version} was itself taken back before", hint)
    plan = replace(ask.plan, old=state.stable, replicas=state.replicas)
    started = Started(at, plan, ask.by, ask.forced)
    return started_over(state, started, OnConflict.REPLACE)


def _abort(state: ServiceState, ask: Abort, at: float) -> Events:
    run = state.running
    if run is None or run.phase is Phase.REVERTING:
        return ()
    why = f"aborted by {ask.by}" + (f": {ask.reason}" if ask.reason else "")
    return (
        AbortRequested(at, ask.by, ask.reason),
        RevertOrdered(at, "abort", why, ask.by),
    )


def _approve(state: ServiceState, ask: Approve, at: float) -> Events:
    run = _running(state, "approve")
    if run.rung.approvals == 0:
        raise Rejected("nothing-to-approve", f"step {run.step + 1} needs no approval")
    if ask.by in run.approvers:
        return ()  # one person, one approval
    return (Approved(at, run.step, ask.by),)


def _scale(state: ServiceState, ask: ScaleTo, at: float) -> Events:
    if ask.replicas < 0:
        raise Rejected("bad-size", f"found {ask.replicas} replicas, wanted 0 or more")
    if state.retired or (state.stable is None and state.running is None):
        raise Rejected("nothing-deployed", "nothing is deployed, so nothing can be scaled")
    if ask.replicas == state.replicas:
        return ()
    scaled = Scaled(at, ask.replicas, ask.by)
    run = state.running
    if ask.replicas == 0 and run is not None and run.rising:
        # To nothing in the middle of a rollout: cancel clean, leave no canary behind.
        return (RevertOrdered(at, "scaled-to-zero", f"scaled to 0 by {ask.by}", ask.by), scaled)
    return (scaled,)


def _take_down(state: ServiceState, ask: TakeDown, at: float) -> Events:
    if state.retired:
        return ()
    ended: Events = ()
    if state.running is not None:
        ended = (Finished(at, Ending.SUPERSEDED, f"service taken down by {ask.by}"),)
    return (*ended, Retired(at, ask.by))
