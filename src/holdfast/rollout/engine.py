"""The engine: one look and the remembered facts in; new facts, safe orders and holds out.

``decide`` = ``advance`` (which facts became true?) + ``desire`` (what should the world look like?)
+ ``converge`` (which part of it is safe now?). The first is here, the others in ``converge.py``.
Deadlines and hard gates are looked at before any step code, so a step that never returns cannot
silence them (Argo Rollouts #4626, Flagger #1247).
"""

from __future__ import annotations

from dataclasses import replace

from holdfast.rollout.converge import converge, desire
from holdfast.rollout.model import (
    Decision,
    Dequeued,
    Ending,
    Event,
    Finished,
    FleetSeen,
    Hold,
    HoldCode,
    Judged,
    Mark,
    Measured,
    Observation,
    OnShortEvidence,
    Plan,
    Progressed,
    RevertOrdered,
    SettleEntered,
    Slipped,
    Source,
    Started,
    StepEntered,
    Strategy,
    Verdict,
    WarmEnded,
    WeightReached,
)
from holdfast.rollout.plan import FIRST
from holdfast.rollout.state import FALL_S, Phase, RolloutState, ServiceState, evolve
from holdfast.rollout.verdict import judge

WAKE_LIVE_S = 0.1
WAKE_IDLE_S = 1.0
IDLE_S = 5.0  # a step without a single request for this long is said to be without traffic


def decide(state: ServiceState, seen: Observation) -> Decision:
    """One judgement of one look. Pure: the same input gives the same output."""
    events, holds = advance(state, seen)
    for event in events:
        state = evolve(state, event)
    desired = desire(state, seen)
    orders, limits = converge(state, desired, seen)
    wake = WAKE_LIVE_S if state.running is not None else WAKE_IDLE_S
    return Decision(tuple(events), orders, (*holds, *limits), wake)


def advance(state: ServiceState, seen: Observation) -> tuple[list[Event], list[Hold]]:
    """Which facts became true since the last look?"""
    if state.retired:
        return [], []
    run = state.running
    if run is None:
        return _between(state, seen)
    events: list[Event] = []
    if (measured := _measure(run, seen)) is not None:
        events.append(measured)
        state = evolve(state, measured)
        run = state.running
        assert run is not None, "measuring never ends a rollout"
    match run.phase:
        case Phase.SHIFTING | Phase.SETTLING:
            more, holds = _rise(state, run, seen)
        case Phase.REVERTING:
            more, holds = _revert(state, run, seen)
        case Phase.FINISHED:
            raise AssertionError("a finished rollout is not running")
    return events + more, holds


# ---- between rollouts ---------------------------------------------------------------------------


def _between(state: ServiceState, seen: Observation) -> tuple[list[Event], list[Hold]]:
    events: list[Event] = []
    warm = state.warm
    if warm is not None and seen.now >= warm.until:
        events.append(WarmEnded(seen.now, warm.release.id, "its warm time is over"))
    if state.queue:
        waiting = state.queue[0]
        why_not = _pointless(state, waiting.plan)
        if why_not is not None:
            return [*events, Dequeued(seen.now, waiting.plan.rollout, why_not)], []
        if seen.gate is not None and not waiting.plan.rollback:
            return events, [Hold(HoldCode.WINDOW_CLOSED, seen.gate)]
        if state.stable is not None and state.replicas == 0:
            detail = f"{waiting.plan.new.version} waits: the service is scaled to 0"
            return events, [Hold(HoldCode.QUEUED, detail)]
        # The base is whatever is proven now, never the half-done release of the past.
        ladder = FIRST if state.stable is None else waiting.plan.ladder
        plan = replace(waiting.plan, old=state.stable, ladder=ladder)
        events.append(Started(seen.now, plan, waiting.by))
    return events, _ending_holds(state)


def _pointless(state: ServiceState, plan: Plan) -> str | None:
    """Why a plan that waited in the queue is not started any more."""
    if state.stable is not None and plan.new.digest == state.stable.digest:
        return f"{plan.new.version} is what serves already"
    if plan.new.digest in state.rejected:
        return f"{plan.new.version} was taken back meanwhile"
    return None


def _ending_holds(state: ServiceState) -> list[Hold]:
    run = state.rollout
    if run is not None and run.ending is Ending.STRANDED:
        return [Hold(HoldCode.STRANDED, f"{run.reason}; a person is needed: deploy a good release")]
    return []


def _measure(run: RolloutState, seen: Observation) -> Measured | None:
    """Counts worth remembering: any request, or the source changing its state."""
    if run.plan.rollback or not run.rising:
        return None
    sample = seen.sample
    counted = any(counts.requests for _release, counts in sample.arms)
    was_down = run.source_down_at is not None
    if counted or was_down is not (sample.source is not Source.OK):
        return Measured(seen.now, sample)
    return None


