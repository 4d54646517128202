"""A file of the set as a checker reads it: text, documents, and the line of every value."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import yaml

from holdfast.artifacts.bundle import Bundle, File
from holdfast.supply.finding import Finding

Pointer = Sequence[str | int]  # ("spec", "containers", 0, "image")

_PARSED = (".yaml", ".yml", ".json")
_QUOTED = re.compile(r"""['"`]([^'"`]{2,80})['"`]""")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Written:
    """``objects`` are its documents, empty for texts; ``problems`` what kept it from being read."""

    path: str
    text: str
    keys: tuple[str, ...] = ()  # the spec keys that shape it
    objects: tuple[Any, ...] = ()
    problems: tuple[Finding, ...] = ()

    def line(self, document: int, pointer: Pointer) -> int:
        """The line of a value, or of the nearest thing around it that is written; from 1."""
        nodes = _nodes(self.text)
        return _line(nodes[document], pointer) if document < len(nodes) else 0

    def quoted(self, said: str) -> int:
        """The line that has a word which ``said`` quotes, where only one line has it; else 0."""
        for word in _QUOTED.findall(said):
            whole = re.compile(rf"(?<![\w-]){re.escape(word)}(?![\w-])")
            lines = [n for n, each in enumerate(self.text.splitlines(), 1) if whole.search(each)]
            if len(lines) == 1:
                return lines[0]
        return 0

    @property
    def key(self) -> str:
        """The spec key that most likely repairs it: the first that shapes it."""
        return self.keys[0] if self.keys else ""


@lru_cache(maxsize=16)
def _nodes(text: str) -> tuple[Any, ...]:
    """The documents of a text with their places; none where it cannot be read."""
    try:
        return tuple(node for node in yaml.compose_all(text, Loader=_LOADER) if node is not None)
    except yaml.YAMLError:
        return ()


class _Reader(_LOADER):  # type: ignore[misc]  # the C loader has no types
    """As strict decoders read: no key twice, no dates; what is no JSON becomes a problem."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key, _value in node.value:
            wrong = _wrong_key(key, seen)
            if wrong:
                raise yaml.MarkedYAMLError(problem=wrong, problem_mark=key.start_mark)
            seen.add(key.value)
        found: dict[Hashable, Any] = super().construct_mapping(node, deep=True)
        return found


def _wrong_key(key: Any, seen: set[Hashable]) -> str:
    if key.tag != "tag:yaml.org,2002:str":
        return f"the key {key.value!r}, which is no text without quotes"
    return f"the key {key.value!r} twice" if key.value in seen else ""


# YAML 1.1 has dates and a type for a lone ``=``, which JSON and YAML 1.2 do not have.
_NOT_JSON = {f"tag:yaml.org,2002:{name}" for name in ("timestamp", "value")}
_Reader.yaml_implicit_resolvers = {
    first: [each for each in resolvers if each[0] not in _NOT_JSON]
    for first, resolvers in _Reader.yaml_implicit_resolvers.items()
}
# They have numbers without a dot before the exponent, which YAML 1.1 takes for text.
_Reader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)
# The safe constructor asks for a generator that calls its own method; ours must be asked instead.
_Reader.add_constructor("tag:yaml.org,2002:map", lambda self, node: self.construct_mapping(node))


def read(path: str, text: str, keys: tuple[str, ...] = ()) -> Written:
    """Never raises: a file that cannot be read has a problem instead of documents."""
    if not path.endswith(_PARSED):
        return Written(path, text, keys)
    try:
        objects = tuple(o for o in yaml.load_all(text, Loader=_Reader) if o is not None)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        return Written(path, text, keys, problems=(_problem(path, error),))
    return Written(path, text, keys, objects)


def of_file(file: File) -> Written:
    """A rendered file; its documents are known without reading."""
    artifact = file.artifact
    return Written(file.path, file.data.decode(), artifact.keys, artifact.objects())


def of_bundle(bundle: Bundle) -> tuple[Written, ...]:
    """Every file, the manifest included."""
    return tuple(of_file(file) for file in (*bundle, bundle.manifest()))


def _problem(path: str, error: Exception) -> Finding:
    mark = getattr(error, "problem_mark", None)
    said = getattr(error, "problem", None) or str(error).splitlines()[0]
    line = mark.line + 1 if mark else 0
    return Finding("yaml/syntax", path, said, "one readable document after the other", line)


def _line(node: Any, pointer: Pointer) -> int:
    line: int = node.start_mark.line + 1
    for part in pointer:
        step = _step(node, part)
        if step is None:
            return line
        line, node = step
    return line


def _step(node: Any, part: str | int) -> tuple[int, Any] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return key.start_mark.line + 1, value
    elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        value = node.value[part]
        return value.start_mark.line + 1, value
    return None


def walk(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Every value in an object with its place, outermost first."""
    yield at, value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from walk(inner, (*at, key))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from walk(inner, (*at, index))
