"""How calls inside the mesh go: balance, breakers, ejection, time limits, further tries.

The quantities are ``traffic.*``, the same that Envoy of the local target gets. Only what surely was
not worked on is asked twice, unless ``traffic.idempotent`` says that all may be. The weights of
releases are those of the route ``release``: the engine writes them there.
Sources: Istio 1.30, DestinationRule, VirtualService, Sidecar.
"""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.kubernetes.mesh.install import SYSTEM
from holdfast.artifacts.kubernetes.objects import BASE, named, namespaced, present
from holdfast.spec.model import Service

_GROUP = "networking.istio.io/v1"
_SIMPLE = {"least-request": "LEAST_REQUEST", "round-robin": "ROUND_ROBIN"}
_SAFE = "connect-failure,refused-stream,reset-before-request"
_MORE = {"http1": ",reset,5xx", "http2": ",reset,5xx", "grpc": ",reset,unavailable"}
_CONNECT = "5s"
_LOOK = "1s"  # how often instances are judged
#: Local first, then the same region; the labels are those of nodes.
_NEAR = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone")
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
    policy = {
        "tls": {"mode": "ISTIO_MUTUAL"},
        "loadBalancer": _balance(service),
        "connectionPool": _pool(service),
        "outlierDetection": _outlier(service),
    }
    return {**found, "spec": {"host": _host(service), "trafficPolicy": policy}}


def _balance(service: Service) -> Object:
    """Ring hash needs the same ring everywhere, so it knows no near and far."""
    if service.traffic.balance == "ring-hash":
        header = {"httpHeaderName": service.traffic.hash_header}
        return {"consistentHash": {**header, "ringHash": {"minimumRingSize": 1024}}}
    near = {"enabled": True, "failoverPriority": list(_NEAR)}
    return {"simple": _SIMPLE[service.traffic.balance], "localityLbSetting": near}


def _pool(service: Service) -> Object:
    breaker = service.traffic.breaker
    found: Object = {"tcp": {"maxConnections": breaker.max_connections, "connectTimeout": _CONNECT}}
    if service.traffic.protocol != "tcp":
        found["http"] = {
            "http1MaxPendingRequests": breaker.max_pending,
            "http2MaxRequests": breaker.max_requests,
            "maxRetries": breaker.max_retries,
        }
    return found


def _outlier(service: Service) -> Object:
    """One that refuses connections is left out by the same count."""
    outlier = service.traffic.outlier
    return {
        "consecutive5xxErrors": outlier.consecutive_5xx,
        "interval": _LOOK,
        "baseEjectionTime": names.duration(outlier.eject),
        "maxEjectionPercent": outlier.max_ejected,
        "minHealthPercent": 0,
    }


def _routes(service: Service) -> Object:
    found = namespaced(service, f"{_GROUP}/VirtualService", named(service), "mesh")
    place = {"host": _host(service), "port": {"number": service.traffic.port}}
    route = [{"destination": place, "weight": 100}]
    found["spec"] = {"hosts": [_host(service)], "gateways": ["mesh"]}
    if service.traffic.protocol == "tcp":
        found["spec"]["tcp"] = [{"route": route}]
        return found
    limit = {"timeout": names.duration(service.traffic.timeout), "retries": _retries(service)}
    found["spec"]["http"] = [{"name": "release", "route": route, **limit}]
    return found


def _retries(service: Service) -> Object:
    """Zero is said: without a word Istio asks twice more."""
    traffic = service.traffic
    if not traffic.retries:
        return {"attempts": 0}
    more = _MORE[traffic.protocol] if traffic.idempotent else ""
    try_for = min(traffic.try_timeout, traffic.timeout) if traffic.try_timeout else None
    return present(
        attempts=traffic.retries,
        perTryTimeout=names.duration(try_for) if try_for and traffic.idempotent else None,
        retryOn=_SAFE + more,
    )


def _sidecar(service: Service) -> Object:
    found = namespaced(service, f"{_GROUP}/Sidecar", named(service), "mesh")
    hosts = ["./*", f"{SYSTEM}/*", "tracing/*"]
    return {**found, "spec": {"egress": [{"hosts": hosts}]}}