# ---- on the way up ------------------------------------------------------------------------------


def _rise(
    state: ServiceState, run: RolloutState, seen: Observation
) -> tuple[list[Event], list[Hold]]:
    verdict = _verdict(run, seen)
    stop = _hard_gate(run, seen) or _overdue(run, seen) or _condemned(run, verdict, seen)
    if stop is not None:
        return [stop], []
    if run.paused_at is not None:
        return [], [Hold(HoldCode.PAUSED, f"paused by {run.paused_by}")]
    if seen.drift is not None:
        return [], [Hold(HoldCode.DRIFT, f"changed from outside: {seen.drift}; not fighting it")]
    slipped = _slipped(state, run, seen)
    if slipped is not None:
        return [slipped], [Hold(HoldCode.STARTING, "the new fleet lost instances")]
    if run.phase is Phase.SETTLING:
        return _settle(state, run, seen)
    if run.reached_at is None:
        return _reach(state, run, seen)
    return _leave(state, run, verdict, seen)


def _verdict(run: RolloutState, seen: Observation) -> Verdict:
    old = run.plan.old
    # An old fleet that went because the new one carries everything is no sick one.
    sick = old is not None and seen.fleet(old.id).ready == 0 and run.rung.weight < 100
    alone = old is None or sick or run.plan.repair
    return judge(run.tally, run.plan.judge, repair=alone)


def _hard_gate(run: RolloutState, seen: Observation) -> RevertOrdered | None:
    """Dead, wrong version, crash loop, smoke failure: acted on at once."""
    new = run.plan.new
    fleet = seen.fleet(new.id)
    failure = fleet.failure
    if failure is not None and failure.hopeless:
        tail = f"; last log line: {failure.log_tail[-1]}" if failure.log_tail else ""
        text = f"{new.version} {failure.code}: {failure.detail}{tail}"
        return RevertOrdered(seen.now, failure.code, text, "engine")
    before = run.plan.deaths_before
    deaths = fleet.restarts - (before if fleet.restarts >= before else 0)  # it may count anew
    if deaths >= run.plan.limits.crash_loop and not run.plan.rollback:
        text = f"instances of {new.version} died {deaths} times"
        return RevertOrdered(seen.now, "crash-loop", text, "engine")
    if run.slips > run.plan.limits.crash_loop:
        text = f"{new.version} lost readiness {run.slips} times on this step"
        return RevertOrdered(seen.now, "flapping", text, "engine")
    return None


def _overdue(run: RolloutState, seen: Observation) -> RevertOrdered | None:
    limits = run.plan.limits
    waits = run.reached_at is None
    checks = (
        ("deadline-rollout", True, run.started_at + run.paused_s, limits.rollout_s),
        ("deadline-step", waits, run.step_at, limits.step_s),
        ("no-progress", waits, run.progress_at, limits.progress_s),
    )
    for code, applies, since, bound in checks:
        spent = run.elapsed(seen.now, since)
        if applies and spent > bound:
            text = f"step {run.step + 1}: {spent:.0f} s spent, limit {bound:.0f} s"
            return RevertOrdered(seen.now, code, text, "engine")
    return None


def _condemned(run: RolloutState, verdict: Verdict, seen: Observation) -> RevertOrdered | None:
    if run.plan.rollback:
        return None
    if verdict.mark is Mark.FAIL:
        return RevertOrdered(seen.now, "verdict", verdict.detail, "engine")
    limits = run.plan.limits
    down_at = run.source_down_at
    if down_at is None or limits.on_source_down is not OnShortEvidence.ROLLBACK:
        return None
    silent = run.elapsed(seen.now, down_at)
    if silent <= limits.source_down_s:
        return None
    text = f"the metric source has been silent for {silent:.0f} s"
    return RevertOrdered(seen.now, "source-down", text, "engine")


def _slipped(state: ServiceState, run: RolloutState, seen: Observation) -> Slipped | None:
    """Below the need after the step was reached. Losing within ``max_unavailable`` is not."""
    if run.reached_at is None:
        return None
    ready = seen.fleet(run.plan.new.id).ready
    if ready >= _least(state, run):
        return None
    settling, last = run.phase is Phase.SETTLING, run.slipped_at
    if settling and last is not None and seen.now - last < FALL_S:
        return None  # the same fall, noted a moment ago
    return Slipped(seen.now, ready)


def _least(state: ServiceState, run: RolloutState) -> int:
    """New instances without which a reached step is not reached any more."""
    if state.replicas == 0:
        return 0
    return max(1, run.needed(state.replicas) - run.plan.limits.max_unavailable)


