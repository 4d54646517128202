"""Rules of Prometheus as plain objects, and text that its templates leave alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from holdfast.artifacts.alerts import Alert
from holdfast.artifacts.artifact import Object
from holdfast.spec.model import Service

RULES = "observability/prometheus/rules"


@dataclass(frozen=True, slots=True)
class Condition:
    """When an alert fires: an expression that must hold for ``hold``.

    ``detail`` may name labels and the value in the way of Prometheus' templates.
    """

    expr: str
    hold: str = "0s"
    detail: str = ""


def literal(text: str) -> str:
    """Text in which a Go template finds nothing to do, whatever a person wrote."""
    return text.replace("{{", '{{ "{{" }}')


def record(name: str, expr: str, labels: Mapping[str, str]) -> Object:
    return {"record": name, "expr": expr, "labels": dict(labels)}


def alert(known: Alert, condition: Condition, service: Service) -> Object:
    """An alert with its severity, what is true when it fires, and what to do."""
    rule: Object = {"alert": known.name, "expr": condition.expr}
    if condition.hold != "0s":
        rule["for"] = condition.hold
    rule["labels"] = {"severity": known.severity, "service": service.service}
    rule["annotations"] = {
        "summary": f"{service.service}: {known.about}.",
        **({"description": condition.detail} if condition.detail else {}),
        "runbook_url": literal(known.url(service)),
    }
    return rule


def group(name: str, rules: Sequence[Object], interval: str = "") -> Object:
    """Rules that are evaluated one after the other; later ones see what earlier ones recorded."""
    return {"name": name, **({"interval": interval} if interval else {}), "rules": list(rules)}
