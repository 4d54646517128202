"""Finding what this family renders, and services that differ from an example in one thing."""

from __future__ import annotations

from typing import Any

from holdfast.artifacts.artifact import Artifact
from holdfast.artifacts.bundle import Bundle, bundle
from holdfast.artifacts.delivery import catalog
from holdfast.spec.load import load_text
from holdfast.spec.model import Service


def rendered(service: Service) -> Bundle:
    """The files of this family alone."""
    return bundle(found for renderer in catalog.RENDERERS for found in renderer(service))


def spec(text: str = "") -> Service:
    """A service with these keys besides the needed ones."""
    return load_text(f"service: shop\nrun: python shop.py\n{text}")


def artifact(service: Service, path: str) -> Artifact:
    """The artifact at a path below ``delivery``."""
    (found,) = [f.artifact for f in rendered(service) if f.path == f"delivery/{path}"]
    return found


def the(service: Service, kind: str, name: str = "") -> dict[str, Any]:
    """The one object of a kind, or of a kind and a name."""
    found = [
        each
        for file in rendered(service)
        for each in file.artifact.objects()
        if each.get("kind") == kind and name in ("", each["metadata"]["name"])
    ]
    assert len(found) == 1, f"{len(found)} of {kind} {name}"
    return found[0]
