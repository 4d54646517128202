"""Cilium's policies: by identity, the API server as an entity, name look-ups seen by its proxy.

Source: Cilium, Layer 3 and Layer 4 examples; "Default deny".
"""

from __future__ import annotations

from holdfast.artifacts.artifact import Object
from holdfast.artifacts.kubernetes.network.flow import Addresses, Agent, Api, Pods, Policy, Rule
from holdfast.artifacts.kubernetes.network.plain import types
from holdfast.artifacts.kubernetes.objects import named, namespaced
from holdfast.spec.model import Service

_SPACE = "k8s:io.kubernetes.pod.namespace"
_DNS_PORT = 53


def policy(service: Service, given: Policy) -> Object:
    name = named(service, given.name) if given.name else named(service)
    found = namespaced(service, "cilium.io/v2/CiliumNetworkPolicy", name, "network")
    spec: Object = {"endpointSelector": _chosen(given.labels)}
    spoken = types(given)
    spec["enableDefaultDeny"] = {way.lower(): way in spoken for way in ("Ingress", "Egress")}
    if "Ingress" in spoken:
        spec["ingress"] = [e for rule in given.ingress for e in _rules(rule, "from")] or [{}]
    if "Egress" in spoken:
        spec["egress"] = [e for rule in given.egress for e in _rules(rule, "to")] or [{}]
    return {**found, "spec": spec}


def _rules(rule: Rule, side: str) -> list[Object]:
    """One rule for each kind of peer: Cilium would join kinds in one rule by *and*."""
    return [{**peers, **_ports(rule)} for peers in _peers(rule, side)]


def _peers(rule: Rule, side: str) -> list[Object]:
    pods = [_pods(peer) for peer in rule.peers if isinstance(peer, Pods)]
    blocks = [_block(peer) for peer in rule.peers if isinstance(peer, Addresses)]
    found: list[Object] = []
    if pods:
        found.append({f"{side}Endpoints": pods})
    if any(isinstance(peer, Addresses) and _is_world(peer) for peer in rule.peers):
        found.append({f"{side}Entities": ["world"]})
    elif blocks:
        found.append({f"{side}CIDRSet": blocks})
    if any(isinstance(peer, Api) for peer in rule.peers):
        found.append({f"{side}Entities": ["kube-apiserver"]})
    if any(isinstance(peer, Agent) for peer in rule.peers):
        found.append({f"{side}Entities": ["host"]})  # an address of the node is never a block
    return found


def _ports(rule: Rule) -> Object:
    if not rule.ports:
        return {}
    ports = [{"port": str(port.number), "protocol": port.protocol} for port in rule.ports]
    named_only = all(port.number == _DNS_PORT for port in rule.ports)
    looked = {"rules": {"dns": [{"matchPattern": "*"}]}} if named_only else {}
    return {"toPorts": [{"ports": ports, **looked}]}


def _pods(peer: Pods) -> Object:
    """``k8s:`` labels; without a namespace the policy's own is meant."""
    space = {_SPACE: peer.namespace} if peer.namespace else {}
    return _chosen({**space, **{f"k8s:{k}": v for k, v in peer.labels.items()}})


def _is_world(block: Addresses) -> bool:
    return block.cidr == "0.0.0.0/0" and not block.without


def _block(block: Addresses) -> Object:
    return {"cidr": block.cidr, **({"except": list(block.without)} if block.without else {})}


def _chosen(labels: dict[str, str]) -> Object:
    return {"matchLabels": labels} if labels else {}
