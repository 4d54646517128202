"""Kustomizations: one base for all regions, one overlay for each region, one platform.

The base lists what the other renderers of this family put there, so a file is never forgotten.
An overlay says only what its region knows: how many, in which zones, under which label.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object, Renderer
from holdfast.artifacts.kubernetes import placement, scaling, workload
from holdfast.artifacts.kubernetes.objects import BASE, OVERLAYS, PLATFORM, named
from holdfast.spec.model import Service
from holdfast.spec.production.regions import Region

_FILE = "kustomization.yaml"
_EXPRESSIONS = (
    "/spec/template/spec/affinity/nodeAffinity/"
    f"{placement.REQUIRED}/nodeSelectorTerms/0/matchExpressions/-"
)
#: Which files there are.
_BASE_KEYS = ("kubernetes", "autoscaling.by", "autoscaling.metrics", "traffic.protocol",
              "resources.gpus")  # fmt: skip
_PLATFORM_KEYS = ("autoscaling.by", "autoscaling.metrics", "resources.gpus", "kubernetes.sriov",
                  "kubernetes.mesh")  # fmt: skip
_OVERLAY_KEYS = ("service", "kubernetes.workload", "replicas", "regions", "autoscaling",
                 "image.repository", "image.mirrors")  # fmt: skip


def over(renderers: tuple[Renderer, ...]) -> Renderer:
    """The renderer of the kustomizations over what ``renderers`` render."""

    def render(service: Service) -> Iterable[Artifact]:
        paths = [artifact.path for renderer in renderers for artifact in renderer(service)]
        yield _base(paths)
        yield _platform(paths)
        for region in service.regions:
            yield _overlay(service, region, paths)

    return render


def _base(paths: list[str]) -> Artifact:
    return Artifact(
        f"{BASE}/{_FILE}",
        _kustomization(list(_within(BASE, paths))),
        "Everything of the service that is the same in each region.",
        _BASE_KEYS,
        ("T36",),
    )


def _platform(paths: list[str]) -> Artifact:
    return Artifact(
        f"{PLATFORM}/{_FILE}",
        _kustomization(list(_within(PLATFORM, paths))),
        "What a cluster needs once; applied before the base.",
        _PLATFORM_KEYS,
    )


def _overlay(service: Service, region: Region, paths: list[str]) -> Artifact:
    folder = f"{OVERLAYS}/{region.name}"
    own = _within(folder, paths)
    return Artifact(
        f"{folder}/{_FILE}",
        _kustomization(["../../base", *own]) | _regional(service, region),
        f"The service in {region.name}: its replicas, its zones, its label.",
        _OVERLAY_KEYS,
        ("T25", "T36", "T111"),
    )


def _within(folder: str, paths: list[str]) -> Iterator[str]:
    """Names of the files of a folder, not of those below it."""
    for path in sorted(paths):
        head, _, name = path.rpartition("/")
        if head == folder:
            yield name


def _kustomization(resources: list[str]) -> Object:
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": resources,
    }


def _regional(service: Service, region: Region) -> Object:
    found: Object = {
        "labels": [_label(region)],
        **_near(service, region),
        "patches": list(_patches(service, region)),
    }
    if scaling.scalable(service):
        count = names.replicas(service, region)
        found["replicas"] = [{"name": named(service), "count": count}]
    return found


def _near(service: Service, region: Region) -> Object:
    """The same image, by its digest, from the registry of the region."""
    home, near = names.repository(service), names.pulled(service, region)
    return {} if near == home else {"images": [{"name": home, "newName": near}]}


def _label(region: Region) -> Object:
    return {"pairs": {names.REGION_LABEL: region.name}, "includeTemplates": True}


def _patches(service: Service, region: Region) -> Iterator[Object]:
    yield _patch(workload.kind(service), named(service), _placed(region))
    if not scaling.scalable(service):
        return
    least, most = scaling.floor(service, region), scaling.ceiling(service, region)
    if scaling.by_keda(service):
        bounds = {"minReplicaCount": least, "maxReplicaCount": most, "fallback/replicas": least}
        yield _patch("ScaledObject", named(service), _bounds(bounds))
    else:
        bounds = {"minReplicas": least, "maxReplicas": most}
        yield _patch("HorizontalPodAutoscaler", named(service), _bounds(bounds))


def _patch(kind: str, name: str, changes: list[Object]) -> Object:
    """A JSON patch (RFC 6902), which is one document of its own in a text."""
    return {"target": {"kind": kind, "name": name}, "patch": json.dumps(changes, indent=1)}


def _placed(region: Region) -> list[Object]:
    """Nothing is scheduled in a cluster of another region, whoever applies this there."""
    wanted = {placement.REGION: [region.cloud], placement.ZONE: names.zones(region)}
    return [
        {"op": "add", "path": _EXPRESSIONS, "value": {"key": k, "operator": "In", "values": v}}
        for k, v in wanted.items()
    ]


def _bounds(bounds: dict[str, int]) -> list[Object]:
    return [{"op": "replace", "path": f"/spec/{k}", "value": v} for k, v in bounds.items()]
