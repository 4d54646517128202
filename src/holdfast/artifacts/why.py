"""Which value of the spec shapes which artifact, and which of its lines.

Every value is turned a little and the artifacts rendered again. Nothing is declared here: what is
said about a line is what really happens to it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Protocol

from holdfast.artifacts.artifact import Artifact
from holdfast.artifacts.format import written
from holdfast.spec.fields import Path
from holdfast.spec.model import Service

Render = Callable[[Service], Iterable[Artifact]]


class Variant(Protocol):
    """The service with one value turned, such as ``spec.variants`` makes them from examples."""

    @property
    def path(self) -> Path: ...

    @property
    def key(self) -> str: ...

    @property
    def service(self) -> Service: ...


@dataclass(frozen=True, slots=True)
class Shaped:
    """The lines of one artifact and what shapes each of them, in the order of the spec."""

    lines: tuple[str, ...]
    shapers: dict[Path, frozenset[int]]  # value of the spec -> line numbers, from 1
    presence: frozenset[Path]  # values without which there would be no such artifact

    def of_line(self, number: int) -> tuple[Path, ...]:
        return tuple(path for path, numbers in self.shapers.items() if number in numbers)


def shapers(
    service: Service, render: Render, variants: Iterable[Variant]
) -> dict[str, frozenset[str]]:
    """Path of each artifact -> every key, of those turned, that changes it or removes it."""
    before = {artifact.path: artifact.body for artifact in render(service)}
    found: dict[str, set[str]] = {path: set() for path in before}
    for variant in variants:
        after = {artifact.path: artifact.body for artifact in render(variant.service)}
        for path in before.keys() | after.keys():
            if before.get(path) != after.get(path):
                found.setdefault(path, set()).add(variant.key)
    return {path: frozenset(keys) for path, keys in found.items()}


def shaped(service: Service, render: Render, path: str, variants: Iterable[Variant]) -> Shaped:
    """What the lines of the artifact at a path come from. Raises ``KeyError``: there is none."""
    artifact = _named(render(service), path)
    if artifact is None:
        raise KeyError(path)
    lines = _lines(artifact)
    found: dict[Path, set[int]] = defaultdict(set)
    presence = set()
    for variant in variants:
        other = _named(render(variant.service), path)
        if other is None:
            presence.add(variant.path)
        elif other.body != artifact.body:
            found[variant.path] |= _differing(lines, _lines(other))
    numbers = {each: frozenset(said) for each, said in found.items()}
    return Shaped(lines, numbers, frozenset(presence))


def _named(artifacts: Iterable[Artifact], path: str) -> Artifact | None:
    return next((each for each in artifacts if each.path == path), None)


def _lines(artifact: Artifact) -> tuple[str, ...]:
    return tuple(written(artifact).decode().splitlines())


def changed_lines(artifact: Artifact, before: Iterable[Artifact]) -> frozenset[int]:
    """Numbers of the lines that the artifact of the same path before has not."""
    other = _named(before, artifact.path)
    return frozenset(_differing(_lines(artifact), _lines(other) if other else ()))


def _differing(lines: tuple[str, ...], others: tuple[str, ...]) -> set[int]:
    """Numbers of the lines that are not the same in the others, or that something came before."""
    start = 0
    while start < min(len(lines), len(others)) and lines[start] == others[start]:
        start += 1
    end = 0
    most = min(len(lines), len(others)) - start
    while end < most and lines[-1 - end] == others[-1 - end]:
        end += 1
    here, there = lines[start : len(lines) - end], others[start : len(others) - end]
    found: set[int] = set()
    for kind, first, last, _, _ in SequenceMatcher(None, here, there, False).get_opcodes():
        if kind in ("replace", "delete"):
            found |= set(range(start + first + 1, start + last + 1))
        elif kind == "insert":  # what was added belongs to the line above it
            found.add(max(start + first, 1))
    return found
