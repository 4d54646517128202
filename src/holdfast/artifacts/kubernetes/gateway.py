"""Who lets traffic in, by the Gateway API: a Gateway of the service's own, and its routes.

The class is Istio's, with or without a mesh: the series that rules and dashboards read are then
the same. Sources: gateway-api v1.6, Istio Kubernetes Gateway API.
"""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.kubernetes.objects import BASE, named, namespaced
from holdfast.spec.model import Service

_GROUP = "gateway.networking.k8s.io/v1"
_HSTS = {"name": "Strict-Transport-Security", "value": "max-age=31536000"}
_KEYS = ("service", "kubernetes.namespace", "kubernetes.ingress", "kubernetes.host",
         "traffic.protocol")  # fmt: skip
_ROUTES = {"http1": "HTTPRoute", "http2": "HTTPRoute", "grpc": "GRPCRoute", "tcp": "TCPRoute"}


def render(service: Service) -> Iterable[Artifact]:
    if service.kubernetes.ingress != "gateway":
        return
    yield Artifact(
        f"{BASE}/gateway.yaml",
        _gateway(service),
        "The door: which ports and names are open, with which certificate.",
        _KEYS,
        ("T35",),
    )
    yield Artifact(
        f"{BASE}/routes.yaml",
        _routes(service),
        "What comes through the door goes to the service; plain HTTP is sent to HTTPS.",
        (*_KEYS, "traffic.port", "traffic.timeout", "traffic.try_timeout"),
        ("T35",),
    )


def _gateway(service: Service) -> Object:
    found = namespaced(service, f"{_GROUP}/Gateway", named(service), "ingress")
    found["spec"] = {"gatewayClassName": "istio", "listeners": _listeners(service)}
    return found


def _listeners(service: Service) -> list[Object]:
    terminate = {"mode": "Terminate", "certificateRefs": [{"name": names.tls_secret(service)}]}
    if service.traffic.protocol == "tcp":
        return [_listener(service, "tls", 443, "TLS") | {"tls": terminate}]
    secure = _listener(service, "https", 443, "HTTPS") | {"tls": terminate}
    return [_listener(service, "http", 80, "HTTP"), secure]


def _listener(service: Service, name: str, port: int, protocol: str) -> Object:
    return {
        "name": name,
        "hostname": names.host(service),
        "port": port,
        "protocol": protocol,
        "allowedRoutes": {"namespaces": {"from": "Same"}},
    }


def _routes(service: Service) -> list[Object]:
    if service.traffic.protocol == "tcp":
        return [_route(service, named(service), "tls", {"backendRefs": [_backend(service)]})]
    serve = _route(service, named(service), "https", _serve(service))
    return [serve, _redirect(service)] if service.traffic.protocol != "grpc" else [serve]


def _route(service: Service, name: str, section: str, rule: Object) -> Object:
    kind = _ROUTES[service.traffic.protocol]
    found = namespaced(service, f"{_GROUP}/{kind}", name, "ingress")
    hosts = {} if kind == "TCPRoute" else {"hostnames": [names.host(service)]}
    parent = {"name": named(service), "sectionName": section}
    return {**found, "spec": {"parentRefs": [parent], **hosts, "rules": [rule]}}


def _serve(service: Service) -> Object:
    secured = {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": [_HSTS]}}
    rule: Object = {"filters": [secured], "backendRefs": [_backend(service)]}
    return rule | ({} if service.traffic.protocol == "grpc" else _timeouts(service))


def _timeouts(service: Service) -> Object:
    traffic = service.traffic
    found = {"request": names.duration(traffic.timeout)}
    if traffic.try_timeout is not None:
        found["backendRequest"] = names.duration(min(traffic.try_timeout, traffic.timeout))
    return {"timeouts": found}


def _redirect(service: Service) -> Object:
    secure = {"scheme": "https", "statusCode": 301}
    rule = {"filters": [{"type": "RequestRedirect", "requestRedirect": secure}]}
    return _route(service, named(service, "redirect"), "http", rule)


def _backend(service: Service) -> Object:
    return {"name": named(service), "port": service.traffic.port}
