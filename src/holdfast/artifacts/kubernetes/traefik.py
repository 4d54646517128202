"""Who lets traffic in, by Traefik: IngressRoutes, and middlewares for retries and breakers.

Source: Traefik v3, Kubernetes CRD provider.
"""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.kubernetes.objects import BASE, named, namespaced
from holdfast.spec.model import Service

_GROUP = "traefik.io/v1alpha1"
_STRATEGIES = {"least-request": "p2c", "round-robin": "wrr", "ring-hash": "hrw"}
_SCHEMES = {"http1": "http", "http2": "h2c", "grpc": "h2c"}
_FIRST_PAUSE = "100ms"  # before the first further try, longer before each next one
_KEYS = ("service", "kubernetes.namespace", "kubernetes.ingress", "traffic.protocol")


def render(service: Service) -> Iterable[Artifact]:
    if service.kubernetes.ingress != "traefik":
        return
    tcp = service.traffic.protocol == "tcp"
    yield Artifact(
        f"{BASE}/ingressroutes.yaml",
        [_tcp(service)] if tcp else [_secure(service), _plain(service)],
        "What is let in: one name, with its certificate, to the service.",
        (*_KEYS, "kubernetes.host", "kubernetes.mesh", "traffic.port", "traffic.balance"),
        ("T35",),
    )
    if not tcp:
        yield Artifact(
            f"{BASE}/middlewares.yaml",
            [*_middlewares(service), _transport(service)],
            "What happens to a request on its way: further tries, a breaker, a limit.",
            (*_KEYS, "traffic.retries", "traffic.idempotent", "traffic.timeout",
             "traffic.try_timeout", "traffic.breaker", "traffic.outlier"),
            ("T35", "T43"),
        )  # fmt: skip


def _route(service: Service, kind: str, suffix: tuple[str, ...] = ()) -> Object:
    return namespaced(service, f"{_GROUP}/{kind}", named(service, *suffix), "ingress")


def _secure(service: Service) -> Object:
    route = {
        "kind": "Rule",
        "match": f"Host(`{names.host(service)}`)",
        "middlewares": [{"name": named(service, name)} for name in _ORDER],
        "services": [_backend(service)],
    }
    return _ingress(service, (), "websecure", route)


def _plain(service: Service) -> Object:
    route = {
        "kind": "Rule",
        "match": f"Host(`{names.host(service)}`)",
        "middlewares": [{"name": named(service, "redirect")}],
        "services": [{"kind": "TraefikService", "name": "noop@internal"}],
    }
    return _ingress(service, ("plain",), "web", route)


def _ingress(service: Service, suffix: tuple[str, ...], entry: str, route: Object) -> Object:
    found = _route(service, "IngressRoute", suffix)
    tls = {"tls": {"secretName": names.tls_secret(service)}} if entry == "websecure" else {}
    return {**found, "spec": {"entryPoints": [entry], "routes": [route], **tls}}


def _tcp(service: Service) -> Object:
    found = _route(service, "IngressRouteTCP")
    backend = {"name": named(service), "port": service.traffic.port}
    route = {"match": f"HostSNI(`{names.host(service)}`)", "services": [backend]}
    tls = {"secretName": names.tls_secret(service)}
    return {**found, "spec": {"entryPoints": ["websecure"], "routes": [route], "tls": tls}}


def _backend(service: Service) -> Object:
    return {
        "kind": "Service",
        "name": named(service),
        "port": service.traffic.port,
        "nativeLB": service.kubernetes.mesh == "istio",  # then its proxy chooses the instance
        "scheme": _SCHEMES[service.traffic.protocol],
        "strategy": _STRATEGIES[service.traffic.balance],
        "serversTransport": named(service),
    }


#: Middlewares of every request, outermost first.
_ORDER = ("headers", "limit", "breaker", "retry")


def _middlewares(service: Service) -> list[Object]:
    traffic = service.traffic
    opened = {
        "expression": "NetworkErrorRatio() > 0.30 || ResponseCodeRatio(500, 600, 0, 600) > 0.50",
        "checkPeriod": "1s",
        "fallbackDuration": names.duration(traffic.outlier.eject),
        "recoveryDuration": names.duration(traffic.outlier.eject),
    }
    specs: dict[str, Object] = {
        "headers": {"headers": {"stsSeconds": 31_536_000, "contentTypeNosniff": True}},
        "limit": {"inFlightReq": {"amount": traffic.breaker.max_requests}},
        "breaker": {"circuitBreaker": opened},
        "retry": {"retry": _retry(service)},
        "redirect": {"redirectScheme": {"scheme": "https", "permanent": True}},
    }
    return [{**_route(service, "Middleware", (n,)), "spec": spec} for n, spec in specs.items()]


def _retry(service: Service) -> Object:
    """Attempts count the first one. Only what surely was not worked on is repeated."""
    found: Object = {
        "attempts": service.traffic.retries + 1,
        "initialInterval": _FIRST_PAUSE,
        "timeout": names.duration(service.traffic.timeout),
    }
    return found | ({"retryNonIdempotentMethod": True} if service.traffic.idempotent else {})


def _transport(service: Service) -> Object:
    waits = service.traffic.try_timeout or service.traffic.timeout
    times = {"dialTimeout": "5s", "responseHeaderTimeout": names.duration(waits)}
    return {**_route(service, "ServersTransport"), "spec": {"forwardingTimeouts": times}}
