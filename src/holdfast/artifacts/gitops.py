"""The set as a repository that GitHub and Argo CD read: everything where they look for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from holdfast.artifacts.artifact import Artifact
from holdfast.spec.model import Service

_WORKFLOWS = "delivery/github/"
_APPS = "apps"


def arranged(artifacts: Iterable[Artifact], service: Service) -> Iterator[Artifact]:
    """``.github`` at the top, and ``apps/<region>`` for each region that Argo CD syncs."""
    paths = set()
    for artifact in artifacts:
        path = artifact.path
        if path.startswith(_WORKFLOWS):
            path = ".github/" + path.removeprefix(_WORKFLOWS)
        paths.add(path)
        yield replace(artifact, path=path)
    for region in service.regions:
        folder = "delivery/flagger/overlays" if service.delivery.flagger else "kubernetes/overlays"
        if f"{folder}/{region.name}/kustomization.yaml" in paths:
            yield _app(region.name, folder)


def original(path: str) -> str:
    """Where the set itself has the file that a repository has at a path."""
    workflows = path.removeprefix(".github/")
    return path if workflows == path else _WORKFLOWS + workflows


def _app(region: str, folder: str) -> Artifact:
    return Artifact(
        path=f"{_APPS}/{region}/kustomization.yaml",
        body={
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": [f"../../{folder}/{region}"],
        },
        about=f"What Argo CD syncs to {region}.",
        keys=("regions", "delivery.flagger"),
        rows=("T62",),
    )
