"""The ScaledObject of KEDA: processor use and the spec's own queries, asked of Prometheus."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.kubernetes import scaling, workload
from holdfast.artifacts.kubernetes.objects import BASE, named, namespaced
from holdfast.spec.model import Service
from holdfast.spec.production.autoscaling import ScaleMetric

_FAILED = 3  # looks without an answer before the fallback


def render(service: Service) -> Iterable[Artifact]:
    if not scaling.scalable(service) or not scaling.by_keda(service):
        return
    yield Artifact(
        f"{BASE}/scaledobject.yaml",
        _scaled(service),
        "How the number of replicas follows the load and the queries of the spec.",
        (*scaling.KEYS, "observability.scrape"),
        ("T46", "T49"),
    )


def _scaled(service: Service) -> Object:
    found = namespaced(service, "keda.sh/v1alpha1/ScaledObject", named(service), "scaling")
    down = names.seconds(service.autoscaling.down_after, 0)
    found["spec"] = {
        "scaleTargetRef": workload.reference(service),
        "pollingInterval": names.seconds(service.observability.scrape),
        "cooldownPeriod": down,
        "minReplicaCount": scaling.floor(service),
        "maxReplicaCount": scaling.ceiling(service),
        "fallback": _fallback(service),
        "advanced": {
            "horizontalPodAutoscalerConfig": {
                "name": named(service),
                "behavior": scaling.behaviour(service),
            }
        },
        "triggers": [_cpu(service), *(_query(each) for each in service.autoscaling.metrics)],
    }
    return found


def _fallback(service: Service) -> Object:
    """Without answers nothing is taken away."""
    return {
        "failureThreshold": _FAILED,
        "replicas": scaling.floor(service),
        "behavior": "currentReplicasIfHigher",
    }


def _cpu(service: Service) -> Object:
    metadata = {"value": str(service.autoscaling.cpu)}
    return {"type": "cpu", "metricType": "Utilization", "metadata": metadata}


def _query(metric: ScaleMetric) -> Object:
    return {
        "type": "prometheus",
        "name": metric.name,
        "metricType": "AverageValue",
        "metadata": {
            "serverAddress": names.PROMETHEUS,
            "query": metric.query,
            "threshold": f"{metric.target:.10g}",
            "ignoreNullValues": "false",
        },
    }
