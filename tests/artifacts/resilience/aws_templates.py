"""The templates of a service, and what is in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from holdfast.artifacts.artifact import Artifact
from holdfast.artifacts.resilience.aws.catalog import RENDERERS
from holdfast.artifacts.resilience.aws.template import AWS
from holdfast.spec.model import Service

Object = dict[str, Any]


def artifacts(service: Service) -> list[Artifact]:
    """Every file of the cloud."""
    return [artifact for renderer in RENDERERS for artifact in renderer(service)]


def templates(service: Service) -> dict[str, Object]:
    """By path below the directory of templates: ``us-east/network.yaml``."""
    return {
        each.path.removeprefix(f"{AWS}/"): each.body
        for each in artifacts(service)
        if isinstance(each.body, dict)
    }


def template(service: Service, place: str, stack: str) -> Object:
    """The template of a stack in a region, or of a ``global`` one."""
    return templates(service)[f"{place}/{stack}.yaml"]


def resources(body: Object, kind: str) -> dict[str, Object]:
    """The properties of each resource of a kind, such as ``S3::Bucket``."""
    return {
        name: each.get("Properties", {})
        for name, each in body["Resources"].items()
        if each["Type"] == f"AWS::{kind}"
    }


def everywhere(service: Service, kind: str) -> list[tuple[str, str, Object]]:
    """Path, logical name and the whole resource, of every resource of a kind."""
    return [
        (path, name, each)
        for path, body in templates(service).items()
        for name, each in body["Resources"].items()
        if each["Type"] == f"AWS::{kind}"
    ]


def values(body: Any, key: str) -> Iterator[Any]:
    """Every value that stands under a key, at any depth."""
    if isinstance(body, dict):
        for name, inner in body.items():
            if name == key:
                yield inner
            yield from values(inner, key)
    elif isinstance(body, list):
        for inner in body:
            yield from values(inner, key)


def statements(body: Object) -> Iterator[Object]:
    """Every statement of every policy."""
    for found in values(body, "Statement"):
        yield from found
