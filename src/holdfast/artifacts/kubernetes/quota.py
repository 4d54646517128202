"""How much of a cluster the service may take, and what a container gets that asks for nothing.

The namespace also holds data services. So the quota on processor and memory counts the pods of the
service's own priority class only, and the limit range gives defaults but sets no bound.
"""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.kubernetes import scaling
from holdfast.artifacts.kubernetes.mesh import install
from holdfast.artifacts.kubernetes.objects import BASE, named, namespaced
from holdfast.spec.model import Service
from holdfast.spec.production.resources import Amount

_KEYS = ("service", "kubernetes.namespace")
_DOOR_PORTS = 4  # node ports behind a load balancer: 80, 443, health, one to spare


def render(service: Service) -> Iterable[Artifact]:
    yield Artifact(
        f"{BASE}/resourcequotas.yaml",
        [*_fleets(service), _objects(service)],
        "How much the service may take: room for its largest fleet twice, and no more.",
        (*scaling.KEYS, "resources.requests", "resources.limits", "rollout.strategy",
         "rollout.max_surge", "kubernetes.ingress", "kubernetes.mesh", "resilience.database",
         "resilience.queue"),
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
    count, asked, proxy = _fleet(service), service.resources, install.proxy(service)
    own = {"scopeName": "PriorityClass", "operator": "In", "values": [named(service)]}
    found["spec"] = {
        "hard": {
            "pods": str(count),
            **_all(count, "requests", asked.requests, proxy),
            **_all(count, "limits", asked.limits, proxy),
        },
        "scopeSelector": {"matchExpressions": [own]},
    }
    return found


def _all(count: int, side: str, own: Amount, proxy: install.Sides) -> Object:
    """Of so many pods, each with the proxy that the mesh puts beside the instance."""
    cpu, memory = proxy[side]
    return {
        f"{side}.cpu": names.cpu(round(count * (own.cpu + cpu), 3)),
        f"{side}.memory": names.memory(count * (own.memory + memory)),
    }


def _objects(service: Service) -> Object:
    """A Gateway of the service's own, and the doors by which other regions reach its data."""
    found = namespaced(service, "v1/ResourceQuota", named(service, "objects"), "service")
    doors = int(service.kubernetes.ingress == "gateway") + _abroad(service)
    hard = {
        "services.loadbalancers": str(doors),
        "services.nodeports": str(_DOOR_PORTS * doors),
        "count/cronjobs.batch": "50",
        "count/jobs.batch": "200",
    }
    return {**found, "spec": {"hard": hard}}


def _abroad(service: Service) -> int:
    """The database's, and of the queue one for all and one for each of three brokers."""
    if len(service.regions) == 1:
        return 0
    given = service.resilience
    return int(given.database == "postgres") + 4 * int(given.queue == "kafka")


def _defaults(service: Service) -> Object:
    found = namespaced(service, "v1/LimitRange", named(service), "service")
    limit = {
        "type": "Container",
        "default": {"cpu": "500m", "memory": "512Mi"},
        "defaultRequest": {"cpu": "100m", "memory": "128Mi"},
    }
    return {**found, "spec": {"limits": [limit]}}
