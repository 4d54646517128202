"""All rules, as files of a plain Prometheus and as objects of its operator."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.artifacts.alerts import alerts
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.names import labels
from holdfast.artifacts.observability import (
    cluster_alerts,
    data_alerts,
    instance_alerts,
    keeper_alerts,
    signal_rules,
    slo_rules,
)
from holdfast.artifacts.observability.objects import BASE, MONITORING
from holdfast.artifacts.observability.rule import RULES, Condition, alert, group
from holdfast.artifacts.signals import Place
from holdfast.spec.model import Service

_EVERYWHERE = (
    "service", "traffic.protocol", "promises", "rollout", "delivery", "observability.metrics",
    "observability.scrape", "observability.keep_metrics",
)  # fmt: skip
_LOCAL_KEYS = (*_EVERYWHERE, "traffic.breaker.max_requests")


def _keys(service: Service) -> tuple[str, ...]:
    """How many nodes a database of all regions has follows from the regions."""
    counted = ("regions",) if service.resilience.database == "cockroach" else ()
    return (*_EVERYWHERE, "kubernetes", "resilience", "probes.start_within", *counted)


def conditions(service: Service, place: Place = "kubernetes") -> dict[str, Condition]:
    """The condition of every alert by its name."""
    return {
        **slo_rules.conditions(service, place),
        **instance_alerts.conditions(service),
        **cluster_alerts.conditions(service),
        **data_alerts.conditions(service),
        **keeper_alerts.conditions(service),
    }


def groups(service: Service, place: Place) -> list[Object]:
    """Signals, ratios and what is said to people about them are one group: in one evaluation each
    rule sees what the one before it recorded, so a page waits for no second round."""
    known, users = conditions(service, place), slo_rules.conditions(service, place)
    said = {each.name: alert(each, known[each.name], service) for each in alerts(service, place)}
    objectives = [
        *signal_rules.rules(service, place),
        *slo_rules.rules(service, place),
        *(rule for name, rule in said.items() if name in users),
    ]
    others = [rule for name, rule in said.items() if name not in users]
    name = service.service
    return [
        group(f"{name}-objectives", objectives),
        slo_rules.budgets(service, place),
        group(f"{name}-alerts", others),
    ]


def render(service: Service) -> Iterator[Artifact]:
    for place in ("kubernetes", "local"):
        yield _file(service, place)
    yield _operator(service)


def _file(service: Service, place: Place) -> Artifact:
    where = "on Kubernetes" if place == "kubernetes" else "on the local target"
    return Artifact(
        f"{RULES}/{place}.yml",
        {"groups": groups(service, place)},
        f"Signals, error budgets and alerts {where}; each alert names its runbook.",
        _keys(service) if place == "kubernetes" else _LOCAL_KEYS,
        ("T86", "T89", "T105", "T106", "P8"),
    )


def _operator(service: Service) -> Artifact:
    """The same rules as one object of the Prometheus operator."""
    body = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {
            "name": service.service,
            "namespace": MONITORING,
            "labels": labels(service, "rules"),
        },
        "spec": {"groups": groups(service, "kubernetes")},
    }
    about = "Every rule of the service for the Prometheus of its region."
    path = f"{BASE}/rules.yaml"
    return Artifact(path, body, about, _keys(service), ("T86", "T89", "T105", "T106", "P8"))
