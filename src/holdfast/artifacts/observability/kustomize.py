"""Which of the family's files a cluster is given: a base, and an overlay for each region."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.observability import objects
from holdfast.spec.model import Service

_OPERATOR = ("access", "rules", "service-monitors", "platform-monitors", "node-exporter",
             "kube-state-metrics", "blackbox-exporter")  # fmt: skip
_OTHERS = (
    "alertmanager/operator.yaml", "logging/elasticsearch.yaml", "logging/kibana.yaml",
    "logging/retention.yaml", "logging/fluent-bit.yaml", "tracing/collector.yaml",
    "tracing/jaeger.yaml", "grafana/grafana.yaml", "grafana/dashboards.yaml",
)  # fmt: skip


def render(service: Service) -> Iterator[Artifact]:
    yield Artifact(
        "observability/namespace.yaml", _space(), "Where what watches lives.", (), ("T86",)
    )
    yield Artifact(
        "observability/kustomization.yaml", _kustomization(_base(service)),
        "All objects of this family that do not differ by region.", ("resilience.cache",), ("T86",),
    )  # fmt: skip
    for region in service.regions:
        yield Artifact(
            f"observability/overlays/{region.name}/kustomization.yaml",
            _kustomization(["../..", "prometheus.yaml"]),
            f"What {region.name} is given.", ("regions",), ("T86",),
        )  # fmt: skip


def _space() -> Object:
    space = objects.thing("v1", "Namespace", objects.MONITORING, "")
    space["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = "restricted"
    return space


def _base(service: Service) -> list[str]:
    names = [*_OPERATOR, *(["cache-exporter"] if service.resilience.cache == "redis" else [])]
    operator = [f"prometheus/operator/{name}.yaml" for name in names]
    return ["namespace.yaml", *operator, *_OTHERS]


def _kustomization(resources: list[str]) -> Object:
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": resources,
    }
