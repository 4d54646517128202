"""The PodDisruptionBudget: how many instances maintenance may take at a time."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.kubernetes.objects import BASE, named, namespaced
from holdfast.spec.model import Service


def render(service: Service) -> Iterable[Artifact]:
    yield Artifact(
        f"{BASE}/poddisruptionbudget.yaml",
        _budget(service),
        "What node maintenance may take away at a time; a rollout always has room.",
        ("service", "kubernetes.namespace", "rollout.max_unavailable"),
        ("T53",),
    )


def _budget(service: Service) -> Object:
    """Counted from above, so it never forbids every eviction; broken pods are free to go."""
    found = namespaced(service, "policy/v1/PodDisruptionBudget", named(service), "service")
    found["spec"] = {
        "maxUnavailable": max(1, service.rollout.max_unavailable),
        "selector": {"matchLabels": names.selector(service)},
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
    return found
