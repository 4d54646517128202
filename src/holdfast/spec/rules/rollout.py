"""Rules about replicas, the rollout and the promises: plans that could never end well."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

from holdfast.spec.model import Rollout, Service
from holdfast.spec.problem import one_line
from holdfast.spec.rules.finding import Finding, Path
from holdfast.spec.written import duration

_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?([Zz]|[+-]\d\d:\d\d)")


def check(service: Service) -> Iterator[Finding]:
    yield from _replicas(service)
    yield from _rolling(service)
    yield from _ladder(service.rollout)
    yield from _steps(service.rollout)
    yield from _deadlines(service.rollout)
    yield from _analysis(service.rollout)
    yield from _windows(service.rollout)
    yield from _freezes(service.rollout)
    yield from _promises(service)


def _at(*names: str | int) -> Path:
    return ("rollout", *names)


def _replicas(service: Service) -> Iterator[Finding]:
    if service.replicas == 0:
        wanted = "at least 1"
        yield Finding(("replicas",), "0", wanted, "nothing would answer", breaks=False)


def _rolling(service: Service) -> Iterator[Finding]:
    rollout, replicas = service.rollout, service.replicas
    if rollout.strategy != "rolling":
        return
    if rollout.max_surge == 0 and rollout.max_unavailable == 0:
        wanted, hint = "one of them above 0", "no instance could ever be replaced"
        also = (_at("max_unavailable"), _at("strategy"))
        yield Finding(_at("max_surge"), "0, and max_unavailable 0", wanted, hint, also)
    if 0 < replicas <= rollout.max_unavailable:
        found = f"{rollout.max_unavailable} of {replicas} replicas"
        wanted, hint = "fewer than replicas", "requests fail while all of them are away"
        yield Finding(_at("max_unavailable"), found, wanted, hint, breaks=False)


def _ladder(rollout: Rollout) -> Iterator[Finding]:
    weights = [step.weight for step in rollout.steps]
    if not weights:
        yield Finding(_at("steps"), "an empty list", "weights that rise to 100", "[5, 25, 50, 100]")
        return
    if weights[-1] != 100:
        hint = "add a step: 100"
        path = _at("steps", len(weights) - 1, "weight")
        yield Finding(path, f"{weights[-1]} as the last weight", "100", hint)
    for index, weight in enumerate(weights):
        if weight == 0:
            wanted = "a weight above 0"
            hint = "without traffic nothing can be judged"
            yield Finding(_at("steps", index, "weight"), "0", wanted, hint)
        if index and weight <= weights[index - 1]:
            found, wanted = f"{weight} after {weights[index - 1]}", "weights that rise"
            yield Finding(_at("steps", index, "weight"), found, wanted)


def _steps(rollout: Rollout) -> Iterator[Finding]:
    for index, step in enumerate(rollout.steps):
        if step.hold > step.max:
            wanted = f"no more than max, {duration(step.max)}"
            also = (_at("steps", index, "max"),)
            yield Finding(_at("steps", index, "hold"), duration(step.hold), wanted, "", also)
    if rollout.strategy != "canary":
        unused = {"steps", "analysis"} & rollout.model_fields_set
        for name in sorted(unused):
            found, wanted = f"strategy: {rollout.strategy}", "strategy: canary"
            yield Finding(_at(name), found, wanted, "it has no effect now", breaks=False)


def _deadlines(rollout: Rollout) -> Iterator[Finding]:
    limit = duration(rollout.deadline)
    for name in ("deadline", "step_deadline", "no_progress"):
        if getattr(rollout, name) == 0:
            yield Finding(_at(name), "0", "a time above 0", "every rollout would be taken back")
    wanted = f"less than rollout.deadline, {limit}"
    for name in ("drain", "bake"):
        if 0 < rollout.deadline <= getattr(rollout, name):
            found, also = duration(getattr(rollout, name)), (_at("deadline"),)
            yield Finding(_at(name), found, wanted, "every rollout would run out of time", also)
    for name in ("step_deadline", "no_progress"):
        if getattr(rollout, name) > rollout.deadline > 0 and name in rollout.model_fields_set:
            found, also = duration(getattr(rollout, name)), (_at("deadline"),)
            yield Finding(_at(name), found, wanted, "it has no effect now", also, breaks=False)
    held = _held(rollout)
    if rollout.strategy == "canary" and held >= rollout.deadline > 0:
        found = f"holds of {duration(held)} in all"
        hint = "raise the deadline or shorten the holds"
        yield Finding(_at("steps"), found, wanted, hint, (_at("deadline"), _at("bake")))


def _held(rollout: Rollout) -> float:
    """What a rollout waits at least, however good the new release is."""
    holds = sum(s.hold for s in rollout.steps) if rollout.strategy == "canary" else 0.0
    return holds + rollout.bake


def _analysis(rollout: Rollout) -> Iterator[Finding]:
    metrics, path = rollout.analysis.metrics, _at("analysis", "metrics")
    if not metrics:
        yield Finding(path, "an empty list", "errors, slow or both", "a canary must be judged")
    if len(set(metrics)) < len(metrics):
        yield Finding(path, "a metric twice", "each metric once")


def _windows(rollout: Rollout) -> Iterator[Finding]:
    for index, window in enumerate(rollout.windows):
        if not window.days:
            yield Finding(_at("windows", index, "days"), "no days", "at least one weekday")
        if window.start >= window.end:
            found = f"{window.start} to {window.end}"
            hint = "split a window over midnight in two"
            wanted, also = "a start before the end", (_at("windows", index, "end"),)
            yield Finding(_at("windows", index, "start"), found, wanted, hint, also)


def _freezes(rollout: Rollout) -> Iterator[Finding]:
    for index, freeze in enumerate(rollout.freezes):
        instants = {name: instant(getattr(freeze, name)) for name in ("start", "end")}
        for name, moment in instants.items():
            if moment is None:
                found = repr(one_line(getattr(freeze, name)))
                wanted = "a date, a time and a zone, such as 2026-12-20T00:00:00Z"
                yield Finding(_at("freezes", index, name), found, wanted)
        start, end = instants["start"], instants["end"]
        if start and end and start >= end:
            found = f"{freeze.start} to {freeze.end}"
            yield Finding(_at("freezes", index, "start"), found, "a start before the end")


def instant(text: str) -> datetime | None:
    """RFC 3339 with a zone, or None."""
    if not _INSTANT.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.upper())
    except ValueError:
        return None


def _promises(service: Service) -> Iterator[Finding]:
    promises, held = service.promises, _held(service.rollout)
    for name in ("deploy", "rollback", "p99"):
        if getattr(promises, name) == 0:
            yield Finding(("promises", name), "0", "a time above 0", "nothing takes no time")
    if held >= promises.deploy > 0:
        wanted = f"more than the {duration(held)} that steps and bake hold"
        found = duration(promises.deploy)
        yield Finding(("promises", "deploy"), found, wanted, "it cannot be kept", breaks=False)
    if promises.p99 > service.traffic.timeout > 0:
        wanted = f"less than traffic.timeout, {duration(service.traffic.timeout)}"
        found = duration(promises.p99)
        yield Finding(("promises", "p99"), found, wanted, "it would always hold", breaks=False)
    if promises.availability == 100:
        wanted, hint = "below 100, such as 99.999", "it leaves no error budget at all"
        yield Finding(("promises", "availability"), "100", wanted, hint, breaks=False)
