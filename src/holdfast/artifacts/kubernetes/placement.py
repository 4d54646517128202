"""Where pods go: architecture, the service's own nodes, apart from each other, over all zones."""

from __future__ import annotations

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Object
from holdfast.spec.model import Service

ZONE = "topology.kubernetes.io/zone"
REGION = "topology.kubernetes.io/region"
HOST = "kubernetes.io/hostname"
GPU = "nvidia.com/gpu"
#: Where the overlay of a region adds what only it knows.
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
KEYS = ("service", "image.platforms", "run.affinity", "resources.hugepages", "resources.gpus",
        "kubernetes.sriov.functions")  # fmt: skip
_GONE = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_MOVED_AFTER = 30  # seconds on a node that is gone; the default of 300 is an outage of five minutes


def node_affinity(service: Service) -> Object:
    """Only nodes that can run the image; those of the service's pool first, or only those."""
    pool, needed = _in(names.POOL_LABEL, [names.pool(service)]), _runnable(service)
    if _tuned(service):
        return {REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": [*needed, pool]}]}}
    return {
        REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": needed}]},
        "preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 100, "preference": {"matchExpressions": [pool]}}
        ],
    }


def affinity(service: Service) -> Object:
    """Node affinity, and another node for each instance where there is one."""
    apart = {"topologyKey": HOST, "labelSelector": {"matchLabels": names.selector(service)}}
    rule = {"weight": 100, "podAffinityTerm": apart}
    return {
        "nodeAffinity": node_affinity(service),
        "podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [rule]},
    }


def spread(service: Service, revision: str) -> list[Object]:
    """Even over zones, and over nodes where that is possible.

    ``revision`` is the label by which a workload tells its revisions apart: without it the pods of
    the old release would push those of the new one into one zone.
    """
    return [
        _spread(service, ZONE, revision, "DoNotSchedule"),
        _spread(service, HOST, revision, "ScheduleAnyway"),
    ]


def tolerations(service: Service) -> list[Object]:
    """The taints of the service's own nodes and of GPU nodes; away soon from a lost node."""
    own: Object = {"key": names.POOL_LABEL, "operator": "Equal", "value": names.pool(service)}
    found = [own | {"effect": "NoSchedule"}]
    if service.resources.gpus:
        found.append({"key": GPU, "operator": "Exists", "effect": "NoSchedule"})
    return found


def leaving(service: Service) -> list[Object]:
    """Tolerations of pods that should be moved from a node that is gone."""
    gone = [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _MOVED_AFTER}
        for key in _GONE
    ]
    return [*tolerations(service), *gone]


def _tuned(service: Service) -> bool:
    """Own cores, pages, GPUs and network cards exist only on nodes that were set up for it."""
    given, direct = service.resources, service.kubernetes.sriov.functions
    return service.run.affinity != "none" or bool(given.hugepages or given.gpus or direct)


def _runnable(service: Service) -> list[Object]:
    architectures = [platform.rpartition("/")[2] for platform in service.image.platforms]
    return [_in("kubernetes.io/os", ["linux"]), _in("kubernetes.io/arch", architectures)]


def _in(key: str, values: list[str]) -> Object:
    return {"key": key, "operator": "In", "values": values}


def _spread(service: Service, key: str, revision: str, otherwise: str) -> Object:
    return {
        "maxSkew": 1,
        "topologyKey": key,
        "whenUnsatisfiable": otherwise,
        "nodeTaintsPolicy": "Honor",
        "labelSelector": {"matchLabels": names.selector(service)},
        "matchLabelKeys": [revision],
    }
