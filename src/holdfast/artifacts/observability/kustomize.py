"""Which of the family's files a cluster is given: the service's, and what its services share.

The shared part differs by region, so it is a base with an overlay for each; both lie beside each
other, for kustomize refuses a base that contains its overlay.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from holdfast.artifacts.artifact import Artifact, Object, Renderer
from holdfast.artifacts.observability import objects
from holdfast.spec.model import Service

_SPACE = f"{objects.PLATFORM}/namespace.yaml"


def over(renderers: tuple[Renderer, ...]) -> Renderer:
    """The renderer of the kustomizations over what ``renderers`` render."""

    def render(service: Service) -> Iterable[Artifact]:
        paths = [_SPACE]
        paths += [artifact.path for renderer in renderers for artifact in renderer(service)]
        yield Artifact(_SPACE, _space(), "Where what watches lives.", (), ("T86",))
        yield _file(objects.BASE, _within(objects.BASE, paths), "What watches the service.",
                    ("resilience.cache",))  # fmt: skip
        yield _file(objects.PLATFORM, _within(objects.PLATFORM, paths),
                    "What watches every service of a cluster; applied once.")  # fmt: skip
        yield from _overlays(service, paths)

    return render


def _overlays(service: Service, paths: Sequence[str]) -> Iterator[Artifact]:
    for region in service.regions:
        folder = f"{objects.OVERLAYS}/{region.name}"
        own = _within(folder, paths)
        about = f"What watches in {region.name}."
        yield _file(folder, ["../../base", *own], about, ("regions",))


def _space() -> Object:
    space = objects.thing("v1", "Namespace", objects.MONITORING, "")
    space["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = "restricted"
    return space


def _within(folder: str, paths: Sequence[str]) -> list[str]:
    """Names of the YAML files of a folder."""
    return [path.rpartition("/")[2] for path in sorted(paths)
            if path.rpartition("/")[0] == folder]  # fmt: skip


def _file(
    folder: str, resources: Sequence[str], about: str, keys: tuple[str, ...] = ()
) -> Artifact:
    body = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": list(resources),
    }
    return Artifact(f"{folder}/kustomization.yaml", body, about, keys, ("T86",))
