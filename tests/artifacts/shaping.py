"""Which keys shape which artifact: every value is turned, and what changes is seen.

A renderer is pure, so a key that it did not read cannot change what it writes: each renderer is
asked again only for the variants of keys that it read, which is a seventh of the work.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cache

from holdfast.artifacts.artifact import Artifact, Renderer
from holdfast.spec.fields import catalogue, generic
from holdfast.spec.model import Service
from holdfast.spec.section import Section
from holdfast.spec.variants import Variant, covers

Read = tuple[str, str]  # name of a section, name of its key
Seen = dict[str, Artifact]


class Shapes:
    """What artifacts declare and what happens to them, of any number of services."""

    def __init__(self) -> None:
        self.made: list[Artifact] = []
        self.real: dict[str, set[str]] = defaultdict(set)
        self.silent: set[tuple[str, str]] = set()

    def look(self, service: Service, renderer: Renderer, variants: Collection[Variant]) -> None:
        """Turn those values that the renderer reads."""
        before, read = watched(service, renderer)
        self.made += before.values()
        for variant in variants:
            if not read.isdisjoint(reads(generic(variant.path))):
                self._compare(variant.key, before, seen(variant.service, renderer))

    def _compare(self, key: str, before: Seen, after: Seen) -> None:
        for path in before.keys() | after.keys():
            old, new = before.get(path), after.get(path)
            if old and new and (old.body, old.about) == (new.body, new.about):
                continue
            self.real[path].add(key)
            named = (old or new).keys  # type: ignore[union-attr]
            if not any(covers(each, key) for each in named):
                self.silent.add((path, key))

    def idle(self, artifact: Artifact) -> set[str]:
        """Keys that an artifact declares and that have not changed it."""
        real = self.real[artifact.path]
        return {each for each in artifact.keys if not any(covers(each, key) for key in real)}

    def all_idle(self) -> set[tuple[str, str]]:
        return {(a.path, key) for a in self.made for key in self.idle(a)}


def seen(service: Service, renderer: Renderer) -> Seen:
    return {artifact.path: artifact for artifact in renderer(service)}


def watched(service: Service, renderer: Renderer) -> tuple[Seen, set[Read]]:
    """What a renderer makes, and every key that it read for it."""
    with reading() as read:
        return seen(service, renderer), read


@contextmanager
def reading() -> Iterator[set[Read]]:
    """Collects each key that anybody reads of any section."""
    read: set[Read] = set()
    fields = {section.__name__: frozenset(section.model_fields) for section in sections()}
    plain = Section.__getattribute__

    def noting(section: Section, name: str) -> object:
        kind = type(section).__name__
        if name == "__dict__":  # compared, copied or dumped as a whole
            read.update((kind, field) for field in fields[kind])
        elif name in fields[kind]:
            read.add((kind, name))
        return plain(section, name)

    Section.__getattribute__ = noting  # type: ignore[method-assign]
    try:
        yield read
    finally:
        del Section.__getattribute__


@cache
def sections() -> frozenset[type[Section]]:
    found: list[type[Section]] = [Section]
    for section in found:
        found += section.__subclasses__()
    return frozenset(found)


@cache
def reads(path: tuple[str, ...]) -> frozenset[Read]:
    """What must be read to see the value at a generic path: its key, in the section it is of."""
    return frozenset({owners()[path[: longest_key(path)]]})


def longest_key(path: tuple[str, ...]) -> int:
    return max(n for n in range(len(path) + 1) if path[:n] in owners())


@cache
def owners() -> dict[tuple[str, ...], Read]:
    """Path of each key -> its section and its name there."""
    found: dict[tuple[str, ...], Read] = {}
    parents = {(): Service, **{p: key.section for p, key in catalogue().items() if key.section}}
    for path in catalogue():
        above, name = path[:-1], path[-1]
        if name not in ("[]", "*") and above in parents:
            found[path] = (parents[above].__name__, name)
    return found
