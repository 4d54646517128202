"""YAML text to a tree of nodes that know their place, with a bound on everything.

The tree is built from parser events, so depth, size and alias expansion are checked before
anything grows. What a spec does not need (tags, merge keys, several documents) is refused with a
problem instead of being guessed at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from holdfast.spec.problem import LINE_BREAK, Invalid, Problem, one_line
from holdfast.spec.scalar import Scalar, typed

BYTES_MAX = 2**20
DEPTH_MAX = 32
NODES_MAX = 20_000
PROBLEMS_MAX = 100

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STR_TAG = "tag:yaml.org,2002:str"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node is written, counted from 1."""

    line: int
    column: int
    width: int = 1


@dataclass(slots=True)
class Node:
    """A word, a list (``items``) or a section (``entries``: key -> place of the key, value)."""

    place: Place
    kind: str = "scalar"
    value: Scalar = None
    text: str = ""
    items: list[Node] = field(default_factory=list)
    entries: dict[str, tuple[Place, Node]] = field(default_factory=dict)
    size: int = 1  # nodes in it, aliases expanded
    depth: int = 1  # levels in it, aliases expanded

    def plain(self) -> Any:  # noqa: ANN401  # plain JSON-like data
        """Dictionaries, lists and scalars."""
        if self.kind == "map":
            return {key: node.plain() for key, (_place, node) in self.entries.items()}
        if self.kind == "list":
            return [node.plain() for node in self.items]
        return self.value

    def step(self, part: str | int) -> Node | None:
        """The node under a key or an index, if there is one."""
        if self.kind == "map" and isinstance(part, str) and part in self.entries:
            return self.entries[part][1]
        if self.kind == "list" and isinstance(part, int) and part < len(self.items):
            return self.items[part]
        return None

    def show(self) -> str:
        """How it looks to whoever wrote it, on one line."""
        if self.kind == "map":
            return "a section" if self.entries else "an empty section"
        if self.kind == "list":
            return f"a list of {len(self.items)}" if self.items else "an empty list"
        if self.value is None:
            return "nothing"
        return repr(one_line(self.text)) if isinstance(self.value, str) else one_line(self.text)


class _Stop(Exception):
    """No point in reading on: the problem was noted."""


def parse(text: str, name: str) -> Node:
    """The one document in ``text``. Raises ``Invalid`` with every problem that can be seen."""
    builder = _Builder(name, text)
    try:
        root = builder.document()
    except _Stop:
        root = None
    except yaml.YAMLError as error:
        builder.syntax(error)
        root = None
    if builder.problems or root is None:
        raise Invalid(builder.problems[:PROBLEMS_MAX], text)
    return root


