"""Finding an object of this family, and services that differ from an example in one thing."""

from __future__ import annotations

from typing import Any

from holdfast.artifacts.artifact import Artifact
from holdfast.artifacts.bundle import Bundle, bundle
from holdfast.artifacts.resilience import catalog
from holdfast.spec.load import load_text
from holdfast.spec.model import Service

HOSTILE = "'\"\n`$(touch x)${{ secrets.X }}{{ .Values }}\u202e\u00e9 " + "x" * 300


#: Services are no keys of a table; each is kept, so that its id is not given to another.
_RENDERED: dict[int, tuple[Service, Bundle]] = {}


def rendered(service: Service) -> Bundle:
    """The files of this family alone. A service is rendered once."""
    if id(service) not in _RENDERED:
        found = bundle(each for renderer in catalog.RENDERERS for each in renderer(service))
        _RENDERED[id(service)] = (service, found)
    return _RENDERED[id(service)][1]


def spec(text: str = "") -> Service:
    """A service with these keys besides the needed ones."""
    return load_text(f"service: shop\nrun: python shop.py\n{text}")


def file(service: Service, path: str) -> Artifact:
    """The artifact at a path below ``resilience/``."""
    return next(f.artifact for f in rendered(service) if f.path == f"resilience/{path}")


def text(service: Service, path: str) -> str:
    """The bytes at a path below ``resilience/`` as text."""
    return next(f.data.decode() for f in rendered(service) if f.path == f"resilience/{path}")


def objects(source: Bundle | Service, kind: str, below: str = "") -> list[dict[str, Any]]:
    """Every object of a kind, below a directory of the family where one is said."""
    files = rendered(source) if isinstance(source, Service) else source
    return [
        each
        for found in files
        if found.path.startswith(f"resilience/{below}")
        for each in found.artifact.objects()
        if each.get("kind") == kind
    ]


def the(source: Bundle | Service, kind: str, name: str = "", below: str = "") -> dict[str, Any]:
    """The one object of a kind, or of a kind and a name."""
    named = [
        each
        for each in objects(source, kind, below)
        if not name or each["metadata"]["name"] == name
    ]
    assert len(named) == 1, f"{len(named)} of {kind} {name}"
    return named[0]
