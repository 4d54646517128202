"""The network policies in the flavour that ``kubernetes.network`` names."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.kubernetes.network import calico, cilium, needed, plain
from holdfast.artifacts.kubernetes.network.flow import Policy
from holdfast.artifacts.kubernetes.objects import BASE
from holdfast.spec.model import Service

_FLAVOURS: dict[str, Callable[[Service, Policy], Object]] = {
    "plain": plain.policy,
    "calico": calico.policy,
    "cilium": cilium.policy,
}


def render(service: Service) -> Iterable[Artifact]:
    write = _FLAVOURS[service.kubernetes.network]
    yield Artifact(
        f"{BASE}/networkpolicies.yaml",
        [write(service, policy) for policy in needed.policies(service)],
        "Nobody talks to anybody, except for the flows named here.",
        needed.KEYS,
        ("T33", "T57"),
    )
