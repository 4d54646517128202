"""Finding a file of the container family, and services that differ in one thing."""

from __future__ import annotations

from typing import Any

from holdfast.artifacts.bundle import Bundle, bundle
from holdfast.artifacts.containers import catalog
from holdfast.spec.load import load_text
from holdfast.spec.model import Service

LANGUAGES = ("rust", "python", "node", "go", "generic")
PROGRAMS = {"rust": "/app/shop", "python": "python shop.py", "node": "node shop.js"}


def rendered(service: Service) -> Bundle:
    """The files of this family alone."""
    return bundle(found for renderer in catalog.RENDERERS for found in renderer(service))


def of_language(language: str, more: str = "") -> Service:
    run = PROGRAMS.get(language, "./shop --port $PORT")
    return load_text(f"service: shop\nrun: {run}\nimage: {{language: {language}{more}}}\n")


def body(source: Bundle | Service, name: str) -> Any:
    """The body of the one file whose path ends so."""
    files = rendered(source) if isinstance(source, Service) else source
    (found,) = [file.artifact.body for file in files if file.path.endswith(name)]
    return found


def instructions(dockerfile: str) -> list[str]:
    """Instructions, each on one line, without comments."""
    kept = [line for line in dockerfile.splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(kept).replace("\\\n", " ")
    return [" ".join(line.split()) for line in joined.splitlines() if line.strip()]


def stage(dockerfile: str, name: str) -> list[str]:
    """The instructions of one stage."""
    found: list[str] = []
    inside = False
    for line in instructions(dockerfile):
        if line.startswith("FROM "):
            inside = line.endswith(f" AS {name}")
        if inside:
            found.append(line)
    assert found, f"no stage {name}"
    return found
