"""Kustomizations over what the other renderers of this family put there.

What all regions are given is one base, made of a directory for each concern; what only a region
is given lies beside it, for kustomize refuses a base that contains its overlay. What all services
of a cluster share is applied once. The weekly experiments are a kustomization of
their own, which nothing else names: breaking things is somebody's decision.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from holdfast.artifacts.artifact import Artifact, Object, Renderer
from holdfast.artifacts.resilience.objects import (
    BACKUP,
    BASE,
    CHAOS,
    DATA,
    EDGE,
    OVERLAYS,
    PLATFORM,
    SECURITY,
    overlay,
)
from holdfast.spec.model import Service
from holdfast.spec.production.regions import Region

_FILE = "kustomization.yaml"
#: Directories whose YAML files are applied in every region.
_CONCERNS = {
    DATA: "The data services, where all regions have the same.",
    BACKUP: "What is kept elsewhere, and for how long.",
    SECURITY: "Secrets and certificates of the service.",
    EDGE: "What stands before the service.",
}
#: What decides which files a directory has.
_KEYS = {
    DATA: ("regions", "resilience.database", "resilience.cache", "resilience.queue",
           "resilience.objects"),
    BACKUP: ("resilience.database",),
    SECURITY: (),
    EDGE: ("regions", "kubernetes.mesh", "kubernetes.ingress", "traffic.protocol",
           "resilience.waf"),
    OVERLAYS: ("regions", "resilience.database", "resilience.queue"),
}  # fmt: skip
#: What decides which directories are not empty.
_BASE_KEYS = (
    "resilience.database", "resilience.cache", "resilience.queue", "resilience.objects",
    "regions", "kubernetes.mesh", "kubernetes.ingress", "traffic.protocol",
)  # fmt: skip


def over(renderers: tuple[Renderer, ...]) -> Renderer:
    """The renderer of the kustomizations over what ``renderers`` render."""

    def render(service: Service) -> Iterable[Artifact]:
        paths = [artifact.path for renderer in renderers for artifact in renderer(service)]
        yield from _base(paths)
        yield _file(PLATFORM, _within(PLATFORM, paths), "What a cluster is given once.", ())
        yield from _chaos(paths)
        for region in service.regions:
            yield _overlay(region, paths)

    return render


def _file(folder: str, resources: Sequence[str], about: str, keys: tuple[str, ...]) -> Artifact:
    body: Object = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": list(resources),
    }
    return Artifact(f"{folder}/{_FILE}", body, about, keys, ("T111",))


def _base(paths: Sequence[str]) -> Iterator[Artifact]:
    found = {folder: _within(folder, paths) for folder in _CONCERNS}
    for folder, resources in found.items():
        if resources:
            yield _file(folder, resources, _CONCERNS[folder], _KEYS[folder])
    concerns = [folder.replace("resilience", "..") for folder, some in found.items() if some]
    yield _file(BASE, concerns, "What every region is given.", _BASE_KEYS)


def _chaos(paths: Sequence[str]) -> Iterator[Artifact]:
    if names := _within(CHAOS, paths):
        about = "The weekly experiments; who applies this wants them."
        yield _file(CHAOS, names, about, ("traffic.protocol",))


def _overlay(region: Region, paths: Sequence[str]) -> Artifact:
    own = _within(overlay(region), paths)
    about = f"What {region.name} is given: the base, and its own part of the data."
    return _file(f"{OVERLAYS}/{region.name}", ["../../base", *own], about, _KEYS[OVERLAYS])


def _within(folder: str, paths: Sequence[str]) -> list[str]:
    """Names of the YAML files of a folder, not of those below it."""
    parts = (path.rpartition("/") for path in sorted(paths))
    return [name for head, _, name in parts if head == folder and name.endswith(".yaml")]
