"""How calls inside the mesh go: balance, breakers, ejection, time limits, further tries.

The quantities are ``traffic.*``, the same that Envoy of the local target gets. Only what surely was
not worked on is asked twice, unless ``traffic.idempotent`` says that all may be. The weights of
releases are those of the route ``release``: the engine writes them there.
Sources: Istio 1.30, DestinationRule, VirtualService, Sidecar.
"""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.artifacts import calls, names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.kubernetes.mesh.install import SYSTEM
from holdfast.artifacts.kubernetes.objects import BASE, named, namespaced
from holdfast.spec.model import Service

_GROUP = "networking.istio.io/v1"
_KEYS = ("service", "kubernetes.namespace", "kubernetes.mesh", "traffic.protocol")


def render(service: Service) -> Iterable[Artifact]:
    if service.kubernetes.mesh != "istio":
        return
    yield Artifact(
        f"{BASE}/destinationrule.yaml",
        _rule(service),
        "Which instance gets a call, when no more are sent, when one is left out.",
        (*_KEYS, "traffic.balance", "traffic.hash_header", "traffic.breaker", "traffic.outlier"),
        ("T42", "T43", "T44"),
    )
    yield Artifact(
        f"{BASE}/virtualservice.yaml",
        _routes(service),
        "How long a call may take and what is asked again; the engine writes releases' weights.",
        (*_KEYS, "traffic.port", "traffic.timeout", "traffic.try_timeout", "traffic.retries",
         "traffic.idempotent"),
        ("T43", "T45"),
    )  # fmt: skip
    yield Artifact(
        f"{BASE}/sidecar.yaml",
        _sidecar(service),
        "What the proxies know about: this namespace and the platform, not the whole cluster.",
        ("service", "kubernetes.namespace", "kubernetes.mesh"),
        ("T41",),
    )


def _host(service: Service) -> str:
    return f"{named(service)}.{names.namespace(service)}.svc.cluster.local"


def _rule(service: Service) -> Object:
    found = namespaced(service, f"{_GROUP}/DestinationRule", named(service), "mesh")
    return {**found, "spec": {"host": _host(service), "trafficPolicy": calls.policy(service)}}


def _routes(service: Service) -> Object:
    found = namespaced(service, f"{_GROUP}/VirtualService", named(service), "mesh")
    place = {"host": _host(service), "port": {"number": service.traffic.port}}
    route = [{"destination": place, "weight": 100}]
    found["spec"] = {"hosts": [_host(service)], "gateways": ["mesh"]}
    if service.traffic.protocol == "tcp":
        found["spec"]["tcp"] = [{"route": route}]
        return found
    found["spec"]["http"] = [{"name": "release", "route": route, **calls.limits(service)}]
    return found


def _sidecar(service: Service) -> Object:
    found = namespaced(service, f"{_GROUP}/Sidecar", named(service), "mesh")
    hosts = ["./*", f"{SYSTEM}/*", "tracing/*"]
    return {**found, "spec": {"egress": [{"hosts": hosts}]}}