def _reach(
    state: ServiceState, run: RolloutState, seen: Observation
) -> tuple[list[Event], list[Hold]]:
    fleet = seen.fleet(run.plan.new.id)
    need, weight = run.needed(state.replicas), seen.weight(run.plan.new.id)
    if fleet.ready >= need and weight >= run.rung.weight:
        return [WeightReached(seen.now, run.step)], []
    if fleet.ready > run.ready_most:
        return [Progressed(seen.now, fleet.ready)], [_starting(fleet, need)]
    if fleet.ready < need:
        return [], [_starting(fleet, need)]
    detail = f"{run.plan.new.version} carries {weight} % of the traffic, wanted {run.rung.weight} %"
    return [], [Hold(HoldCode.ROUTING, detail)]


def _starting(fleet: FleetSeen, need: int) -> Hold:
    detail = f"{fleet.ready} of {need} instances ready, {fleet.starting} starting"
    if fleet.failure is not None:
        detail += f", {fleet.failure.code}: {fleet.failure.detail}"
    return Hold(HoldCode.STARTING, detail)


def _leave(
    state: ServiceState, run: RolloutState, verdict: Verdict, seen: Observation
) -> tuple[list[Event], list[Hold]]:
    """The weight of this step is in force. May the rollout go on?"""
    if seen.gate is not None and not run.plan.rollback:
        return [], [Hold(HoldCode.WINDOW_CLOSED, seen.gate)]
    assert run.reached_at is not None, "a step is left only after it was reached"
    weight = seen.weight(run.plan.new.id)
    if weight < run.rung.weight and state.replicas > 0:
        # It had the weight and lost it again, to a refuge: what is said must be true now.
        return [], [Hold(HoldCode.ROUTING, f"{weight} % of the traffic, {run.rung.weight} wanted")]
    spent = run.elapsed(seen.now, run.reached_at)
    if not run.skip:
        if len(run.approvers) < run.rung.approvals:
            return [], [_approval(run)]
        if spent < run.rung.hold_s:
            left = run.rung.hold_s - spent
            return [], [Hold(HoldCode.SOAKING, f"{left:.1f} s left of {run.rung.hold_s:.1f} s")]
        if run.rung.judged:
            return _judged_exit(run, verdict, seen)
    return _next(run, seen), []


def _approval(run: RolloutState) -> Hold:
    given = ", ".join(sorted(run.approvers)) or "nobody"
    detail = f"{len(run.approvers)} of {run.rung.approvals} approvals given ({given})"
    return Hold(HoldCode.NEEDS_APPROVAL, detail)


def _judged_exit(
    run: RolloutState, verdict: Verdict, seen: Observation
) -> tuple[list[Event], list[Hold]]:
    assert run.reached_at is not None, "a step is judged only after it was reached"
    assert verdict.mark is not Mark.FAIL, "a failing verdict reverted before"
    said = Judged(seen.now, run.step, verdict)
    if verdict.mark is Mark.PASS:
        return [said, *_next(run, seen)], []
    policy = _short_evidence(run, verdict, seen.now)
    if policy is OnShortEvidence.PROMOTE:
        return [said, *_next(run, seen)], []
    if policy is OnShortEvidence.ROLLBACK:
        text = f"no verdict after {run.rung.hold_s_max:.0f} s: {verdict.detail}"
        return [said, RevertOrdered(seen.now, "insufficient", text, "engine")], []
    return [], [Hold(_HOLD_OF[verdict.mark], _waiting(run, verdict, seen.now))]


def _waiting(run: RolloutState, verdict: Verdict, now: float) -> str:
    """The verdict's words, and what a person can do when nothing can come of waiting."""
    assert run.reached_at is not None, "evidence is awaited only on a reached step"
    idle = not any(evidence.new_requests for evidence in verdict.evidence)
    if verdict.mark is not Mark.INSUFFICIENT or not idle or now - run.reached_at < IDLE_S:
        return verdict.detail
    return f"{verdict.detail}; no request reaches it: send traffic, or go on with holdfast promote"


_HOLD_OF = {
    Mark.INSUFFICIENT: HoldCode.NEEDS_SAMPLES,
    Mark.SOURCE_DOWN: HoldCode.SOURCE_DOWN,
    Mark.COMMON_CAUSE: HoldCode.COMMON_CAUSE,
}


def _short_evidence(run: RolloutState, verdict: Verdict, now: float) -> OnShortEvidence:
    """What the policy says when waiting longer is not allowed; HOLD while it is."""
    limits = run.plan.limits
    assert run.reached_at is not None, "evidence is short only on a reached step"
    if verdict.mark is Mark.SOURCE_DOWN and run.source_down_at is not None:
        silent = run.elapsed(now, run.source_down_at)
        return limits.on_source_down if silent > limits.source_down_s else OnShortEvidence.HOLD
    if verdict.mark is Mark.INSUFFICIENT:
        spent = run.elapsed(now, run.reached_at)
        return limits.on_insufficient if spent >= run.rung.hold_s_max else OnShortEvidence.HOLD
    return OnShortEvidence.HOLD  # COMMON_CAUSE: freeze; the rollout's deadline bounds it


