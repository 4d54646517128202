"""Kustomize builds every overlay, and each region gets its own numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from kube_objects import objects, rendered, the
from kustomizing import build

from holdfast.artifacts.names import pulled, replicas, zones


@pytest.fixture(scope="module")
def tree(service, tmp_path_factory) -> Path:
    """The rendered set of a service on disk."""
    root = tmp_path_factory.mktemp(service.service)
    for file in rendered(service):
        path = root / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.data)
    return root / "kubernetes"


def own(documents, service, *kinds):
    (found,) = [
        d for d in documents if d["kind"] in kinds and d["metadata"]["name"] == service.service
    ]
    return found


@pytest.mark.live
@pytest.mark.req("T36", "T111")
def test_every_region_builds_with_its_own_replicas_zones_and_label(service, tree):
    for region in service.regions:
        documents = build(tree / "overlays" / region.name)
        workload = own(documents, service, "Deployment", "StatefulSet")
        assert workload["spec"]["replicas"] == replicas(service, region)
        template = workload["spec"]["template"]
        assert template["metadata"]["labels"]["holdfast.dev/region"] == region.name
        (term,) = template["spec"]["affinity"]["nodeAffinity"][
            "requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]  # fmt: skip
        placed = {each["key"]: each["values"] for each in term["matchExpressions"]}
        assert placed["topology.kubernetes.io/region"] == [region.cloud]
        assert placed["topology.kubernetes.io/zone"] == zones(region)
        scaler = own(documents, service, "HorizontalPodAutoscaler", "ScaledObject")["spec"]
        least = scaler.get("minReplicas", scaler.get("minReplicaCount"))
        assert least == max(1, replicas(service, region))


@pytest.mark.live
@pytest.mark.req("T25", "T60")
def test_a_region_with_a_mirror_pulls_the_same_image_from_it_and_is_let_in(service, tree):
    allowed = str([o for o in objects(rendered(service), "ValidatingAdmissionPolicy")])
    signed = the(rendered(service), "ImageValidatingPolicy")["spec"]["matchImageReferences"]
    home, globs = service.image.repository, {each["glob"] for each in signed}
    for region in service.regions:
        near = pulled(service, region)
        built = yaml.safe_dump_all(build(tree / "overlays" / region.name))
        assert f"{near}{'@' if service.image.digest else ':'}" in built
        assert near == home or not home or f"{home}@" not in built
        assert f"{near.partition('/')[0]}/" in allowed and f"{near}@*" in globs


@pytest.mark.live
@pytest.mark.req("T36")
def test_nothing_rendered_is_left_out_of_the_build(service, tree):
    written = {
        (each["kind"], each["metadata"]["name"])
        for path in (tree / "base").glob("*.yaml")
        if path.name != "kustomization.yaml"
        for each in yaml.safe_load_all(path.read_text("utf-8"))
    }
    region = service.regions[0]
    built = {(d["kind"], d["metadata"]["name"]) for d in build(tree / "overlays" / region.name)}
    assert written <= built
    assert build(tree / "platform")
