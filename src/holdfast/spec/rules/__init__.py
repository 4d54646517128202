"""Rules over several keys: what each key allows alone but makes no sense together. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.spec.model import Service
from holdfast.spec.rules import (
    delivery,
    image,
    kubernetes,
    observability,
    regions,
    rollout,
    run,
    target,
    traffic,
)
from holdfast.spec.rules.finding import Finding, Path

__all__ = ["Finding", "Path", "check"]


def check(service: Service) -> Iterator[Finding]:
    """Every rule that does not hold for this service."""
    yield from run.check(service)
    yield from traffic.check(service)
    yield from rollout.check(service)
    yield from observability.check(service)
    yield from image.check(service)
    yield from delivery.check(service)
    yield from regions.check(service)
    yield from kubernetes.check(service)
    yield from target.check(service)
