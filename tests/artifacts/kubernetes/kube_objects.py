"""Finding an object in a rendered set, and services that differ from an example in one thing."""

from __future__ import annotations

from typing import Any

from holdfast.artifacts.bundle import Bundle, bundle
from holdfast.artifacts.kubernetes import catalog
from holdfast.spec.load import load_text
from holdfast.spec.model import Service

HOSTILE = "'\"\n`$(touch x)${{ secrets.X }}{{ .Values }}<<.Series>>\u202e\u00e9 " + "x" * 300


def rendered(service: Service) -> Bundle:
    """The files of this family alone."""
    return bundle(found for renderer in catalog.RENDERERS for found in renderer(service))


def spec(text: str) -> Service:
    """A service with these keys besides the needed ones."""
    run = "" if "run:" in text else "run: python shop.py\n"
    return load_text(f"service: shop\n{run}{text}")


def objects(source: Bundle | Service, kind: str) -> list[dict[str, Any]]:
    """Every object of a kind."""
    files = rendered(source) if isinstance(source, Service) else source
    return [o for file in files for o in file.artifact.objects() if o.get("kind") == kind]


def the(source: Bundle | Service, kind: str, name: str = "") -> dict[str, Any]:
    """The one object of a kind, or of a kind and a name."""
    named = [o for o in objects(source, kind) if not name or o["metadata"]["name"] == name]
    assert len(named) == 1, f"{len(named)} of {kind} {name}"
    return named[0]


def container(workload: dict[str, Any]) -> dict[str, Any]:
    """The only container of a workload's pods."""
    (only,) = workload["spec"]["template"]["spec"]["containers"]
    return only
