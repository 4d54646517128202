"""How much of a cluster the service may take, and what a container gets that asks for nothing.

The namespace also holds data services. So the quota on processor and memory counts the pods of the
service's own priority class only, and the limit range gives defaults but sets no bound.
"""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.kubernetes import scaling
from holdfast.artifacts.kubernetes.objects import BASE, named, namespaced
from holdfast.spec.model import Service

_KEYS = ("service", "kubernetes.namespace")
_DOOR_PORTS = 4  # node ports behind a load balancer: 80, 443, health, one to spare


def render(service: Service) -> Iterable[Artifact]:
    yield Artifact(
        f"{BASE}/resourcequotas.yaml",
        [*_fleets(service), _objects(service)],
        "How much the service may take: room for its largest fleet twice, and no more.",
        (*scaling.KEYS, "resources.requests", "resources.limits", "rollout.strategy",
         "rollout.max_surge", "kubernetes.ingress"),
        ("T51",),
    )  # fmt: skip
    yield Artifact(
        f"{BASE}/limitrange.yaml",
        _defaults(service),
        "What a container gets that asks for nothing.",
        _KEYS,
        ("T51",),
    )


def _fleets(service: Service) -> list[Object]:
    """A DaemonSet takes what the cluster has nodes."""
    return [_pods(service)] if scaling.scalable(service) else []


def _fleet(service: Service) -> int:
    """Pods at most: two whole fleets where the old release stays warm, else the surge more."""
    most = max(scaling.ceiling(service, region) for region in service.regions)
    if service.rollout.strategy == "rolling":
        return most + max(1, service.rollout.max_surge)
    return 2 * most


def _pods(service: Service) -> Object:
    found = namespaced(service, "v1/ResourceQuota", named(service, "pods"), "service")
    count, asked = _fleet(service), service.resources
    own = {"scopeName": "PriorityClass", "operator": "In", "values": [named(service)]}
    found["spec"] = {
        "hard": {
            "pods": str(count),
            "requests.cpu": names.cpu(count * asked.requests.cpu),
            "requests.memory": names.memory(count * asked.requests.memory),
            "limits.cpu": names.cpu(count * asked.limits.cpu),
            "limits.memory": names.memory(count * asked.limits.memory),
        },
        "scopeSelector": {"matchExpressions": [own]},
    }
    return found


def _objects(service: Service) -> Object:
    """Only a Gateway of the service's own may open the namespace to the world."""
    found = namespaced(service, "v1/ResourceQuota", named(service, "objects"), "service")
    doors = int(service.kubernetes.ingress == "gateway")
    hard = {
        "services.loadbalancers": str(doors),
        "services.nodeports": str(_DOOR_PORTS * doors),
        "count/cronjobs.batch": "50",
        "count/jobs.batch": "200",
    }
    return {**found, "spec": {"hard": hard}}


def _defaults(service: Service) -> Object:
    found = namespaced(service, "v1/LimitRange", named(service), "service")
    limit = {
        "type": "Container",
        "default": {"cpu": "500m", "memory": "512Mi"},
        "defaultRequest": {"cpu": "100m", "memory": "128Mi"},
    }
    return {**found, "spec": {"limits": [limit]}}
