"""Kustomizations over what the other renderers of this family put there.

What all regions share is one base; what only a region is given is beside it. Experiments are a
kustomization of their own: to apply one is to start it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from holdfast.artifacts.artifact import Artifact, Object, Renderer
from holdfast.artifacts.resilience.objects import CHAOS, OVERLAYS, overlay
from holdfast.spec.model import Service
from holdfast.spec.production.regions import Region

_FILE = "kustomization.yaml"
#: Directories whose YAML files are applied in every region.
_APPLIED = ("resilience", "resilience/data", "resilience/backup", "resilience/security",
            "resilience/edge")  # fmt: skip
_KEYS = ("resilience", "run.secrets", "kubernetes.mesh", "kubernetes.ingress", "traffic.protocol")


def over(renderers: tuple[Renderer, ...]) -> Renderer:
    """The renderer of the kustomizations over what ``renderers`` render."""

    def render(service: Service) -> Iterable[Artifact]:
        paths = [artifact.path for renderer in renderers for artifact in renderer(service)]
        yield _file("resilience", list(_applied(paths)), "What every region is given.", _KEYS)
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


def _applied(paths: Sequence[str]) -> Iterator[str]:
    for folder in _APPLIED:
        for name in _within(folder, paths):
            yield f"{folder}/{name}".removeprefix("resilience/")


def _chaos(paths: Sequence[str]) -> Iterator[Artifact]:
    if names := list(_within(CHAOS, paths)):
        about = "Every experiment; to apply one is to start it, so nothing else names them."
        yield _file(CHAOS, names, about, ("resilience", "promises", "service"))


def _overlay(region: Region, paths: Sequence[str]) -> Artifact:
    own = list(_within(overlay(region), paths))
    about = f"What {region.name} is given: the base, and its own part of the data."
    return _file(f"{OVERLAYS}/{region.name}", ["../..", *own], about, (*_KEYS, "regions"))


def _within(folder: str, paths: Sequence[str]) -> Iterator[str]:
    """Names of the YAML files of a folder, not of those below it."""
    for path in sorted(paths):
        head, _, name = path.rpartition("/")
        if head == folder and name.endswith(".yaml"):
            yield name
