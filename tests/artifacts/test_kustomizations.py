"""Every kustomization of every family builds, from the set alone and without a plugin."""

from __future__ import annotations

from pathlib import Path

import pytest
from kustomizing import build

from holdfast.artifacts.catalog import render
from holdfast.spec.load import load_text

BASE = "service: shop\nrun: python shop.py\n"


def write(files, root: Path) -> list[Path]:
    """The set on disk; directories of the kustomizations that fetch nothing."""
    folders = []
    for file in files:
        path = root / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.data)
        if path.name == "kustomization.yaml" and b"://" not in file.data.partition(b"kind:")[2]:
            folders.append(path.parent)
    return folders


def identity(found: dict) -> tuple[str, ...]:
    metadata = found["metadata"]
    group = found["apiVersion"].rpartition("/")[0]
    return group, found["kind"], metadata.get("namespace", ""), metadata["name"]


@pytest.mark.live
@pytest.mark.req("T62", "T86", "T111")
def test_every_kustomization_of_every_family_builds(rendered, tmp_path):
    folders = write(rendered, tmp_path)
    families = {folder.relative_to(tmp_path).parts[0] for folder in folders}
    assert {"kubernetes", "observability", "resilience"} <= families
    for folder in folders:
        assert build(folder), folder


@pytest.mark.live
@pytest.mark.req("T131")
def test_a_kustomization_of_cockroach_needs_no_helm(tmp_path):
    files = render(load_text(BASE + "resilience: {database: cockroach}\n"))
    for folder in write(files, tmp_path):
        assert build(folder), folder


@pytest.mark.live
@pytest.mark.req("T62", "T63")
def test_two_services_in_one_cluster_share_the_platform_and_nothing_else(tmp_path):
    def applied(service: str, *parts: str) -> dict[tuple[str, ...], dict]:
        root = tmp_path / service
        write(render(load_text(f"service: {service}\nrun: ./a\n")), root)
        return {identity(each): each for part in parts for each in build(root / part)}

    own = ("kubernetes/overlays/us-east", "observability/base", "resilience/overlays/us-east")
    both = applied("shop", *own).keys() & applied("bank", *own).keys()
    assert not both
