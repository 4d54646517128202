"""Traffic arrives: probes, Services, routes and ingresses name ports that somebody opens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from holdfast.artifacts.check.structure import Place
from holdfast.artifacts.check.whole import Item, Pods, Whole, at, chosen, items, table
from holdfast.artifacts.check.written import walk
from holdfast.supply.finding import Finding

_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


_NUMBERED = ("port", "containerPort", "targetPort", "hostPort", "nodePort")


def check(whole: Whole) -> Iterator[Finding]:
    for item in whole.items:
        for place, value in walk(item.body):
            if place[-1:] and place[-1] in _NUMBERED and _is_no_port(value):
                yield item.finding("port", place, f"the port {value}", "1 to 65535")
    for pods in whole.pods:
        yield from _probes(pods)
    for service in whole.of("Service"):
        yield from _targets(service, whole)
    for item, place, name, port in _backends(whole):
        yield from _backend(item, place, name, port, whole)


def _probes(pods: Pods) -> Iterator[Finding]:
    for place, container in pods.containers:
        opened = [value for p in items(container, "ports") for value in _names(p)]
        for probe in _PROBES:
            for kind in ("httpGet", "tcpSocket", "grpc"):
                port = at(container, probe, kind, "port")
                if port is not None and port not in opened:
                    where = (*place, probe, kind, "port")
                    wanted = f"one that the container opens: {_list(opened)}"
                    yield pods.item.finding("port", where, f"the port {port}", wanted)


def _is_no_port(value: Any) -> bool:
    return isinstance(value, int) and not 1 <= value <= 65535


def _names(port: Any) -> tuple[Any, Any]:
    return at(port, "name"), at(port, "containerPort")


def _targets(service: Item, whole: Whole) -> Iterator[Finding]:
    selector = table(service.body, "spec", "selector")
    fits = [p for p in whole.pods if selector and chosen({"matchLabels": selector}, p.labels)]
    if not fits:
        return
    opened = [value for pods in fits for port in pods.ports for value in port]
    for index, port in enumerate(items(service.body, "spec", "ports")):
        target = at(port, "targetPort") or at(port, "port")
        if target not in opened:
            place = ("spec", "ports", index, "targetPort")
            wanted = f"one that a container opens: {_list(opened)}"
            yield service.finding("port", place, f"the port {target}", wanted)


Backend = tuple[Item, Place, str, Any]


def _backends(whole: Whole) -> Iterator[Backend]:
    """Who sends traffic to which Service and port; the port is a number, a name or None."""
    for item in whole.of("Ingress"):
        for r, rule in enumerate(items(item.body, "spec", "rules")):
            for p, path in enumerate(items(rule, "http", "paths")):
                service = table(path, "backend", "service")
                port = at(service, "port", "number") or at(service, "port", "name")
                way: Place = ("spec", "rules", r, "http", "paths", p, "backend", "service", "name")
                yield item, way, str(service.get("name")), port
    for item in whole.of("HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute"):
        yield from _routes(item, "rules", "backendRefs")
    for item in whole.of("IngressRoute", "IngressRouteTCP"):
        yield from _routes(item, "routes", "services")
    yield from _mesh(whole)


def _routes(item: Item, rules: str, backends: str) -> Iterator[Backend]:
    for r, rule in enumerate(items(item.body, "spec", rules)):
        for b, backend in enumerate(items(rule, backends)):
            if at(backend, "kind") in (None, "Service"):
                way: Place = ("spec", rules, r, backends, b, "name")
                yield item, way, str(at(backend, "name")), at(backend, "port")


def _mesh(whole: Whole) -> Iterator[Backend]:
    for item in whole.of("VirtualService"):
        for protocol in ("http", "tcp", "tls"):
            for r, route in enumerate(items(item.body, "spec", protocol)):
                for d, each in enumerate(items(route, "route")):
                    host = str(at(each, "destination", "host"))
                    place = ("spec", protocol, r, "route", d, "destination", "host")
                    yield item, place, host, at(each, "destination", "port", "number")
    for item in whole.of("DestinationRule"):
        yield item, ("spec", "host"), str(at(item.body, "spec", "host")), None


def _backend(item: Item, place: Place, name: str, port: Any, whole: Whole) -> Iterator[Finding]:
    host, _, rest = name.partition(".")
    if (rest and not _inside(rest)) or "*" in name:
        return  # a host outside of the cluster, or a pattern
    made = [at(each.body, "spec", "targetRef", "name") for each in whole.of("Canary")]
    base = host.removesuffix("-primary").removesuffix("-canary")
    service = whole.named("Service", host) or (
        whole.named("Service", base) if base in made else None
    )
    if service is None:
        yield item.finding("backend", place, f"no Service {name}", "one of the set")
        return
    ports = [value for p in items(service.body, "spec", "ports") for value in _service_port(p)]
    if port is not None and port not in ports:
        yield item.finding("port", place, f"the port {port} of {name}", f"one of {_list(ports)}")


def _inside(domain: str) -> bool:
    return ".svc" in f".{domain}" or "." not in domain


def _service_port(port: Any) -> tuple[Any, Any]:
    return at(port, "name"), at(port, "port")


def _list(values: list[Any]) -> str:
    return ", ".join(sorted({str(value) for value in values if value}))
