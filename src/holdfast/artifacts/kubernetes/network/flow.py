"""Flows in words of their own; each flavour of network policy says them in its language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

TCP: Literal["TCP"] = "TCP"
UDP: Literal["UDP"] = "UDP"
Labels = dict[str, str]


@dataclass(frozen=True, slots=True)
class Pods:
    """Pods with these labels; ``namespace`` empty: of the policy's own. No labels: all of them."""

    labels: Labels
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class Addresses:
    """A block of addresses, and what is left out of it."""

    cidr: str
    without: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Api:
    """The cluster's API server. ``within`` are the addresses it may have."""

    within: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Agent:
    """The pod's own node, at the address where a cloud's agent hands out credentials."""

    address: str


Peer = Pods | Addresses | Api | Agent


@dataclass(frozen=True, slots=True)
class Port:
    number: int
    protocol: Literal["TCP", "UDP"] = TCP


@dataclass(frozen=True, slots=True)
class Rule:
    """Any of these peers, on any of these ports; no ports: on all."""

    peers: tuple[Peer, ...]
    ports: tuple[Port, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """What pods with these labels may take (``ingress``) and send (``egress``).

    No labels: all pods of the namespace. A policy without rules allows nothing.
    """

    name: str  # suffix of the object's name; empty: the service's own
    labels: Labels
    ingress: tuple[Rule, ...] = ()
    egress: tuple[Rule, ...] = ()


def tcp(*numbers: int) -> tuple[Port, ...]:
    return tuple(Port(number) for number in numbers)
