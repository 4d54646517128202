"""The objectives in the words of OpenSLO v1, for whoever reads them with other tools."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.observability.objective import BURNS, Burn, Objective, objectives, period
from holdfast.artifacts.observability.rule import literal
from holdfast.artifacts.signals import Selector, source
from holdfast.spec.model import Service

_VERSION = "openslo/v1"


def render(service: Service) -> Iterator[Artifact]:
    documents = [_service(service), *map(_condition, BURNS)]
    documents += [_slo(service, each) for each in objectives(service)]
    yield Artifact(
        "observability/slo/openslo.yaml",
        documents,
        "The objectives of the service as OpenSLO says them.",
        (
            "service", "traffic.protocol", "promises.availability", "promises.p99",
            "kubernetes.namespace", "kubernetes.mesh", "kubernetes.ingress",
            "observability.keep_metrics",
        ),
        ("P8", "T105"),
    )  # fmt: skip


def _document(kind: str, name: str, spec: Object) -> Object:
    return {"apiVersion": _VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}


def _service(service: Service) -> Object:
    about = literal(f"What is promised about {service.service}.")
    return _document("Service", service.service, {"description": about})


def _condition(burn: Burn) -> Object:
    spec: Object = {
        "severity": burn.severity,
        "condition": {
            "kind": "burnrate", "op": "gt", "threshold": float(burn.rate),
            "lookbackWindow": burn.long, "alertAfter": burn.short,
        },
    }  # fmt: skip
    return _document("AlertCondition", f"burn-{burn.long}", spec)


def _slo(service: Service, objective: Objective) -> Object:
    days = max(1, int(period(service) // 86400))
    policies = [_policy(service, objective, severity) for severity in ("page", "ticket")]
    spec: Object = {
        "description": objective.about,
        "service": service.service,
        "indicator": _indicator(service, objective),
        "timeWindow": [{"duration": f"{days}d", "isRolling": True}],
        "budgetingMethod": "Occurrences",
        "objectives": [{"displayName": objective.about, "target": float(objective.target)}],
        "alertPolicies": policies,
    }
    return _document("SLO", f"{service.service}-{objective.name}", spec)


def _policy(service: Service, objective: Objective, severity: str) -> Object:
    burns = [burn for burn in BURNS if burn.severity == severity]
    return {
        "kind": "AlertPolicy",
        "metadata": {"name": f"{service.service}-{objective.name}-{severity}"},
        "spec": {
            "alertWhenBreaching": True,
            "conditions": [{"conditionRef": f"burn-{burn.long}"} for burn in burns],
            "notificationTargets": [{"targetRef": severity}],
        },
    }


def _indicator(service: Service, objective: Objective) -> Object:
    """The raw counters; what is bad is what the recorded rates call so."""
    of = source(service)
    if objective.name == "availability":
        parts = {"bad": _metric(of.failed), "total": _metric(of.counted)}
    else:
        name = of.histogram.metric
        fast = of.within(service.promises.p99)
        parts = {"good": _metric(fast), "total": _metric(of.histogram.named(f"{name}_count"))}
    return {
        "metadata": {"name": f"{service.service}-{objective.name}"},
        "spec": {"ratioMetric": {"counter": True, **parts}},
    }


def _metric(selector: Selector) -> Object:
    return {"metricSource": {"type": "Prometheus", "spec": {"query": f"sum({selector})"}}}
