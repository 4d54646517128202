"""How far and how fast the number of replicas may move; shared by every autoscaler."""

from __future__ import annotations

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Object
from holdfast.artifacts.kubernetes.workload import replicas
from holdfast.spec.model import Service
from holdfast.spec.production.regions import Region

KEYS = ("service", "kubernetes.namespace", "kubernetes.workload", "replicas", "regions",
        "autoscaling")  # fmt: skip
_GROWTH = 3  # the ceiling where none is said, in replicas
_WINDOW_MAX = 3600  # seconds; the API accepts no longer memory


def scalable(service: Service) -> bool:
    """A DaemonSet's size is that of the cluster."""
    return service.kubernetes.workload != "daemon"


def by_keda(service: Service) -> bool:
    """KEDA makes its own HorizontalPodAutoscaler: a second one would fight it."""
    return bool(service.autoscaling.metrics) and service.autoscaling.by == "keda"


def floor(service: Service, region: Region | None = None) -> int:
    """Replicas at least, in a region or in the primary one."""
    given = names.replicas(service, region) if region else replicas(service)
    own = region is not None and region.replicas is not None
    least = given if own or service.autoscaling.min is None else service.autoscaling.min
    return max(1, least)


def ceiling(service: Service, region: Region | None = None) -> int:
    """Replicas at most; never below the floor."""
    given = names.replicas(service, region) if region else replicas(service)
    most = service.autoscaling.max or _GROWTH * given
    return max(most, floor(service, region))


def behaviour(service: Service) -> Object:
    """Grow at once and by up to double; shrink slowly and only after a quiet time."""
    window = min(_WINDOW_MAX, names.seconds(service.autoscaling.down_after, 0))
    return {
        "scaleUp": {
            "stabilizationWindowSeconds": 0,
            "selectPolicy": "Max",
            "policies": [_policy("Percent", 100, 15), _policy("Pods", 4, 15)],
        },
        "scaleDown": {
            "stabilizationWindowSeconds": window,
            "selectPolicy": "Max",
            "policies": [_policy("Percent", 10, 60), _policy("Pods", 1, 60)],
        },
    }


def _policy(kind: str, value: int, seconds: int) -> Object:
    return {"type": kind, "value": value, "periodSeconds": seconds}
