"""One service's ladder, evidence, promises and regions as a document. Pure."""

from __future__ import annotations

from holdfast.conductor.console.documents import (
    EvidenceDoc,
    PromiseDoc,
    RegionDoc,
    RungDoc,
    SheetDoc,
)
from holdfast.rollout.model import Step, Verdict
from holdfast.rollout.state import RolloutState, ServiceState
from holdfast.rollout.verdict import judge
from holdfast.runtime.units import show_duration
from holdfast.spec.model import Service


def sheet_document(state: ServiceState, spec: Service | None) -> SheetDoc:
    """The rollout shown is the running one, else the latest."""
    run = state.rollout
    verdict = _verdict(run) if run is not None else None
    return {
        "service": state.service,
        "rollout": run.plan.rollout if run is not None else None,
        "running": state.running is not None,
        "ladder": _ladder(run) if run is not None else [],
        "mark": verdict.mark.value if verdict is not None else None,
        "says": verdict.detail if verdict is not None else "",
        "needed": verdict.needed if verdict is not None else 0,
        "evidence": [
            EvidenceDoc(
                metric=each.metric, new_bad=each.new_bad, new_requests=each.new_requests,
                old_bad=each.old_bad, old_requests=each.old_requests,
                e_value=each.e_value, bound=each.bound,
            )
            for each in (verdict.evidence if verdict is not None else ())
        ],
        "promises": _promises(spec) if spec is not None else [],
        "regions": _regions(spec) if spec is not None else [],
    }  # fmt: skip


def _verdict(run: RolloutState) -> Verdict | None:
    """As it stands now while evidence is gathered, else the one that was acted upon."""
    if run.rising and run.rung.judged and run.reached_at is not None:
        return judge(run.tally, run.plan.judge, run.plan.repair)
    return run.verdict.verdict if run.verdict is not None else None


def _ladder(run: RolloutState) -> list[RungDoc]:
    rising = run.ending is None and run.rising
    ended_well = run.ending is not None and run.ending.value == "promoted"
    return [
        _rung(step, _standing(index, run.step, rising, ended_well))
        for index, step in enumerate(run.plan.ladder)
    ]


def _standing(index: int, at: int, rising: bool, ended_well: bool) -> str:
    if ended_well or index < at:
        return "done"
    if index == at:
        return "now" if rising else "back"
    return "ahead" if rising else "left"


def _rung(step: Step, standing: str) -> RungDoc:
    return {
        "weight": step.weight,
        "fleet": step.fleet,
        "hold_s": step.hold_s,
        "hold_s_max": step.hold_s_max,
        "judged": step.judged,
        "approvals": step.approvals,
        "standing": standing,
    }


def _promises(spec: Service) -> list[PromiseDoc]:
    kept = spec.promises
    rows = [
        ("P1", "deploy to last replica serving", f"<= {show_duration(kept.deploy)}"),
        ("P2", "rollback, command to last bad request", f"<= {show_duration(kept.rollback)}"),
        ("P3", "failed requests while deploying", f"<= {kept.failed}"),
        ("P6", "99th percentile of latency", f"<= {show_duration(kept.p99)}"),
        ("P7", "throughput", f">= {kept.throughput:g}/s"),
        ("P8", "availability", f">= {kept.availability:g} %"),
    ]
    shown = [row for row in rows if row[0] != "P7" or kept.throughput]
    return [PromiseDoc(promise=name, says=says, bound=bound) for name, says, bound in shown]


def _regions(spec: Service) -> list[RegionDoc]:
    return [
        RegionDoc(name=each.name, cloud=each.cloud, primary=each.primary) for each in spec.regions
    ]
