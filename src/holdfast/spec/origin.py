"""Every value of a service with where it comes from: a line of the file, a default, or derived."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from holdfast.spec import fields, written
from holdfast.spec.fields import Path, dotted, generic
from holdfast.spec.load import Loaded
from holdfast.spec.model import Service
from holdfast.spec.section import Section
from holdfast.spec.tree import Node

DEFAULT, DERIVED = "default", "derived"


@dataclass(frozen=True)
class Setting:
    """One value. ``origin`` is ``file:line``, ``default``, or ``derived from ...``."""

    path: Path
    value: Any  # as it would be written in the file
    origin: str
    line: int | None = None

    @property
    def name(self) -> str:
        return dotted(self.path)


def settings(loaded: Loaded, derived: dict[str, tuple[Any, str]] | None = None) -> list[Setting]:
    """Every value in the order of the model.

    ``derived``: key -> (value, from what), for keys that were left out and have no fixed default.
    """
    derived = derived or {}
    return [_setting(loaded, path, value, derived) for path, value in _leaves((), loaded.service)]


def setting(loaded: Loaded, path: Path) -> Setting:
    """One value, or a whole list or table, by its path in the service."""
    value: Any = loaded.service
    for part in path:
        value = (
            value[part]
            if isinstance(part, int) or isinstance(value, dict)
            else getattr(value, part)
        )
    return _setting(loaded, path, value, {})


def _setting(
    loaded: Loaded,
    path: Path,
    value: Any,  # noqa: ANN401  # any value of the model
    derived: dict[str, tuple[Any, str]],
) -> Setting:
    key = fields.find(generic(path))
    shown = written.plain(key.hint_type, value) if key else value
    node = written_at(loaded.root, path)
    if node is not None:
        return Setting(path, shown, f"{loaded.name}:{node.place.line}", node.place.line)
    if dotted(path) in derived:
        shown, source = derived[dotted(path)]
        return Setting(path, shown, f"{DERIVED} from {source}")
    return Setting(path, shown, DEFAULT)


def _leaves(path: Path, value: Any) -> Iterator[tuple[Path, Any]]:  # noqa: ANN401
    if isinstance(value, Section):
        for name in type(value).model_fields:
            yield from _leaves((*path, name), getattr(value, name))
    elif isinstance(value, dict) and value:
        for name, each in value.items():
            yield (*path, name), each
    elif isinstance(value, tuple) and value and isinstance(value[0], Section):
        for index, each in enumerate(value):
            yield from _leaves((*path, index), each)
    else:
        yield path, value


def written_at(root: Node, path: Path) -> Node | None:
    """The node that says this value, following short forms; None when the file leaves it out."""
    node = root
    for depth, part in enumerate(path):
        below = node.step(part)
        if below is None and not _is_short(path[:depth], part, node):
            return None
        node = below or node
    return node


def _is_short(prefix: Path, part: str | int, node: Node) -> bool:
    if node.kind == "map" or (node.kind == "scalar" and node.value is None):
        return False
    key = fields.find(generic(prefix))
    section = key.section if key else Service
    return section is not None and section.short_form() == part
