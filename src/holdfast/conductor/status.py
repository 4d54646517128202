"""A service as a document: what people, the console and tests read. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from holdfast.artifacts import names
from holdfast.conductor.client import (
    EndingDoc,
    FailureDoc,
    FleetDoc,
    ReleaseDoc,
    RolloutDoc,
    StateDoc,
    StatusDoc,
)
from holdfast.conductor.events import hold_documents
from holdfast.rollout.model import Failure, FleetSeen, Hold, Observation, Release, ReleaseId
from holdfast.rollout.state import RolloutState, ServiceState
from holdfast.runtime.codec import encode
from holdfast.spec.model import Service


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a status document is made of. ``seen`` is None before the first look."""

    state: ServiceState
    service: Service | None  # the spec in force
    seen: Observation | None
    holds: tuple[Hold, ...]
    owner: str
    generation: int
    now: float
    trouble: str | None = None  # why the latest turn failed


def status_document(snap: Snapshot) -> StatusDoc:
    seen = snap.seen or Observation(snap.now)
    versions = _versions(snap.state)
    return {
        "service": snap.state.service,
        "target": snap.service.target if snap.service else "unknown",
        "replicas": snap.state.replicas,
        "endpoint": endpoint(snap.service),
        "state": _state(snap, seen),
        "fleets": [_fleet(fleet, versions) for fleet in seen.fleets],
        "weights": dict(seen.weights),
        "holds": hold_documents(snap.holds),
        "gate": seen.gate,
        "generation": snap.generation,
        "owner": snap.owner,
        "now": snap.now,
        "trouble": snap.trouble,
    }


def endpoint(service: Service | None) -> str | None:
    """Where users reach the service; None when nothing real listens."""
    if service is None or service.target == "simulated":
        return None
    traffic = service.traffic
    if service.target == "kubernetes":
        scheme = "tcp" if traffic.protocol == "tcp" else "https"
        return f"{scheme}://{names.host(service)}"
    scheme = "tcp" if traffic.protocol == "tcp" else "http"
    host = f"[{traffic.address}]" if ":" in traffic.address else traffic.address
    return f"{scheme}://{host}:{traffic.port}"


def release_document(release: Release) -> ReleaseDoc:
    return {"id": release.id, "digest": release.digest, "version": release.version}


def _maybe(release: Release | None) -> ReleaseDoc | None:
    return None if release is None else release_document(release)


def _state(snap: Snapshot, seen: Observation) -> StateDoc:
    state = snap.state
    running = state.running
    queue = state.queue
    return {
        "stable": _maybe(state.stable),
        "previous": _maybe(previous_release(state)),
        "rollout": _rollout(running, seen, snap.holds) if running is not None else None,
        "queued": release_document(queue[0].plan.new) if queue else None,
        "last": _last(state.rollout),
        "rejected": sorted(state.rejected),
        "retired": state.retired,
    }


def previous_release(state: ServiceState) -> Release | None:
    """What a rollback without a name goes back to: the warm release, or the proven one before."""
    stable = state.stable
    if stable is None:
        return None
    if state.warm is not None and state.warm.release.digest != stable.digest:
        return state.warm.release
    earlier = [
        release
        for release in state.proven
        if release.digest != stable.digest and release.digest not in state.rejected
    ]
    return earlier[-1] if earlier else None


def _rollout(run: RolloutState, seen: Observation, holds: tuple[Hold, ...]) -> RolloutDoc:
    plan = run.plan
    sides = [release.id for release in (plan.old, plan.new) if release is not None]
    return {
        "id": plan.rollout,
        "phase": run.phase.value,
        "strategy": plan.strategy.value,
        "step": run.step + 1,
        "steps": len(plan.ladder),
        "new": release_document(plan.new),
        "old": _maybe(plan.old),
        "rollback": plan.rollback,
        "paused": run.paused_at is not None,
        "weights": {side: seen.weight(side) for side in sides},
        "holds": hold_documents(holds),
        "started_at": run.started_at,
        "approvals": sorted(run.approvers),
        "verdict": _verdict(run),
        "reason": run.revert.reason if run.revert is not None else run.reason,
    }


def _verdict(run: RolloutState) -> dict[str, Any] | None:
    if run.verdict is None:
        return None
    encoded: dict[str, Any] = encode(run.verdict.verdict)
    return encoded


def _last(run: RolloutState | None) -> EndingDoc | None:
    if run is None or run.ending is None:
        return None
    return {
        "rollout": run.plan.rollout,
        "ending": run.ending.value,
        "reason": run.reason,
        "new": release_document(run.plan.new),
    }


def _fleet(fleet: FleetSeen, versions: dict[ReleaseId, str]) -> FleetDoc:
    return {
        "release": fleet.release,
        "version": versions.get(fleet.release, ""),
        "starting": fleet.starting,
        "ready": fleet.ready,
        "draining": fleet.draining,
        "failed": fleet.failed,
        "in_flight": fleet.in_flight,
        "restarts": fleet.restarts,
        "failure": _failure(fleet.failure),
    }


def _failure(failure: Failure | None) -> FailureDoc | None:
    if failure is None:
        return None
    return {
        "code": failure.code,
        "detail": failure.detail,
        "log_tail": list(failure.log_tail),
        "hopeless": failure.hopeless,
    }


def _versions(state: ServiceState) -> dict[ReleaseId, str]:
    """Version names of every release that may still have instances."""
    known = {release.id: release.version for release in state.proven}
    for release in (state.stable, None if state.warm is None else state.warm.release):
        if release is not None:
            known[release.id] = release.version
    if state.rollout is not None:
        for side in (state.rollout.plan.old, state.rollout.plan.new):
            if side is not None:
                known[side.id] = side.version
    return known
