"""Metrics for the HorizontalPodAutoscaler through prometheus-adapter.

A query is recorded under a name of our own; the adapter serves names and never sees the query, so
nothing a person wrote becomes part of its template.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.kubernetes.objects import BASE, PLATFORM, named, namespaced, shared
from holdfast.spec.model import Service
from holdfast.spec.production.autoscaling import ScaleMetric

MONITORING = "monitoring"
_KEYS = ("service", "kubernetes.namespace", "autoscaling.by", "autoscaling.metrics")
_PREFIX = "autoscale:"
_RULES = f"""externalRules:
- seriesQuery: '{{__name__=~"^{_PREFIX}.+"}}'
  resources:
    overrides:
      namespace: {{resource: namespace}}
  metricsQuery: max(<<.Series>>{{<<.LabelMatchers>>}}) by (<<.GroupBy>>)
"""


def render(service: Service) -> Iterable[Artifact]:
    if service.autoscaling.by != "adapter" or not service.autoscaling.metrics:
        return
    yield Artifact(
        f"{BASE}/scaling-rules.yaml",
        _recorded(service),
        "The queries that the autoscaler follows, recorded under names that it asks for.",
        (*_KEYS, "observability.scrape"),
        ("T49",),
    )
    yield Artifact(
        f"{PLATFORM}/prometheus-adapter.yaml",
        _served(),
        "The rules of prometheus-adapter: every recorded `autoscale:` series is served.",
        ("autoscaling.by", "autoscaling.metrics"),
        ("T49",),
    )


def metrics(service: Service) -> Iterator[Object]:
    """The metrics of the autoscaler's spec; none where KEDA brings them."""
    if service.autoscaling.by == "adapter":
        yield from (_followed(service, metric) for metric in service.autoscaling.metrics)


def _followed(service: Service, metric: ScaleMetric) -> Object:
    target = {"type": "AverageValue", "averageValue": quantity(metric.target)}
    return {
        "type": "External",
        "external": {"metric": {"name": series(service, metric)}, "target": target},
    }


def series(service: Service, metric: ScaleMetric) -> str:
    """The name a metric is recorded under: ``autoscale:shop:orders_waiting``."""
    return _PREFIX + f"{service.service}:{metric.name}".replace("-", "_")


def quantity(value: float) -> str:
    """A number as Kubernetes' quantity, to a thousandth: ``100``, ``1500m``."""
    return str(int(value)) if value == int(value) else f"{max(1, round(value * 1000))}m"


def _recorded(service: Service) -> Object:
    kind = "monitoring.coreos.com/v1/PrometheusRule"
    found = namespaced(service, kind, named(service, "scaling"), "scaling")
    labels = {"namespace": names.namespace(service)}
    rules = [
        {"record": series(service, metric), "expr": metric.query, "labels": labels}
        for metric in service.autoscaling.metrics
    ]
    every = names.duration(service.observability.scrape)
    found["spec"] = {
        "groups": [{"name": f"{named(service)}.scaling", "interval": every, "rules": rules}]
    }
    return found


def _served() -> Object:
    found = shared("v1/ConfigMap", "prometheus-adapter", MONITORING)
    return {**found, "data": {"config.yaml": _RULES}}
