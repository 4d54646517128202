"""NetworkPolicies of Kubernetes itself: every network plugin that enforces any knows them."""

from __future__ import annotations

from holdfast.artifacts.artifact import Object
from holdfast.artifacts.kubernetes.network.flow import (
    Addresses,
    Agent,
    Api,
    Peer,
    Pods,
    Policy,
    Rule,
)
from holdfast.artifacts.kubernetes.objects import named, namespaced, present
from holdfast.spec.model import Service

SPACE = "kubernetes.io/metadata.name"


def policy(service: Service, given: Policy) -> Object:
    name = named(service, given.name) if given.name else named(service)
    found = namespaced(service, "networking.k8s.io/v1/NetworkPolicy", name, "network")
    spec = {
        "podSelector": _chosen(given.labels),
        "policyTypes": types(given),
        "ingress": [_rule(rule, "from") for rule in given.ingress],
        "egress": [_rule(rule, "to") for rule in given.egress],
    }
    return {**found, "spec": {k: v for k, v in spec.items() if v or k == "podSelector"}}


def types(given: Policy) -> list[str]:
    """A policy speaks of the directions it has rules for; one without rules of both."""
    spoken = [("Ingress", given.ingress), ("Egress", given.egress)]
    return [name for name, rules in spoken if rules] or [name for name, _ in spoken]


def _rule(rule: Rule, side: str) -> Object:
    peers = [each for peer in rule.peers for each in _peers(peer)]
    ports = [{"protocol": port.protocol, "port": port.number} for port in rule.ports]
    return {side: peers, **present(ports=ports)}


def _peers(peer: Peer) -> list[Object]:
    if isinstance(peer, Pods):
        return [_pods(peer)]
    if isinstance(peer, Api):
        return [_block(Addresses(cidr)) for cidr in peer.within]
    return [_block(Addresses(f"{peer.address}/32") if isinstance(peer, Agent) else peer)]


def _pods(peer: Pods) -> Object:
    space = {"namespaceSelector": {"matchLabels": {SPACE: peer.namespace}}}
    pods = {"podSelector": _chosen(peer.labels)} if peer.labels or not peer.namespace else {}
    return {**(space if peer.namespace else {}), **pods}


def _block(block: Addresses) -> Object:
    return {"ipBlock": present(cidr=block.cidr, **{"except": list(block.without)})}


def _chosen(labels: dict[str, str]) -> Object:
    return {"matchLabels": labels} if labels else {}
