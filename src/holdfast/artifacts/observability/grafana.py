"""Grafana: its dashboards as files, and as objects of its operator; where it reads from."""

from __future__ import annotations

import json
from collections.abc import Iterator

from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.names import labels
from holdfast.artifacts.observability import objects, thirdparty
from holdfast.artifacts.observability.dashboards.boards import boards
from holdfast.artifacts.observability.dashboards.drawing import drawn
from holdfast.artifacts.observability.objects import LOGGING, MONITORING
from holdfast.spec.model import Service

_API = "grafana.integreatly.org/v1beta1"
_PATH = "observability/grafana"
_ROWS = {"trading": "T102", "system": "T103", "cost": "T104", "objectives": "T105"}
_SOURCE = ("service", "traffic.protocol")
_KEYS = {
    "trading": (*_SOURCE, "promises", "observability.metrics"),
    "system": (*_SOURCE, "promises.p99", "kubernetes.namespace", "resilience"),
    "cost": ("service", "kubernetes.namespace", "kubernetes.workload", "resilience.database"),
    "objectives": (*_SOURCE, "promises.availability", "promises.p99",
                   "kubernetes.mesh", "kubernetes.ingress", "observability.keep_metrics"),
}  # fmt: skip
_ALL = tuple(dict.fromkeys(key for keys in _KEYS.values() for key in keys))
_INSTANCE = {"instanceSelector": {"matchLabels": {"app.kubernetes.io/name": "grafana"}}}


def render(service: Service) -> Iterator[Artifact]:
    pages = [(board, drawn(board, service)) for board in boards(service)]
    for board, page in pages:
        row = _ROWS[board.name]
        rows = ("T101", row, "P8") if board.name == "objectives" else ("T101", row)
        path = f"{_PATH}/dashboards/{board.name}.json"
        yield Artifact(path, page, f"{board.title}: {board.about}", _KEYS[board.name], rows)
    yield Artifact(
        f"{objects.BASE}/dashboards.yaml",
        [_object(service, board.name, page) for board, page in pages],
        "The dashboards as objects of Grafana's operator.", _ALL, ("T101",),
    )  # fmt: skip
    yield Artifact(
        f"{objects.PLATFORM}/grafana.yaml", list(_grafana()),
        "Grafana by its operator, and where it reads from.", (), ("T101",),
    )  # fmt: skip
    yield from _provisioning(service)


def _object(service: Service, name: str, page: Object) -> Object:
    text = json.dumps(page, indent=2, ensure_ascii=False) + "\n"
    metadata = {"name": f"{service.service}-{name}", "namespace": MONITORING,
                "labels": labels(service, "dashboard")}  # fmt: skip
    spec = {**_INSTANCE, "folder": service.service, "resyncPeriod": "10m", "json": text}
    return {"apiVersion": _API, "kind": "GrafanaDashboard", "metadata": metadata, "spec": spec}


def _grafana() -> Iterator[Object]:
    """Settings are text in Grafana's ini. The administrator's password is made by the operator."""
    container = {
        "name": "grafana",
        "image": thirdparty.GRAFANA.reference,
        "resources": objects.resources("100m", "256Mi", "512Mi"),
    }
    deployment = {"spec": {"replicas": 1, "template": {"spec": {"containers": [container]}}}}
    config = {
        "analytics": {"reporting_enabled": "false", "check_for_updates": "false"},
        "auth.anonymous": {"enabled": "false"},
        "security": {"cookie_secure": "true", "disable_gravatar": "true"},
        "users": {"allow_sign_up": "false"},
    }
    spec: Object = {"version": thirdparty.GRAFANA.tag, "config": config, "deployment": deployment}
    yield objects.thing(_API, "Grafana", "grafana", MONITORING, spec=spec)
    for name, source in _sources().items():
        spec = {**_INSTANCE, "datasource": source}
        yield objects.thing(_API, "GrafanaDatasource", name, MONITORING, spec=spec)


def _sources() -> dict[str, Object]:
    prometheus = f"http://prometheus-operated.{MONITORING}.svc:9090"
    jaeger = f"http://jaeger-collector.{LOGGING}.svc:16686"
    return {
        "prometheus": _source("Prometheus", "prometheus", prometheus, True),
        "jaeger": _source("Jaeger", "jaeger", jaeger, False),
    }


def _source(name: str, kind: str, url: str, default: bool) -> Object:
    return {
        "name": name, "uid": f"holdfast-{kind}", "type": kind, "access": "proxy", "url": url,
        "isDefault": default, "editable": False,
    }  # fmt: skip


# ---- without an operator -------------------------------------------------------------------------


def _provisioning(service: Service) -> Iterator[Artifact]:
    here = {
        "prometheus": _source("Prometheus", "prometheus", "http://127.0.0.1:9090", True),
        "jaeger": _source("Jaeger", "jaeger", "http://127.0.0.1:16686", False),
    }
    yield Artifact(
        f"{_PATH}/provisioning/datasources/holdfast.yaml",
        {"apiVersion": 1, "prune": True, "datasources": list(here.values())},
        "Where a Grafana on one machine reads from.", (), ("T101",),
    )  # fmt: skip
    provider = {
        "name": "holdfast", "orgId": 1, "folder": service.service, "type": "file",
        "disableDeletion": True, "allowUiUpdates": False, "updateIntervalSeconds": 30,
        "options": {"path": "/var/lib/grafana/dashboards"},
    }  # fmt: skip
    yield Artifact(
        f"{_PATH}/provisioning/dashboards/holdfast.yaml",
        {"apiVersion": 1, "providers": [provider]},
        "Where a Grafana on one machine finds the dashboards.", ("service",), ("T101",),
    )  # fmt: skip
