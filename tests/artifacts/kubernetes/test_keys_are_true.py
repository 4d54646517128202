"""What an artifact says shaped it is what shapes it: no other key changes it, each of these can."""

from __future__ import annotations

import typing
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from kube_objects import rendered, spec
from pydantic import BaseModel

from holdfast.spec import fields
from holdfast.spec.load import load

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "10-production"
#: Services in which keys matter that change nothing in the four examples.
MORE = (
    "kubernetes: {workload: daemon}\nrollout: {max_unavailable: 2}",
    "kubernetes: {ingress: nginx}\ntraffic: {balance: ring-hash}",
    "kubernetes: {workload: stateful}\nrun: {command: a, affinity: spread}",
    "kubernetes: {jobs: [{name: migrate, command: [b]}, {name: close-day, command: [b]}]}\n"
    "run: {command: node a}",
    "kubernetes: {callers: [a], calls: [{to: 203.0.113.0/24}], sriov: {functions: 2, vlan: 3}}",
)


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
        elif origin is dict:
            yield {**(value or {}), **({"/x": 4096} if name == "tmpfs" else {"X": "env:A"})}
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


@cache
def observed() -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """For each artifact: the keys it declares, and the keys that changed it."""
    declared, real = defaultdict(set), defaultdict(set)
    for service in (*map(load, sorted(EXAMPLES.glob("*.yaml"))), *map(spec, MORE)):
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


def test_no_key_changes_an_artifact_that_does_not_name_it():
    declared, real = observed()
    silent = {
        f"{path}: {key}"
        for path, keys in real.items()
        for key in keys
        if not any(covers(prefix, key) for prefix in declared[path])
    }
    assert not silent


def test_every_key_that_an_artifact_names_can_change_it():
    declared, real = observed()
    idle = {
        f"{path}: {prefix}"
        for path, prefixes in declared.items()
        for prefix in prefixes
        if not any(covers(prefix, key) for key in real[path])
    }
    assert not idle