def _next(run: RolloutState, seen: Observation) -> list[Event]:
    """At most one step per decision."""
    if run.step + 1 < len(run.plan.ladder):
        return [StepEntered(seen.now, run.step + 1)]
    if run.plan.limits.bake_s > 0 and not run.plan.rollback:
        return [SettleEntered(seen.now)]
    return [_promoted(run.plan, seen.now)]


def _settle(
    state: ServiceState, run: RolloutState, seen: Observation
) -> tuple[list[Event], list[Hold]]:
    assert run.reached_at is not None, "baking starts with a time"
    # Lost instances begin it anew: what dies each few seconds must not outlast a short bake.
    calm_since = max(run.reached_at, run.progress_at)
    left = run.plan.limits.bake_s - run.elapsed(seen.now, calm_since)
    fleet, weight = seen.fleet(run.plan.new.id), seen.weight(run.plan.new.id)
    if left > 0 and not run.skip:
        return [], [Hold(HoldCode.BAKING, f"{left:.1f} s left at 100 %")]
    # Promotion re-reads health: what was judged must be what serves now.
    if weight < 100 or fleet.ready < max(1, _least(state, run)):
        return [], [Hold(HoldCode.REFUGE, f"{fleet.ready} ready, {weight} % of the traffic")]
    return [_promoted(run.plan, seen.now)], []


def _promoted(plan: Plan, now: float) -> Finished:
    what = "rolled back to" if plan.rollback else "all steps passed for"
    return Finished(now, Ending.PROMOTED, f"{what} {plan.new.version}")


# ---- on the way back ----------------------------------------------------------------------------


def _revert(
    state: ServiceState, run: RolloutState, seen: Observation
) -> tuple[list[Event], list[Hold]]:
    assert run.revert is not None, "reverting starts with its reason"
    home, new = run.plan.old, run.plan.new
    if home is None:
        return _revert_to_nothing(run, seen)
    if state.replicas == 0 and seen.fleet(new.id).size == 0:
        return [Finished(seen.now, Ending.REVERTED, run.revert.reason)], []  # nobody has traffic
    why_not = _no_home(state, run, seen)
    if why_not is not None:
        return [Finished(seen.now, Ending.STRANDED, why_not)], []
    fleet = seen.fleet(home.id)
    back = seen.weight(home.id) >= 100 and seen.weight(new.id) == 0
    if back and (fleet.ready >= _floor(state, run) or state.replicas == 0):
        return [Finished(seen.now, Ending.REVERTED, run.revert.reason)], []
    detail = f"going back to {home.version}: {fleet.ready} of {state.replicas} ready"
    return [], [Hold(HoldCode.STARTING if not back else HoldCode.ROUTING, detail)]


def _floor(state: ServiceState, run: RolloutState) -> int:
    if run.plan.strategy is Strategy.ROLLING:
        return max(1, state.replicas - run.plan.limits.max_unavailable)
    return 1


def _no_home(state: ServiceState, run: RolloutState, seen: Observation) -> str | None:
    """Why there is nothing proven to go back to, or None while there may be."""
    home, revert = run.plan.old, run.revert
    assert home is not None and revert is not None, "asked only while reverting to a release"
    if home.digest in state.rejected:
        return f"{home.version} was itself rejected before; {revert.reason}"
    if home.id == run.plan.new.id:
        return f"{home.version} is the very release that failed; {revert.reason}"
    fleet = seen.fleet(home.id)
    if fleet.ready == 0 and fleet.failure is not None and fleet.failure.hopeless:
        return f"{home.version} cannot start: {fleet.failure.detail}; {revert.reason}"
    if seen.now - revert.at > _way_back_s(run):
        ready = f"{fleet.ready} of {state.replicas} instances ready"
        return f"{home.version} did not come back ({ready}); {revert.reason}"
    return None


def _way_back_s(run: RolloutState) -> float:
    """As long as each rung may take on the way up, for every rung that was climbed."""
    limits = run.plan.limits
    return max(limits.step_s, min(limits.rollout_s, limits.step_s * (run.step + 1)))


def _revert_to_nothing(run: RolloutState, seen: Observation) -> tuple[list[Event], list[Hold]]:
    """A first deploy failed. Traffic it already carried stays on whatever can answer."""
    assert run.revert is not None, "asked only while reverting"
    serves = seen.weight(run.plan.new.id) > 0 and seen.fleet(run.plan.new.id).ready > 0
    ending = Ending.STRANDED if serves else Ending.REVERTED
    return [Finished(seen.now, ending, f"{run.revert.reason}; nothing older to go back to")], []
