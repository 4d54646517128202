"""Every renderer of every family, and the one function that asks them all."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from holdfast.artifacts.artifact import Artifact, Renderer
from holdfast.artifacts.bundle import Bundle, bundle
from holdfast.artifacts.containers import catalog as containers
from holdfast.artifacts.delivery import catalog as delivery
from holdfast.artifacts.kubernetes import catalog as kubernetes
from holdfast.artifacts.observability import catalog as observability
from holdfast.artifacts.resilience import catalog as resilience
from holdfast.spec.model import Service

FAMILIES: dict[str, tuple[Renderer, ...]] = {
    "containers": containers.RENDERERS,
    "kubernetes": kubernetes.RENDERERS,
    "delivery": delivery.RENDERERS,
    "observability": observability.RENDERERS,
    "resilience": resilience.RENDERERS,
}

#: Where a repository for Argo CD and GitHub has files of a family outside its directory.
_ELSEWHERE = {".github": "delivery", "apps": "delivery"}


def family_of(path: str) -> str:
    """The family whose directory a path is in."""
    top = path.partition("/")[0]
    return _ELSEWHERE.get(top, top)


def artifacts(service: Service, only: Collection[str] = ()) -> Iterator[Artifact]:
    """The artifacts of the families named in ``only``, or of all."""
    for family, renderers in FAMILIES.items():
        if not only or family in only:
            for renderer in renderers:
                yield from renderer(service)


def render(service: Service, only: Collection[str] = ()) -> Bundle:
    """The production set of a service: the same service gives the same bytes."""
    return bundle(artifacts(service, only))


def maker_of(path: str, service: Service) -> Renderer | None:
    """The renderer that writes the artifact at a path of the set, if one does."""
    for renderer in FAMILIES.get(family_of(path), ()):
        if any(artifact.path == path for artifact in renderer(service)):
            return renderer
    return None
