"""One file of the production set: where it goes, what is in it, why it is there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from holdfast.spec.model import Service

Object = dict[str, Any]  # a JSON object, keys in the order they are written
Body = Object | Sequence[Object] | str


@dataclass(frozen=True, slots=True)
class Artifact:
    """``body``: an object, several objects (documents of one YAML file), or text as it is.

    ``keys`` are the spec keys (or prefixes of keys) whose change changes this artifact; a test
    holds them against what really happens. ``rows`` are the requirement rows it serves.
    """

    path: str  # relative, with slashes; its suffix says how the body is written
    body: Body
    about: str  # one sentence for whoever opens the file
    keys: tuple[str, ...]
    rows: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()  # the files of a person that changed it, in their order

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """With its dot; empty for names such as ``Dockerfile`` and ``.dockerignore``."""
        stem, dot, end = self.name.rpartition(".")
        return dot + end if stem else ""

    def objects(self) -> tuple[Object, ...]:
        """The documents of a YAML or JSON artifact; none of a text."""
        if isinstance(self.body, str):
            return ()
        return (self.body,) if isinstance(self.body, dict) else tuple(self.body)


Renderer = Callable[[Service], Iterable[Artifact]]
