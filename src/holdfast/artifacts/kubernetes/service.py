"""The address of the service inside the cluster."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.kubernetes.objects import BASE, named, namespaced
from holdfast.spec.model import Service

#: How proxies learn what is spoken (kubernetes.io, Services: application protocol).
_SPOKEN = {
    "http1": "http",
    "http2": "kubernetes.io/h2c",
    "grpc": "kubernetes.io/h2c",
    "tcp": "tcp",
}
_KEYS = ("service", "kubernetes.namespace", "traffic.port", "traffic.protocol")


def render(service: Service) -> Iterable[Artifact]:
    yield Artifact(
        f"{BASE}/service.yaml",
        _address(service),
        "The address of the service inside the cluster; near instances first.",
        _KEYS,
        ("T36", "T44"),
    )
    if service.kubernetes.workload == "stateful":
        yield Artifact(
            f"{BASE}/service-peers.yaml",
            _peers(service),
            "A name for each instance, so that they find each other before they are ready.",
            (*_KEYS, "kubernetes.workload"),
            ("T37",),
        )


def _address(service: Service) -> Object:
    found = namespaced(service, "v1/Service", named(service), "service")
    found["spec"] = {
        "type": "ClusterIP",
        "selector": names.selector(service),
        "ports": [_port(service)],
        "trafficDistribution": "PreferSameZone",
    }
    return found


def _peers(service: Service) -> Object:
    found = namespaced(service, "v1/Service", named(service, "peers"), "peers")
    found["spec"] = {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": names.selector(service),
        "ports": [_port(service)],
    }
    return found


def _port(service: Service) -> Object:
    return {
        "name": names.port_name(service),
        "protocol": "TCP",
        "appProtocol": _SPOKEN[service.traffic.protocol],
        "port": service.traffic.port,
        "targetPort": names.port_name(service),
    }
