"""Calico's NetworkPolicies: ordered, with an explicit end, and the API server by its Service.

Source: Calico, Network policy; selectors are written in its expression language.
"""

from __future__ import annotations

from holdfast.artifacts.artifact import Object
from holdfast.artifacts.kubernetes.network.flow import (
    TCP,
    UDP,
    Addresses,
    Agent,
    Api,
    Peer,
    Policy,
    Port,
    Rule,
)
from holdfast.artifacts.kubernetes.network.plain import SPACE, types
from holdfast.artifacts.kubernetes.objects import named, namespaced, present
from holdfast.spec.model import Service

_FIRST, _LAST = 100, 2000  # Calico asks policies in rising order


def policy(service: Service, given: Policy) -> Object:
    name = named(service, given.name) if given.name else named(service)
    found = namespaced(service, "projectcalico.org/v3/NetworkPolicy", name, "network")
    allows = bool(given.ingress or given.egress)
    spec = {
        "order": _FIRST if allows else _LAST,
        "selector": _expression(given.labels),
        "types": types(given),
        "ingress": [each for rule in given.ingress for each in _rules(rule, "source")],
        "egress": [each for rule in given.egress for each in _rules(rule, "destination")],
    }
    return {**found, "spec": present(**spec)}


def _rules(rule: Rule, side: str) -> list[Object]:
    """One rule each for a peer and a protocol: Calico's rules have one of each."""
    spoken = [[p for p in rule.ports if p.protocol == protocol] for protocol in (TCP, UDP)]
    ports = [each for each in spoken if each] or [[]]
    return [_rule(peer, side, each) for peer in rule.peers for each in ports]


def _rule(peer: Peer, side: str, ports: list[Port]) -> Object:
    found: Object = {"action": "Allow"}
    if ports:
        found["protocol"] = ports[0].protocol
    found[side] = _entity(peer)
    if ports and not isinstance(peer, Api):  # a Service says its own ports
        found.setdefault("destination", {})["ports"] = [port.number for port in ports]
    return found


def _entity(peer: Peer) -> Object:
    if isinstance(peer, Api):
        return {"services": {"name": "kubernetes", "namespace": "default"}}
    if isinstance(peer, Agent):
        return {"nets": [f"{peer.address}/32"]}
    if isinstance(peer, Addresses):
        return present(nets=[peer.cidr], notNets=list(peer.without))
    space = {"namespaceSelector": f"{SPACE} == '{peer.namespace}'"} if peer.namespace else {}
    return {"selector": _expression(peer.labels), **space}


def _expression(labels: dict[str, str]) -> str:
    return " && ".join(f"{key} == '{value}'" for key, value in labels.items()) or "all()"
