"""The flows a service needs, and no others: its door, its callers, its data, its watchers."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.artifacts import names
from holdfast.artifacts.kubernetes.network import data
from holdfast.artifacts.kubernetes.network.flow import (
    UDP,
    Addresses,
    Labels,
    Peer,
    Pods,
    Policy,
    Port,
    Rule,
    tcp,
)
from holdfast.spec.model import Service

KEYS = (
    "service", "kubernetes.namespace", "kubernetes.network", "kubernetes.mesh",
    "kubernetes.ingress", "kubernetes.callers", "kubernetes.calls", "traffic.port",
    "traffic.protocol", "resilience.database", "resilience.cache", "resilience.queue",
    "resilience.objects", "regions",
)  # fmt: skip
_DNS = Pods({"k8s-app": "kube-dns"}, "kube-system")
_ISTIOD = Pods({"app": "istiod"}, "istio-system")
_PROMETHEUS = Pods({"app.kubernetes.io/name": "prometheus"}, "monitoring")
_SPANS = Pods({}, "tracing")
_WORLD = Addresses("0.0.0.0/0")
#: Ports of Istio's sidecar: joined metrics, its own metrics (istio.io, Application Requirements).
_SIDECAR_METRICS = (15020, 15090)
_XDS = 15012
_GATEWAY_HEALTH = 15021
_GATEWAY = "gateway.networking.k8s.io/gateway-name"
_CONTROLLERS = {"nginx": "ingress-nginx", "traefik": "traefik"}


def policies(service: Service) -> Iterator[Policy]:
    """Everything allowed in the service's namespace, the ban on the rest first."""
    yield Policy("default-deny", {})
    yield Policy("dns", {}, egress=(Rule((_DNS,), (Port(53, UDP), Port(53))),))
    yield _instances(service)
    yield _family(service)
    if service.kubernetes.ingress == "gateway":
        yield _door(service)
    yield from data.policies(service)


def _instances(service: Service) -> Policy:
    """Who may call: the door, the service's own pods, the named callers, the scraper."""
    callers = (*_entrance(service), Pods(names.ours(service)), *_callers(service))
    rules = [Rule(callers, tcp(service.traffic.port))]
    rules.append(Rule((_PROMETHEUS,), tcp(*_scraped(service))))
    return Policy("", names.selector(service), tuple(rules), ())


def _entrance(service: Service) -> tuple[Peer, ...]:
    if service.kubernetes.ingress == "gateway":
        return (Pods(_gateway(service)),)
    return (Pods({}, _CONTROLLERS[service.kubernetes.ingress]),)


def _callers(service: Service) -> tuple[Peer, ...]:
    return tuple(Pods({}, namespace) for namespace in service.kubernetes.callers)


def _scraped(service: Service) -> tuple[int, ...]:
    meshed = service.kubernetes.mesh == "istio"
    return _SIDECAR_METRICS if meshed else (service.traffic.port,)


def _family(service: Service) -> Policy:
    """What the service and its jobs may call."""
    rules = [Rule((Pods(names.selector(service)),), tcp(service.traffic.port))]
    rules += data.calls(service)
    rules.append(Rule((_SPANS,), tcp(4317, 4318)))
    rules += _control(service)
    rules += [Rule((Addresses(each.to),), tcp(each.port)) for each in service.kubernetes.calls]
    return Policy("calls", names.ours(service), (), tuple(rules))


def _control(service: Service) -> list[Rule]:
    return [Rule((_ISTIOD,), tcp(_XDS))] if service.kubernetes.mesh == "istio" else []


def _door(service: Service) -> Policy:
    """The only pods that the world may reach; load balancers look at their health."""
    inside = tuple(Addresses(region.cidr) for region in service.regions)
    opened = (443,) if service.traffic.protocol == "tcp" else (80, 443)
    ingress = (
        Rule((_WORLD,), tcp(*opened)),
        Rule(inside, tcp(_GATEWAY_HEALTH)),
        Rule((_PROMETHEUS,), tcp(*_SIDECAR_METRICS)),
    )
    egress = (
        Rule((Pods(names.selector(service)),), tcp(service.traffic.port)),
        Rule((_ISTIOD,), tcp(_XDS)),
        Rule((_SPANS,), tcp(4317)),
    )
    return Policy("gateway", _gateway(service), ingress, egress)


def _gateway(service: Service) -> Labels:
    """The label Istio puts on the pods that it makes for a Gateway."""
    return {_GATEWAY: service.service}
