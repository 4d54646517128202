"""What network policies of each flavour let through, decided as their documentation says.

A connection needs both sides: the sender's egress and the receiver's ingress. A pod that no policy
of a direction selects is open in that direction; one that is selected takes only what is allowed.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Any

_NAME = "kubernetes.io/metadata.name"
_AGENT = "169.254.170.23"  # an address of the pod's own node; to Cilium never a block


@dataclass(frozen=True)
class Pod:
    namespace: str
    labels: dict[str, str]


@dataclass(frozen=True)
class Host:
    """Something outside the cluster."""

    address: str


End = Pod | Host


def lets_through(policies: list[dict[str, Any]], sender: End, taker: End, port: int) -> bool:
    """Whether a TCP connection is made."""
    read = {
        "networking.k8s.io/v1": _plain,
        "projectcalico.org/v3": _calico,
        "cilium.io/v2": _cilium,
    }[policies[0]["apiVersion"]]
    sent = _side(policies, read, "egress", sender, taker, port)
    return sent and _side(policies, read, "ingress", taker, sender, port)


def _side(policies, read, way, own, other, port) -> bool:
    if isinstance(own, Host):
        return True
    chosen = [p for p in policies if p["metadata"]["namespace"] == own.namespace]
    verdicts = [read(p["spec"], way, own, other, port) for p in chosen]
    spoken = [each for each in verdicts if each is not None]
    return any(spoken) if spoken else True


def _fits(selector, labels) -> bool:
    return (selector or {}).get("matchLabels", {}).items() <= labels.items()


# ---- Kubernetes ----------------------------------------------------------------------------------


def _plain(spec, way, own, other, port):
    if not _fits(spec["podSelector"], own.labels) or way.capitalize() not in spec["policyTypes"]:
        return None
    side = "to" if way == "egress" else "from"
    return any(
        any(_plain_peer(peer, own, other) for peer in rule[side]) and _plain_port(rule, port)
        for rule in spec.get(way, ())
    )


def _plain_port(rule, port) -> bool:
    tcp = [each["port"] for each in rule.get("ports", ()) if each["protocol"] == "TCP"]
    return port in tcp if rule.get("ports") else True


def _plain_peer(peer, own, other) -> bool:
    if "ipBlock" in peer:
        return _block(peer["ipBlock"]["cidr"], peer["ipBlock"].get("except", ()), other)
    if isinstance(other, Host):
        return False
    if "namespaceSelector" in peer:
        inside = _fits(peer["namespaceSelector"], {_NAME: other.namespace})
    else:
        inside = other.namespace == own.namespace
    return inside and _fits(peer.get("podSelector"), other.labels)


def _block(cidr, without, other) -> bool:
    """Blocks speak of addresses outside the cluster."""
    if isinstance(other, Pod):
        return False
    address = ipaddress.ip_address(other.address)
    return address in ipaddress.ip_network(cidr) and not any(
        address in ipaddress.ip_network(each) for each in without
    )


# ---- Calico --------------------------------------------------------------------------------------


def _calico(spec, way, own, other, port):
    if not _expression(spec["selector"], own.labels) or way.capitalize() not in spec["types"]:
        return None
    side = "destination" if way == "egress" else "source"
    return any(_calico_rule(rule, rule[side], own, other, port) for rule in spec.get(way, ()))


def _calico_rule(rule, entity, own, other, port) -> bool:
    ports = rule.get("destination", {}).get("ports")
    if ports and (rule["protocol"] != "TCP" or port not in ports):
        return False
    if "nets" in entity:
        return _block(entity["nets"][0], entity.get("notNets", ()), other)
    if "services" in entity or isinstance(other, Host):
        return False
    space = entity.get("namespaceSelector", f"{_NAME} == '{own.namespace}'")
    inside = _expression(space, {_NAME: other.namespace})
    return inside and _expression(entity["selector"], other.labels)


def _expression(text, labels) -> bool:
    if text == "all()":
        return True
    terms = [re.fullmatch(r"(\S+) == '(.*)'", term) for term in text.split(" && ")]
    return all(labels.get(term[1]) == term[2] for term in terms)


# ---- Cilium --------------------------------------------------------------------------------------


def _cilium(spec, way, own, other, port):
    if not _fits(spec["endpointSelector"], own.labels) or not spec["enableDefaultDeny"][way]:
        return None
    side = "to" if way == "egress" else "from"
    return any(_cilium_rule(rule, side, own, other, port) for rule in spec.get(way, ()))


def _cilium_rule(rule, side, own, other, port) -> bool:
    ports = [p for each in rule.get("toPorts", ()) for p in each["ports"]]
    if ports and str(port) not in [p["port"] for p in ports if p["protocol"] == "TCP"]:
        return False
    if f"{side}Entities" in rule:
        here = isinstance(other, Host) and other.address == _AGENT
        entity = "host" if here else "world"
        return isinstance(other, Host) and entity in rule[f"{side}Entities"]
    if f"{side}CIDRSet" in rule:
        return other != Host(_AGENT) and any(
            _block(b["cidr"], b.get("except", ()), other) for b in rule[f"{side}CIDRSet"]
        )
    if isinstance(other, Host):
        return False
    seen = {f"k8s:{key}": value for key, value in other.labels.items()}
    seen["k8s:io.kubernetes.pod.namespace"] = other.namespace
    return any(_endpoint(each, seen, own) for each in rule.get(f"{side}Endpoints", ()))


def _endpoint(selector, seen, own) -> bool:
    wanted = {"k8s:io.kubernetes.pod.namespace": own.namespace, **selector.get("matchLabels", {})}
    return wanted.items() <= seen.items()
