"""Bills of materials: the packages that are there, in formats their upstreams accept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_image_contents import layer, written

from holdfast.supply.images.inventory import packages
from holdfast.supply.images.sbom import cyclonedx, spdx

SHARED = Path(__file__).resolve().parents[3] / "shared" / "schemas" / "other"
DIGEST = "sha256:" + "a" * 64
DEBIAN = "Package: libc6\nVersion: 2.41-12\nDescription: x\n y\n\nPackage: tzdata\nVersion: 2025b\n"


def found_in(tmp_path: Path, *layers: bytes):
    layout = written(tmp_path, list(layers))
    (image,) = layout.images()
    return packages(layout, image)


def full(tmp_path: Path):
    return found_in(
        tmp_path,
        layer(
            **{
                "var__lib__dpkg__status.d__base": DEBIAN,
                "var__lib__dpkg__status.d__base.md5sums": "Package: no\nVersion: 1\n",
                "app__.venv__lib__Typing_Extensions-4.dist-info__METADATA": (
                    "Metadata-Version: 2.1\nName: Typing_Extensions\nVersion: 4.0\n\nVersion: 9\n"
                ),
                "app__node_modules__@a__b__package.json": '{"name": "@a/b", "version": "1.0.0"}',
                "app__node_modules__broken__package.json": "{",
            }
        ),
    )


@pytest.mark.req("T10")
def test_packages_of_three_managers_are_found_with_their_addresses(tmp_path):
    assert [each.url for each in full(tmp_path)] == [
        "pkg:deb/debian/libc6@2.41-12",
        "pkg:deb/debian/tzdata@2025b",
        "pkg:npm/%40a/b@1.0.0",
        "pkg:pypi/typing-extensions@4.0",
    ]


@pytest.mark.req("T10")
def test_what_a_later_layer_removes_is_not_listed(tmp_path):
    gone = layer(**{"var__lib__dpkg__status.d__wh_base": ""})
    assert found_in(tmp_path, layer(**{"var__lib__dpkg__status.d__base": DEBIAN}), gone) == []


@pytest.mark.req("T10")
def test_upstream_accepts_both_formats(tmp_path):
    jsonschema_rs = pytest.importorskip("jsonschema_rs")
    if not SHARED.is_dir():
        pytest.skip("the schemas of upstream are not beside this repository (../shared/schemas)")
    for found in (full(tmp_path), []):
        bom = cyclonedx("shop", "v1", DIGEST, found)
        schema = json.loads((SHARED / "cyclonedx" / "bom-1.6.schema.json").read_text())
        parts = {
            f"http://cyclonedx.org/schema/{name}": json.loads(
                (SHARED / "cyclonedx" / name).read_text()
            )
            for name in ("spdx.schema.json", "jsf-0.82.schema.json")
        }
        registry = jsonschema_rs.Registry(list(parts.items()))
        checker = jsonschema_rs.validator_for(schema, registry=registry)
        assert not list(checker.iter_errors(bom))
        document = spdx("shop", "v1", DIGEST, "2026-11-25T09:00:00Z", found)
        schema = json.loads((SHARED / "spdx-2.3.json").read_text())
        assert not list(jsonschema_rs.validator_for(schema).iter_errors(document))


def test_the_same_image_gives_the_same_bytes(tmp_path):
    found = full(tmp_path)
    assert cyclonedx("a", "1", DIGEST, found) == cyclonedx("a", "1", DIGEST, found)
    other = "sha256:" + "b" * 64
    first, second = (cyclonedx("a", "1", each, found) for each in (DIGEST, other))
    assert first["serialNumber"] != second["serialNumber"]
