"""A ``Release`` of a cluster: what it asks for, and its status from a service's status. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from holdfast.artifacts.installation.definition import ELSEWHERE, TARGETS
from holdfast.conductor.client import StatusDoc

Object = dict[str, Any]
MESSAGE_MAX = 1024
LOST = ("reverted", "stranded")  # endings of what was not promoted


class Unfit(ValueError):
    """A spec that the resource's own schema would refuse; it must not be trusted to be in force."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of the present generation. ``reason`` is one word, as Kubernetes wants it."""

    yes: bool
    reason: str
    message: str


def key_of(found: Object) -> str:
    return f"{found['metadata'].get('namespace', '')}/{found['metadata']['name']}"


def spec_text(found: Object) -> str:
    """The spec as a holdfast.yaml. Raises ``Unfit``.

    It deploys into the object's own namespace, and reads no file or variable of the conductor:
    whoever may write a Release may do no more than that.
    """
    spec = found["spec"]
    run = spec.get("run")
    outside = sorted(set(run if isinstance(run, dict) else ()) & set(ELSEWHERE))
    if outside:
        raise Unfit(
            f"spec.run.{outside[0]} is of the conductor's machine, wanted none in a cluster"
        )
    target = spec.get("target", TARGETS[0])
    if target not in TARGETS:
        raise Unfit(f"found spec.target {target!r}, wanted {' or '.join(TARGETS)}")
    space = found["metadata"]["namespace"]
    cluster = spec.get("kubernetes") or {}
    if not isinstance(cluster, dict) or cluster.get("namespace") not in (None, space):
        raise Unfit(f"found spec.kubernetes {cluster!r}, wanted the namespace {space}")
    whole = {**spec, "target": target}
    if target == "kubernetes":
        whole["kubernetes"] = {**cluster, "namespace": space}
    return json.dumps(whole, indent=1, sort_keys=True)


def on_conflict(found: Object) -> Literal["replace"] | None:
    """The newest wish counts, as everywhere in Kubernetes, unless the spec says otherwise."""
    rollout = found["spec"].get("rollout")
    says = isinstance(rollout, dict) and rollout.get("on_conflict")
    return None if says else "replace"


def author(found: Object) -> str:
    """Who last wrote the object, by the name of the field manager."""
    fields = found["metadata"].get("managedFields") or ()
    writers = [each for each in fields if not each.get("subresource")]
    last: Object = max(writers, key=lambda each: each.get("time", ""), default={})
    return f"{last.get('manager', 'somebody')} by Release {key_of(found)}"[:100]


def status_of(
    found: Object, service: StatusDoc | None, accepted: Accepted | None, now: str
) -> Object:
    """The status to write. ``accepted`` None: as before. ``now``: RFC 3339."""
    before = {each["type"]: each for each in found.get("status", {}).get("conditions", ())}
    generation = found["metadata"]["generation"]
    taken = _accepted(before, accepted)
    conditions = [taken, *(() if service is None else _conditions(service))]
    wanted = found["spec"].get("version")
    body = _told(service, taken, None if wanted is None else str(wanted))
    return {
        **body,
        "observedGeneration": generation,
        "conditions": [
            _dated(each | {"observedGeneration": generation}, before.get(each["type"]), now)
            for each in conditions
        ],
    }


def _accepted(before: dict[str, Object], accepted: Accepted | None) -> Object:
    if accepted is None:
        known = before.get("Accepted", {})
        return _condition(
            "Accepted", known.get("status", "Unknown"), known.get("reason", "Unknown"),
            known.get("message", ""),
        )  # fmt: skip
    word = "True" if accepted.yes else "False"
    return _condition("Accepted", word, accepted.reason, accepted.message)


def _conditions(service: StatusDoc) -> tuple[Object, Object]:
    state = service["state"]
    ready = _ready(service)
    available = _condition(
        "Available", str(ready > 0), "Ready" if ready else "NoneReady",
        f"{ready} of {service['replicas']} are ready",
    )  # fmt: skip
    run = state["rollout"]
    reason = {True: "RollingBack", False: "RollingOut"}[run["rollback"]] if run else "NoRollout"
    progressing = _condition("Progressing", str(run is not None), reason, _why(service))
    return available, progressing


def _condition(kind: str, status: str, reason: str, message: str) -> Object:
    return {"type": kind, "status": status, "reason": reason, "message": message[:MESSAGE_MAX]}


def _dated(condition: Object, before: Object | None, now: str) -> Object:
    same = before is not None and before["status"] == condition["status"]
    since = before["lastTransitionTime"] if before is not None and same else now
    return condition | {"lastTransitionTime": since}


def _told(service: StatusDoc | None, taken: Object, wanted: str | None) -> Object:
    """The fields that the columns show; an empty one is left out."""
    refused = taken["status"] == "False"
    if service is None:
        return {"phase": "Refused" if refused else "Unknown", "message": taken["message"]}
    state = service["state"]
    run, last = state["rollout"], state["last"]
    shown = {
        "phase": phase(service, refused, wanted),
        "stable": state["stable"]["version"] if state["stable"] else "",
        "new": run["new"]["version"] if run else "",
        "step": f"{run['step']}/{run['steps']}" if run else "",
        "traffic": f"{run['weights'].get(run['new']['id'], 0)} %" if run else "",
        "ready": f"{_ready(service)}/{service['replicas']}",
        "verdict": str((run["verdict"] or {}).get("is", "")) if run else "",
        "rollout": run["id"] if run else last["rollout"] if last else "",
        "message": (taken["message"] if refused else _why(service))[:MESSAGE_MAX],
    }
    return {name: word for name, word in shown.items() if word}


def phase(service: StatusDoc, refused: bool, wanted: str | None) -> str:
    """One word. A rollout of another version than is ``wanted`` now is not a failure of it."""
    state = service["state"]
    run, last = state["rollout"], state["last"]
    if run:
        return "Paused" if run["paused"] else "Progressing"
    if refused:
        return "Refused"
    if state["retired"]:
        return "Retired"
    if state["queued"]:
        return "Queued"
    if last and last["ending"] in LOST and wanted in (None, last["new"]["version"]):
        return "Failed"
    return "Serving" if state["stable"] else "Unknown"


def _why(service: StatusDoc) -> str:
    """Why nothing moves, or how the latest rollout ended."""
    run, last = service["state"]["rollout"], service["state"]["last"]
    holds = [hold["detail"] for hold in service["holds"]]
    if service["trouble"]:
        return service["trouble"]
    if run:
        return "; ".join(holds) or run["reason"] or run["phase"]
    return f"{last['ending']}: {last['reason'] or last['new']['version']}" if last else ""


def _ready(service: StatusDoc) -> int:
    return sum(fleet["ready"] for fleet in service["fleets"])
