"""Recording rules: from whoever counts the requests to the names everything else reads."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.artifacts import signals
from holdfast.artifacts.artifact import Object
from holdfast.artifacts.observability.rule import record
from holdfast.artifacts.signals import RECORDED, Place, Source
from holdfast.spec.model import Service

_REGION = ("region",)
QUANTILES = (0.5, 0.9, 0.99)


def rules(service: Service, place: Place) -> list[Object]:
    return [*_users(service, place), *_releases(service, place), *_saturation(service, place)]


def _users(service: Service, place: Place) -> Iterator[Object]:
    """What users got, by region."""
    of, window = signals.source(service, place), signals.base_window(service)
    labels = {"service": service.service}
    yield record(RECORDED.requests, of.requests(window, by=_REGION), labels)
    yield record(RECORDED.errors, of.errors(window, by=_REGION), labels)
    if not of.measures_latency:
        return
    yield record(RECORDED.timed, of.timed(window, by=_REGION), labels)
    yield record(RECORDED.slow, of.slow(service.promises.p99, window, by=_REGION), labels)
    for quantile in QUANTILES:
        said = {**labels, "quantile": str(quantile)}
        yield record(RECORDED.latency, of.latency(quantile, "5m", by=_REGION), said)


def _releases(service: Service, place: Place) -> Iterator[Object]:
    """The same by release, whatever its label is called by who counts."""
    of, window = signals.release_source(service, place), signals.base_window(service)
    labels, by = {"service": service.service}, ("region", of.release)
    yield record(RECORDED.release_requests, _named(of, of.requests(window, by=by)), labels)
    yield record(RECORDED.release_errors, _named(of, of.errors(window, by=by)), labels)
    if of.measures_latency:
        latency = _named(of, of.latency(0.99, "5m", by=by))
        yield record(RECORDED.release_latency, latency, labels)


def _named(of: Source, expr: str) -> str:
    copied = f'label_replace({expr}, "release", "$1", "{of.release}", "(.*)")'
    return f"sum by (region, release) ({copied})"


def _saturation(service: Service, place: Place) -> Iterator[Object]:
    for resource in ("requests",) if place == "local" else ("cpu", "memory"):
        labels = {"service": service.service, "resource": resource}
        yield record(RECORDED.saturation, signals.saturation(service, resource, place), labels)
