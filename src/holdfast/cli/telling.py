"""Sentences about a rollout: what happened, why it waits, how it ended. Pure text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from holdfast.cli.picture import Picture
from holdfast.rollout.model import (
    FAILURES,
    Approved,
    Ending,
    Event,
    Judged,
    Paused,
    Plan,
    Progressed,
    PromoteRequested,
    Resumed,
    RevertOrdered,
    Scaled,
    SettleEntered,
    Started,
    StepEntered,
    WeightReached,
)
from holdfast.runtime.units import show_duration

if TYPE_CHECKING:
    from holdfast.conductor.client import StatusDoc

#: What each hold waits for, in the words of a person who asks "why does nothing move?".
WAITS = {
    "starting": "waiting for instances to become ready",
    "routing": "waiting for the data plane to acknowledge the weights",
    "soaking": "staying on this step for its minimum time",
    "needs-samples": "waiting for more requests to judge by",
    "source-down": "waiting for the metric source",
    "common-cause": "frozen: the old release fails as well, so the new one is not to blame",
    "needs-approval": "waiting for a person: holdfast approve",
    "paused": "paused by a person: holdfast resume",
    "window-closed": "waiting for the deployment window",
    "draining": "waiting for requests in flight to finish",
    "refuge": "traffic stays where it is answered",
    "drift": "somebody changed routes or instances from outside",
    "queued": "waiting behind another rollout",
    "baking": "watching the new release at 100 %",
    "target": "the target does not do what it was told; it is asked again",
    "ledger": "nothing is done that cannot be recorded first",
    "stranded": "a person is needed: nothing proven is left to go back to",
}


def hold_line(code: str, detail: str) -> str:
    """``waiting for more requests to judge by (needs-samples): 31 of 60 seen``."""
    words = WAITS.get(code, "waiting")
    return f"{words} ({code})" + (f": {detail}" if detail else "")


def headline(plan: Plan) -> str:
    """``canary v1 -> v2: 5 % -> 25 % -> 100 %, 4 replicas``."""
    verb = "rollback" if plan.rollback else str(plan.strategy.value)
    names = f"{plan.old.version} -> {plan.new.version}" if plan.old else plan.new.version
    if is_restart(plan):
        verb, names = "restart", plan.new.version
    weights = " -> ".join(f"{step.weight} %" for step in plan.ladder)
    count = f"{plan.replicas} replica" + ("" if plan.replicas == 1 else "s")
    return f"{verb} {names}: {weights} of the traffic, {count}"


def is_restart(plan: Plan) -> bool:
    return plan.old is not None and plan.old.digest == plan.new.digest


def event_line(event: Event, picture: Picture) -> str | None:  # noqa: C901, PLR0911
    """What a fact means, or ``None`` where there is nothing to tell a person."""
    plan = picture.plan
    if plan is None or picture.ending is not None:
        return None
    match event:
        case Started():
            return headline(plan) if event.plan.rollout == plan.rollout else None
        case StepEntered():
            return step_line(plan, event.step)
        case WeightReached():
            return reached_line(plan, event.step)
        case Progressed():
            return f"{plan.new.version}: {event.ready} of {_wanted(picture)} ready"
        case Judged():
            return f"verdict {event.verdict.mark.value.upper()}: {event.verdict.detail}"
        case SettleEntered():
            return f"watching {plan.new.version} at 100 %"
        case RevertOrdered():
            return f"taking {plan.new.version} back ({event.code}): {event.reason}"
        case Paused():
            return f"paused by {event.by}" + (f": {event.reason}" if event.reason else "")
        case Resumed() | Approved() | PromoteRequested():
            verb = {"Resumed": "resumed", "Approved": "approved"}.get(type(event).__name__)
            return f"{verb or 'rest of the wait skipped'} by {event.by}"
        case Scaled():
            return f"{event.replicas} replicas wanted by {event.by}"
        case _:
            return None


def reached_line(plan: Plan, step: int) -> str:
    weight, new = plan.ladder[step].weight, plan.new.version
    if weight == 0:
        return f"{new} is whole and has no traffic yet"
    return f"{weight} % of the traffic is on {new}"


def _wanted(picture: Picture) -> int:
    """Instances that the current step needs."""
    plan = picture.plan
    assert plan is not None
    return math.ceil(plan.replicas * plan.ladder[picture.step].fleet / 100)


def step_line(plan: Plan, step: int) -> str:
    rung = plan.ladder[step]
    return f"step {step + 1} of {len(plan.ladder)}: {rung.weight} % to {plan.new.version}"


# ---- endings ------------------------------------------------------------------------------------


def ending_line(picture: Picture) -> str:
    """The one honest sentence a rollout ends with."""
    plan, ending = picture.plan, picture.ending
    assert plan is not None and ending is not None, "only a finished rollout has an ending"
    took, new = show_duration(picture.elapsed_s), plan.new.version
    reason = _because(picture)
    match ending:
        case Ending.PROMOTED if plan.rollback and plan.old is not None:
            return f"rolled back from {plan.old.version} to {new} in {took}"
        case Ending.PROMOTED if is_restart(plan):
            return f"{new} restarted in {took}"
        case Ending.PROMOTED:
            return f"{new} promoted in {took}"
        case Ending.REVERTED:
            return f"{new} reverted after {took}{reason}; {_aftermath(picture)}"
        case Ending.SUPERSEDED:
            return f"{new} was superseded after {took}{reason}"
        case Ending.STRANDED:
            return f"{new} is stranded after {took}{reason}; {_stranded(picture)}"


def _because(picture: Picture) -> str:
    """The reason without what the lines above it have said already."""
    assert picture.plan is not None
    reason = picture.revert.reason if picture.revert else picture.reason
    reason = reason.partition("; last log line: ")[0]
    return f": {reason.removeprefix(f'{picture.plan.new.version} ')}" if reason else ""


def _stranded(picture: Picture) -> str:
    where = f"traffic is on {shares(picture.status)}" if picture.status else "see holdfast status"
    return f"{where}; a person is needed: deploy a good release"


def _aftermath(picture: Picture) -> str:
    """Where the traffic is now, from a look at the service; never from what was planned."""
    plan, status = picture.plan, picture.status
    assert plan is not None
    if plan.old is None:
        return "nothing was deployed before, so nothing serves"
    old = plan.old.version
    if status is None:
        return f"ask holdfast status whether traffic is back on {old}"
    if status["weights"].get(plan.old.id, 0) < 100:
        return f"traffic is on {shares(status)}"
    ready = next((f["ready"] for f in status["fleets"] if f["release"] == plan.old.id), 0)
    if ready >= max(1, status["replicas"]):
        return f"traffic is back on {old}; the service is fine"
    return f"traffic is back on {old}, which has {ready} of {status['replicas']} replicas ready"


def shares(status: StatusDoc) -> str:
    """``v1 95 %, v2 5 %``."""
    version = {fleet["release"]: fleet["version"] for fleet in status["fleets"]}
    parts = [f"{version.get(r, r)} {w} %" for r, w in status["weights"].items() if w]
    return ", ".join(parts) or "nobody"


def failure_lines(picture: Picture, log_tail: list[str]) -> list[str]:
    """Why the new instances could not serve: code, meaning, and what they printed last."""
    failure, plan = picture.failure, picture.plan
    if plan is None:
        return []
    lines = []
    if failure is not None:
        meaning = FAILURES.get(failure["code"], "the instances cannot serve")
        detail = failure["detail"].removeprefix(meaning).removeprefix(": ")
        lines.append(f"{failure['code']}: {meaning}" + (f": {detail}" if detail else ""))
        log_tail = failure["log_tail"] or log_tail
    if log_tail:
        lines.append(f"last lines of {plan.new.version}:")
        lines += [f"  | {line}" for line in log_tail[-10:]]
    return lines
