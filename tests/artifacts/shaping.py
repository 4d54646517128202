"""Which keys shape an artifact: every key of a service is changed, and what changes is seen."""

from __future__ import annotations

import typing
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pydantic import BaseModel

from holdfast.artifacts.bundle import Bundle
from holdfast.spec import fields
from holdfast.spec.model import Service

Shapes = tuple[dict[str, set[str]], dict[str, set[str]]]


def other_values(hint: Any, value: Any, name: str) -> Iterator[Any]:
    """Other values of one key; not always sensible, but of its type."""
    for option in fields.options(hint):
        base = getattr(option, "__origin__", option) if hasattr(option, "__metadata__") else option
        origin = typing.get_origin(base)
        if origin is typing.Literal:
            yield from (each for each in typing.get_args(base) if each != value)
        elif base is bool:
            yield not value
        elif base in (int, float):
            yield base((value or 1) * 2 + 7)
        elif base is str:
            yield f"{value or 'a'}x"
            yield from ["go run ."] if name == "command" else []  # tells another language
            yield from [f"{value}/deeper"] if name == "path" else []
            yield from ["registry.example.org/new/name"] if name == "repository" else []
        elif origin is dict:
            more = {"tmpfs": {"/x": 4096}, "mirrors": {"eu-west": "x.example.com"}}
            yield {**(value or {}), **more.get(name, {"X": "env:A"})}
        elif origin is tuple and value:
            yield value[:-1]


def changed(section: BaseModel, prefix: str = "") -> Iterator[tuple[str, BaseModel]]:
    """The section again and again, each time with one key changed."""
    for name, info in type(section).model_fields.items():
        value, path = getattr(section, name), f"{prefix}{name}"
        if isinstance(value, BaseModel):
            for found, inner in changed(value, f"{path}."):
                yield found, section.model_copy(update={name: inner})
            continue
        for other in other_values(fields.hint_of(info), value, name):
            yield path, section.model_copy(update={name: other})
        if isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
            for found, inner in changed(value[0], f"{path}."):
                yield found, section.model_copy(update={name: (inner, *value[1:])})


def observed(services: Iterable[Service], rendered: Callable[[Service], Bundle]) -> Shapes:
    """For each artifact: the keys it declares, and the keys that changed it."""
    declared: dict[str, set[str]] = defaultdict(set)
    real: dict[str, set[str]] = defaultdict(set)
    for service in services:
        before = {file.path: file for file in rendered(service)}
        for file in before.values():
            declared[file.path].update(file.artifact.keys)
        for key, other in changed(service):
            after = {file.path: file.data for file in rendered(other)}
            real_of = (p for p, file in before.items() if after.get(p) != file.data)
            for path in real_of:
                real[path].add(key)
    return declared, real


def covers(prefix: str, key: str) -> bool:
    return key == prefix or key.startswith(f"{prefix}.")


def silent(shapes: Shapes) -> set[str]:
    """Keys that change an artifact which does not name them."""
    declared, real = shapes
    return {
        f"{path}: {key}"
        for path, keys in real.items()
        for key in keys
        if not any(covers(prefix, key) for prefix in declared[path])
    }


def idle(shapes: Shapes) -> set[str]:
    """Keys that an artifact names and that never change it."""
    declared, real = shapes
    return {
        f"{path}: {prefix}"
        for path, prefixes in declared.items()
        for prefix in prefixes
        if not any(covers(prefix, key) for key in real[path])
    }
