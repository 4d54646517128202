"""Requests within limits, budgets that leave room for a rollout, bounds that do not contradict."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from holdfast.artifacts.check.whole import Item, Whole, at, chosen, table
from holdfast.artifacts.check.written import walk
from holdfast.supply.finding import Finding

_QUANTITY = re.compile(r"([+-]?[0-9.]+)([eE][+-]?[0-9]+|[numkMGTPE]|[KMGTPE]i)?")
_SCALE = {
    "n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15,
    "E": 1e18, "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50,
    "Ei": 2.0**60,
}  # fmt: skip


def quantity(value: object) -> float | None:
    """A Kubernetes quantity as a number; None when it is none."""
    match = _QUANTITY.fullmatch(str(value))
    if match is None:
        return None
    number, suffix = match[1], match[2] or ""
    try:
        if suffix[:1] in ("e", "E") and len(suffix) > 1 and suffix not in _SCALE:
            return float(number + suffix)
        return float(number) * _SCALE[suffix]
    except (ValueError, KeyError):
        return None


def check(whole: Whole) -> Iterator[Finding]:
    for item in whole.documents:  # patches, and values of charts, have resources too
        for place, value in walk(item.body):
            if place and isinstance(value, dict) and "requests" in value:
                yield from _within(item, place, value)
    for item in whole.items:
        yield from _words(item)
    for budget in whole.of("PodDisruptionBudget"):
        yield from _budget(budget, whole)
    for scaler in whole.of("HorizontalPodAutoscaler"):
        low, high = ("spec", "minReplicas"), ("spec", "maxReplicas")
        yield from _bounds(scaler, low, high, whole)
    for scaler in whole.of("ScaledObject"):
        low, high = ("spec", "minReplicaCount"), ("spec", "maxReplicaCount")
        yield from _bounds(scaler, low, high, whole)


#: Words that the API server checks and its OpenAPI document does not list.
_WORDS = {
    "metrics": ("Resource", "ContainerResource", "Pods", "Object", "External"),
    "policies": ("Pods", "Percent"),
}


def _words(item: Item) -> Iterator[Finding]:
    for place, value in walk(item.body if item.kind == "HorizontalPodAutoscaler" else {}):
        known = _WORDS.get(str(place[-3]), ()) if len(place) > 2 else ()
        if known and place[-1] == "type" and value not in known:
            yield item.finding("word", place, f"the type {value}", " or ".join(known))


def _within(
    item: Item, place: tuple[str | int, ...], resources: dict[str, Any]
) -> Iterator[Finding]:
    limits = table(resources, "limits")
    for name, asked in table(resources, "requests").items():
        least, most = quantity(asked), quantity(limits.get(name, "1e99"))
        if least is None or most is None:
            found = f"the quantity {asked if least is None else limits[name]}"
            yield item.finding("quantity", (*place, "requests", name), found, "such as 500m, 4Gi")
        elif least > most:
            found = f"a request of {asked} {name} above the limit {limits[name]}"
            where = (*place, "requests", name)
            yield item.finding("resources", where, found, "no more than the limit",
                                    key="resources")  # fmt: skip


def _budget(budget: Item, whole: Whole) -> Iterator[Finding]:
    selector = table(budget.body, "spec", "selector")
    for pods in whole.pods:
        replicas = at(pods.item.body, "spec", "replicas")
        if isinstance(replicas, int) and selector and chosen(selector, pods.labels):
            room = _room(budget, replicas)
            if room < 1:
                found = f"a budget that lets nobody of {replicas} leave"
                wanted = "at least one, else no node can be drained"
                yield budget.finding("budget", ("spec",), found, wanted)


def _room(budget: Item, replicas: int) -> int:
    """How many may be missing. Percentages are rounded as the disruption controller rounds."""
    gone = at(budget.body, "spec", "maxUnavailable")
    if gone is not None:
        return _count(gone, replicas)
    kept = at(budget.body, "spec", "minAvailable")
    return replicas - _count(kept, replicas) if kept is not None else replicas


def _count(value: object, of: int) -> int:
    text = str(value)
    if text.endswith("%") and text[:-1].isdecimal():
        return math.ceil(of * int(text[:-1]) / 100)
    return int(text) if text.isdecimal() else 0


def _bounds(
    scaler: Item, low: tuple[str, ...], high: tuple[str, ...], whole: Whole
) -> Iterator[Finding]:
    least, most = at(scaler.body, *low), at(scaler.body, *high)
    target = table(scaler.body, "spec", "scaleTargetRef")
    of = whole.named(str(target.get("kind") or "Deployment"), str(target.get("name")))
    replicas = at(of.body, "spec", "replicas") if of else None
    if not isinstance(least, int) or not isinstance(most, int):
        return
    if least > most:
        found = f"{least} replicas at least and {most} at most"
        yield scaler.finding("bounds", low, found, "a range", key="autoscaling")
    elif isinstance(replicas, int) and not least <= replicas <= most:
        found = f"{replicas} replicas outside of {least} to {most}"
        yield scaler.finding("bounds", low, found, "a range that holds them", key="replicas")
