"""SR-IOV: instances get a part of a network card of their own, past the kernel of the node.

The operator's injector adds the device to pods that name the network, so a pod says only one
annotation. Source: sriov-network-operator v1.6, and its API.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.kubernetes.objects import PLATFORM, clustered, named, present, shared, space
from holdfast.spec.model import Service

_GROUP = "sriovnetwork.openshift.io/v1"
_OPERATOR = "sriov-network-operator"
_FRAME = 9000  # bytes; jumbo frames, which networks between own cards can carry
_KEYS = ("service", "kubernetes.namespace", "kubernetes.sriov")


def render(service: Service) -> Iterable[Artifact]:
    if not service.kubernetes.sriov.functions:
        return
    yield Artifact(
        f"{PLATFORM}/sriov.yaml",
        [space(_OPERATOR, "privileged"), _config(), *_objects(service)],
        "Network cards cut into functions, and the network that instances reach through them.",
        _KEYS,
        ("T13",),
    )


def _objects(service: Service) -> Iterable[Object]:
    return _rollout(service), _devices(service), _network(service)


def joined(service: Service) -> dict[str, str]:
    """What a pod says to be in the network."""
    if not service.kubernetes.sriov.functions:
        return {}
    return {"k8s.v1.cni.cncf.io/networks": network(service)}


def network(service: Service) -> str:
    return named(service, "direct")


def resource(service: Service) -> str:
    """The name of the devices; a resource's name takes no dash here."""
    return service.service.replace("-", "_")


def _config() -> Object:
    found = shared(f"{_GROUP}/SriovOperatorConfig", "default", _OPERATOR)
    spec = {"enableInjector": True, "enableOperatorWebhook": True, "logLevel": 1}
    return {**found, "spec": spec}


def _rollout(service: Service) -> Object:
    """Nodes are set up anew one after the other."""
    found = _of_operator(service, "SriovNetworkPoolConfig", service.service)
    return {
        **found,
        "spec": {"maxUnavailable": 1, "nodeSelector": {"matchLabels": _nodes(service)}},
    }


def _devices(service: Service) -> Object:
    given = service.kubernetes.sriov
    found = _of_operator(service, "SriovNetworkNodePolicy", service.service)
    found["spec"] = {
        "resourceName": resource(service),
        "nodeSelector": _nodes(service),
        "priority": 50,
        "numVfs": given.functions,
        "mtu": _FRAME,
        "deviceType": "netdevice",
        "nicSelector": {"pfNames": [given.card]},
    }
    return found


def _network(service: Service) -> Object:
    """Functions may not pretend another address, and are not trusted."""
    given = service.kubernetes.sriov
    found = _of_operator(service, "SriovNetwork", network(service))
    found["spec"] = present(
        networkNamespace=names.namespace(service),
        resourceName=resource(service),
        vlan=given.vlan,
        spoofChk="on",
        trust="off",
        linkState="auto",
        ipam=json.dumps({"type": "whereabouts", "range": given.addresses}),
    )
    return found


def _nodes(service: Service) -> dict[str, str]:
    return {names.POOL_LABEL: names.pool(service)}


def _of_operator(service: Service, kind: str, name: str) -> Object:
    """The operator reads its own namespace only."""
    found = clustered(service, f"{_GROUP}/{kind}", name, "network")
    found["metadata"]["namespace"] = _OPERATOR
    return found
