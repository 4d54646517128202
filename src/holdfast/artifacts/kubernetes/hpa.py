"""The HorizontalPodAutoscaler: by processor use, and by metrics that prometheus-adapter brings."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.kubernetes import adapter, scaling, workload
from holdfast.artifacts.kubernetes.objects import BASE, named, namespaced
from holdfast.spec.model import Service


def render(service: Service) -> Iterable[Artifact]:
    if not scaling.scalable(service) or scaling.by_keda(service):
        return
    yield Artifact(
        f"{BASE}/hpa.yaml",
        _autoscaler(service),
        "How the number of replicas follows the load.",
        scaling.KEYS,
        ("T46", "T49") if service.autoscaling.metrics else ("T46",),
    )


def _autoscaler(service: Service) -> Object:
    found = namespaced(service, "autoscaling/v2/HorizontalPodAutoscaler", named(service), "scaling")
    found["spec"] = {
        "scaleTargetRef": workload.reference(service),
        "minReplicas": scaling.floor(service),
        "maxReplicas": scaling.ceiling(service),
        "metrics": [_cpu(service), *adapter.metrics(service)],
        "behavior": scaling.behaviour(service),
    }
    return found


def _cpu(service: Service) -> Object:
    target = {"type": "Utilization", "averageUtilization": service.autoscaling.cpu}
    return {"type": "Resource", "resource": {"name": "cpu", "target": target}}
