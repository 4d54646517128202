"""PriorityClasses: who makes room for whom when a cluster is full."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.kubernetes.objects import PLATFORM, clustered, named
from holdfast.spec.model import Service

#: The cluster autoscaler ignores pods below -10 when it looks for missing room.
PLACEHOLDER = -10


def render(service: Service) -> Iterable[Artifact]:
    yield Artifact(
        f"{PLATFORM}/priorityclasses.yaml",
        classes(service),
        "Who makes room for whom: the service, then its jobs, then placeholders.",
        ("service",),
        ("T52", "T145"),
    )


def classes(service: Service) -> list[Object]:
    return [
        _class(service, (), 1_000_000, "Instances that serve; others make room for them."),
        _class(service, ("jobs",), 100_000, "Jobs of the service; they wait for room."),
        _class(service, ("headroom",), PLACEHOLDER, "Placeholders; everybody may take their room."),
    ]


def _class(service: Service, suffix: tuple[str, ...], value: int, about: str) -> Object:
    found = clustered(service, "scheduling.k8s.io/v1/PriorityClass", named(service, *suffix))
    preempts = "Never" if suffix else "PreemptLowerPriority"
    return {
        **found,
        "value": value,
        "globalDefault": False,
        "preemptionPolicy": preempts,
        "description": about,
    }
