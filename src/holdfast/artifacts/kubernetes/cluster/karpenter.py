"""Node pools by Karpenter: the service's own nodes, and general ones for everything else.

The cluster finds subnets and security groups by tags, and the instance profile by its name, so one
text serves every region. The image is of one release: ``@latest`` would change nodes unasked.
Source: Karpenter v1, NodePools, NodeClasses, NodeOverlays.
"""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.artifacts import machines, names, nodes, versions
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.kubernetes import scaling
from holdfast.artifacts.kubernetes.objects import PLATFORM, clustered, named, present
from holdfast.artifacts.kubernetes.placement import GPU
from holdfast.spec.model import Service

_CLASS = {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass"}
_EXPIRY = "720h"  # a node is never older than a month: its patches are not either
_SPARE = 1.5  # of the largest fleet: a second fleet while a release is judged, jobs


def render(service: Service) -> Iterable[Artifact]:
    yield Artifact(
        f"{PLATFORM}/nodepools.yaml",
        [_class(service), _own(service), _general(service), *_overlay(service)],
        "Nodes that come and go with the load: the service's own, and general ones.",
        ("service", "replicas", "regions", "autoscaling", *nodes.SIZE_KEYS, *nodes.TUNING_KEYS,
         "rollout.max_surge"),
        ("T15", "T32", "T48"),
    )  # fmt: skip


def _class(service: Service) -> Object:
    found = clustered(service, "karpenter.k8s.aws/v1/EC2NodeClass", service.service, "nodes")
    ours = [{"tags": {nodes.DISCOVERY: service.service}}]
    found["spec"] = {
        "amiFamily": "AL2023",
        "amiSelectorTerms": [{"alias": f"al2023@{versions.EKS_NODES}"}],
        "subnetSelectorTerms": ours,
        "securityGroupSelectorTerms": ours,
        "instanceProfile": nodes.profile(service),
        "associatePublicIPAddress": False,
        "metadataOptions": _metadata(),
        "blockDeviceMappings": [{"deviceName": "/dev/xvda", "rootVolume": True, "ebs": _disk()}],
        "userData": nodes.user_data(service),
        "tags": {"app.kubernetes.io/managed-by": names.MANAGER, names.POOL_LABEL: service.service},
    }
    return found


def _metadata() -> Object:
    """One hop: pods cannot ask for the credentials of their node."""
    return {
        "httpEndpoint": "enabled",
        "httpProtocolIPv6": "disabled",
        "httpPutResponseHopLimit": 1,
        "httpTokens": "required",
    }


def _disk() -> Object:
    size = {"volumeSize": "100Gi", "volumeType": "gp3"}
    return {**size, "encrypted": True, "deleteOnTermination": True}


def _own(service: Service) -> Object:
    pool = {"key": names.POOL_LABEL, "value": names.pool(service), "effect": "NoSchedule"}
    gpu = [{"key": GPU, "value": "true", "effect": "NoSchedule"}] if service.resources.gpus else []
    labels = {names.POOL_LABEL: names.pool(service)}
    return _pool(service, service.service, labels, [pool, *gpu], list(_kinds(service)))


def _general(service: Service) -> Object:
    kinds = [_in("karpenter.k8s.aws/instance-category", ["c", "m", "r"])]
    return _pool(service, named(service, "general"), {}, [], kinds)


def _kinds(service: Service) -> Iterable[Object]:
    """Pages are set aside when a node is born, so with them a node is of one size."""
    if service.resources.hugepages:
        yield _in("node.kubernetes.io/instance-type", [machines.machine(service).kind])
    elif service.resources.gpus:
        yield _in("karpenter.k8s.aws/instance-family", ["g6"])
    else:
        yield _in("karpenter.k8s.aws/instance-category", ["c", "m", "r"])
        yield {"key": "karpenter.k8s.aws/instance-generation", "operator": "Gt", "values": ["6"]}


def _pool(
    service: Service, name: str, labels: dict[str, str], taints: list[Object], kinds: list[Object]
) -> Object:
    found = clustered(service, "karpenter.sh/v1/NodePool", name, "nodes")
    architectures = [each.rpartition("/")[2] for each in service.image.platforms]
    needed = [
        _in("kubernetes.io/os", ["linux"]),
        _in("kubernetes.io/arch", architectures),
        _in("karpenter.sh/capacity-type", ["on-demand"]),
        *kinds,
    ]
    template = {
        **({"metadata": {"labels": labels}} if labels else {}),
        "spec": present(
            nodeClassRef={**_CLASS, "name": service.service},
            taints=taints,
            requirements=needed,
            expireAfter=_EXPIRY,
            terminationGracePeriod="1h",
        ),
    }
    found["spec"] = {"template": template, "limits": _limits(service), "disruption": _moved()}
    return found


def _moved() -> Object:
    return {
        "consolidationPolicy": "WhenEmptyOrUnderutilized",
        "consolidateAfter": "5m",
        "budgets": [{"nodes": "10%"}],
    }


def _limits(service: Service) -> Object:
    """What a runaway autoscaler may cost at most."""
    largest = max(scaling.ceiling(service, region) for region in service.regions)
    count = max(1, largest) + service.rollout.max_surge
    on = machines.machine(service)
    nodes = -(-int(count * _SPARE) // max(1, machines.held(service, on))) + 1
    return {"cpu": str(nodes * on.cpu), "memory": names.memory(nodes * on.memory)}


def _overlay(service: Service) -> list[Object]:
    """Karpenter does not know that nodes of the pool will have huge pages: it is told."""
    if not service.resources.hugepages:
        return []
    found = clustered(service, "karpenter.sh/v1alpha1/NodeOverlay", service.service, "nodes")
    size = machines.huge_pages(service) * 2 * 2**20
    found["spec"] = {
        "weight": 10,
        "requirements": [_in("karpenter.sh/nodepool", [service.service])],
        "capacity": {"hugepages-2Mi": names.memory(size)},
    }
    return [found]


def _in(key: str, values: list[str]) -> Object:
    return {"key": key, "operator": "In", "values": values}