class _Builder:
    """Events in, nodes out. The stack holds the open sections and lists, never the call stack."""

    def __init__(self, name: str, text: str) -> None:
        self.name, self.text = name, text
        self.problems: list[Problem] = []
        self._anchors: dict[str, Node] = {}
        self._open: list[Node] = []
        self._keys: list[Node | None] = []  # the key waiting for its value, per open node

    def document(self) -> Node | None:
        root: Node | None = None
        for event in self._events():
            if isinstance(event, yaml.DocumentStartEvent) and root is not None:
                self._stop(_place(event), "", "a second document (---)", "one document", "")
            done = self._take(event)
            root = done if done is not None and not self._open else root
        if root is None or (root.kind == "scalar" and root.value is None):
            hint = "`holdfast init` writes one for this project"
            self._stop(Place(1, 1), "", "nothing", "a section with `service` and `run`", hint)
        if root.kind != "map":
            hint = "start with `service: <name>`"
            self._stop(root.place, "", root.show(), "a section at the top level", hint)
        return root

    def _events(self) -> Iterator[Any]:
        loader = _LOADER(self.text)
        try:
            while loader.check_event():
                yield loader.get_event()
        finally:
            loader.dispose()

    def _take(self, event: Any) -> Node | None:  # noqa: ANN401  # PyYAML's events are untyped
        """The node this event finishes, if any."""
        if isinstance(event, yaml.AliasEvent):
            return self._add(self._alias(event))
        if isinstance(event, yaml.ScalarEvent):
            return self._add(self._scalar(event))
        if isinstance(event, yaml.CollectionStartEvent):
            self._start(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            node = self._open.pop()
            self._keys.pop()
            return self._add(node)
        return None

    def _start(self, event: Any) -> None:  # noqa: ANN401
        place = _place(event)
        kind = "map" if isinstance(event, yaml.MappingStartEvent) else "list"
        if len(self._open) >= DEPTH_MAX:
            self._too_deep(place)
        self._tag(event, place)
        self._open.append(Node(place, kind))
        self._keys.append(None)
        self._anchor(event, self._open[-1])

    def _scalar(self, event: Any) -> Node:  # noqa: ANN401
        place, text = _place(event), event.value
        self._tag(event, place)
        plain = event.implicit[0] and event.tag is None
        node = Node(place, value=typed(text) if plain else text, text=text)
        if "\0" in text:
            self._note(place, self._path(), "a NUL character", "text without one")
        self._anchor(event, node)
        return node

    def _alias(self, event: Any) -> Node:  # noqa: ANN401
        node = self._anchors.get(event.anchor)
        if node is None or node in self._open:
            wanted = "an anchor that is complete before it is used"
            self._stop(_place(event), self._path(), f"*{one_line(event.anchor)}", wanted, "")
        return node

    def _anchor(self, event: Any, node: Node) -> None:  # noqa: ANN401
        if event.anchor is not None:
            self._anchors[event.anchor] = node

    def _tag(self, event: Any, place: Place) -> None:  # noqa: ANN401
        if event.tag not in (None, "!", _STR_TAG):
            tag = one_line(event.tag.replace("tag:yaml.org,2002:", "!!"))
            self._note(place, self._path(), f"the tag {tag}", "no tags", "leave it out")

    def _add(self, node: Node) -> Node:
        """Put a finished node where it belongs, counting what aliases expand to."""
        if not self._open:
            return node
        parent, key = self._open[-1], self._keys[-1]
        if parent.kind == "map" and key is None:
            self._keys[-1] = self._key(node)
            return node
        parent.size += node.size
        parent.depth = max(parent.depth, node.depth + 1)
        if parent.depth > DEPTH_MAX:
            self._too_deep(node.place)
        if parent.size > NODES_MAX:
            found = f"more than {NODES_MAX} values, aliases expanded"
            self._stop(node.place, self._path(), found, "a file a person can read", "")
        if key is None:
            parent.items.append(node)
        else:
            self._keys[-1] = None
            self._enter(parent, key, node)
        return node

    def _too_deep(self, place: Place) -> NoReturn:
        self._stop(place, "", f"{DEPTH_MAX + 1} levels", f"at most {DEPTH_MAX} levels", "")

    def _key(self, node: Node) -> Node:
        if node.kind != "scalar" or (node.value is None and not node.text):
            self._note(node.place, self._path(), f"{node.show()} as a key", "a word as a key")
        return node

    def _enter(self, parent: Node, key: Node, node: Node) -> None:
        name = key.text
        if name == "<<":
            wanted = "every key written out"
            self._note(key.place, self._path(), "a merge key (<<)", wanted, "aliases work (*name)")
        elif name in parent.entries:
            first = parent.entries[name][0].line
            found = f"{one_line(name)!r} twice"
            self._note(key.place, self._path(), found, "each key once", f"first on line {first}")
        else:
            parent.entries[name] = (key.place, node)

    def _path(self) -> str:
        parts = [key.text for key in self._keys if key is not None and key.kind == "scalar"]
        return ".".join(map(one_line, parts))

    def _note(self, place: Place, path: str, found: str, wanted: str, hint: str = "") -> None:
        where = (place.line, place.column)
        self.problems.append(Problem(self.name, *where, path, found, wanted, hint, place.width))
        if len(self.problems) >= PROBLEMS_MAX:
            raise _Stop

    def _stop(self, place: Place, path: str, found: str, wanted: str, hint: str) -> NoReturn:
        where = (place.line, place.column)
        self.problems.append(Problem(self.name, *where, path, found, wanted, hint, place.width))
        raise _Stop

    def syntax(self, error: yaml.YAMLError) -> None:
        """What the YAML parser said, in the words of a problem."""
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        lines = LINE_BREAK.split(self.text)
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        if not any(lines[line - 1 :]):  # "the end" is said at the last line with text
            line = max((n for n, text in enumerate(lines, 1) if text), default=1)
            column = len(lines[line - 1]) + 1
        found, wanted, hint = _syntax_words(lines[line - 1], str(getattr(error, "problem", error)))
        self.problems.append(Problem(self.name, line, column, "", found, wanted, hint))


def _syntax_words(line: str, said: str) -> tuple[str, str, str]:
    indent = line[: len(line) - len(line.lstrip())]
    if "\t" in indent or "'\\t'" in said:
        return "a tab", "spaces for indentation", "replace each tab by two spaces"
    if "mapping values are not allowed" in said:
        fix = "quote text that contains `: `; keys of one section begin in the same column"
        return "a second `: ` in one value", "one `key: value`", fix
    if "undefined alias" in said:
        return "an unknown alias", "an anchor (&name) before it", ""
    hint = "check indentation, quotes and brackets"
    return f"something that is not YAML ({one_line(said)})", "valid YAML", hint


def _place(event: Any) -> Place:  # noqa: ANN401
    start, end = event.start_mark, event.end_mark
    width = end.column - start.column if end.line == start.line else 1
    return Place(start.line + 1, start.column + 1, max(1, width))
