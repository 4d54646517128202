"""From the spec to a ladder: strategies are data. Nothing is left to choose later."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from holdfast.rollout.model import (
    JudgePolicy,
    Limits,
    OnShortEvidence,
    Plan,
    Release,
    Step,
    Strategy,
)
from holdfast.rollout.verdict import clean_requests_needed
from holdfast.spec.model import Rollout, Service

RUNGS_MAX = 10  # a rolling update of thousands is still told in ten steps
FIRST = (Step(100, 100),)  # nothing serves yet, so nothing can be compared or taken over


def plan_rollout(service: Service, old: Release | None, new: Release, rollout: str) -> Plan:
    """The plan to replace ``old`` by ``new`` as the spec says. ``old`` None: first deploy."""
    strategy = Strategy(service.rollout.strategy)
    ladder = FIRST if old is None else _ladder(service, strategy)
    if service.rollout.approvals and old is not None:
        ladder = (Step(0, ladder[0].fleet, approvals=service.rollout.approvals), *ladder)
    return Plan(
        rollout=rollout,
        strategy=strategy,
        old=old,
        new=new,
        replicas=service.replicas,
        ladder=ladder,
        limits=_limits(service.rollout),
        judge=_policy(service),
    )


def plan_rollback(service: Service, bad: Release, good: Release, rollout: str) -> Plan:
    """One rung: everything to ``good``, at once and unjudged. Its fleet must be whole first."""
    plan = plan_rollout(service, bad, good, rollout)
    return replace(plan, ladder=(Step(100, 100),), rollback=True)


def _ladder(service: Service, strategy: Strategy) -> tuple[Step, ...]:
    match strategy:
        case Strategy.ROLLING:
            return _rolling(service)
        case Strategy.BLUE_GREEN:
            return (Step(0, 100), Step(100, 100))
        case Strategy.CANARY:
            return tuple(
                Step(
                    weight=step.weight,
                    fleet=step.weight,
                    hold_s=step.hold,
                    hold_s_max=step.max,
                    judged=0 < step.weight < 100,
                    approvals=step.approvals,
                )
                for step in service.rollout.steps
            )


def _rolling(service: Service) -> tuple[Step, ...]:
    """Batches of what may be above or below; at most ten rungs."""
    total = max(1, service.replicas)
    batch = max(1, service.rollout.max_surge, service.rollout.max_unavailable)
    rungs = min(RUNGS_MAX, math.ceil(total / batch))
    shares = [math.floor(100 * rung / rungs) for rung in range(1, rungs + 1)]
    return tuple(Step(weight=share, fleet=share) for share in shares)


def _limits(rollout: Rollout) -> Limits:
    return Limits(
        rollout_s=rollout.deadline,
        step_s=rollout.step_deadline,
        progress_s=rollout.no_progress,
        drain_s=rollout.drain,
        keep_warm_s=rollout.keep_warm,
        bake_s=rollout.bake,
        max_surge=rollout.max_surge,
        max_unavailable=rollout.max_unavailable,
        source_down_s=rollout.source_down,
        on_source_down=OnShortEvidence(rollout.on_source_down),
        on_insufficient=OnShortEvidence(rollout.on_insufficient),
    )


def _policy(service: Service) -> JudgePolicy:
    analysis = service.rollout.analysis
    return JudgePolicy(
        alpha=analysis.alpha,
        warm_up_s=analysis.warm_up,
        ratio_tolerated=analysis.ratio_tolerated,
        error_rate_max=analysis.error_rate_max,
        metrics=tuple(analysis.metrics),
        slow_rate_max=analysis.slow_rate_max,
    )


# ---- the plan in words --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StepForecast:
    """One rung as ``holdfast plan`` shows it. Times in seconds."""

    step: int
    weight: int
    instances_new: int
    instances_old: int
    gates: tuple[str, ...]
    seconds_min: float
    seconds_expected: float | None  # None: depends on people or on traffic that does not flow


def forecast(plan: Plan, requests_per_s: float, start_s: float = 1.0) -> tuple[StepForecast, ...]:
    """What each gate needs and how long it takes at the present traffic.

    ``requests_per_s`` is the whole service's rate; ``start_s`` how long an instance takes to be
    ready. A judged step needs ``clean_requests_needed`` of its own share.
    """
    return tuple(_forecast(plan, i, requests_per_s, start_s) for i in range(len(plan.ladder)))


def _forecast(plan: Plan, index: int, rate: float, start_s: float) -> StepForecast:
    step = plan.ladder[index]
    before = plan.ladder[index - 1].fleet if index else 0
    fresh = math.ceil(plan.replicas * step.fleet / 100)
    gates = [f"{fresh} of {fresh} new instances ready"] if step.fleet > before else []
    gates += [f"data plane acknowledges {step.weight} %"]
    least = step.hold_s
    expected: float | None = least + (start_s if step.fleet > before else 0.0)
    if step.hold_s:
        gates.append(f"{step.hold_s:g} s at this weight")
    if step.judged:
        need = clean_requests_needed(plan.judge.error_rate_max, plan.judge.confidence)
        gates.append(f"PASS verdict: about {need} clean requests, at most {step.hold_s_max:g} s")
        share = rate * step.weight / 100
        wait = plan.judge.warm_up_s + need / share if share > 0 else math.inf
        expected = None if wait > step.hold_s_max else max(least, wait) + start_s
    if step.approvals:
        gates.append(f"{step.approvals} approval(s)")
        expected = None
    old = 0 if plan.old is None else _old_size(plan, fresh)
    return StepForecast(index + 1, step.weight, fresh, old, tuple(gates), least, expected)


def _old_size(plan: Plan, fresh: int) -> int:
    if plan.strategy is Strategy.ROLLING and not plan.rollback:
        return plan.replicas - fresh
    return plan.replicas
