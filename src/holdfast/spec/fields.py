"""Every key of the spec as data: what it is for, what it may be, what it is when left out.

Read from the model once, so the words in problems, in ``holdfast explain``, in the JSON Schema
and in the reference are the same.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from holdfast.spec.kinds import Kind
from holdfast.spec.model import Service
from holdfast.spec.problem import one_line
from holdfast.spec.section import Section

Path = tuple[str | int, ...]


@dataclass(frozen=True, eq=False)
class Key:
    """One key. In ``path`` a list item is ``[]`` and a free name is ``*``."""

    path: tuple[str, ...]
    doc: str
    wanted: str  # a phrase: "a whole number, 1 to 65535"
    hint_type: Any  # the annotation, for writing values out
    default: Any  # PydanticUndefined when required
    section: type[Section] | None

    @property
    def name(self) -> str:
        return dotted(self.path)

    @property
    def required(self) -> bool:
        return self.default is PydanticUndefined


def dotted(path: Path | tuple[str, ...]) -> str:
    """``rollout.steps[0].weight``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part == "[]":
            text += part
        else:
            text += f".{one_line(part)}" if text else one_line(part)
    return text


def generic(path: Path) -> tuple[str, ...]:
    """A path with indexes replaced, to look its key up."""
    return tuple("[]" if isinstance(part, int) else part for part in path)


@cache
def catalogue() -> dict[tuple[str, ...], Key]:
    """Every key of ``holdfast.yaml`` in the order of the model."""
    return {key.path: key for key in _of_section(Service, ())}


@cache
def find(path: tuple[str, ...]) -> Key | None:
    """The key of a generic path; a name the user chose (``run.env.HOME``) matches ``*``."""
    if path in catalogue():
        return catalogue()[path]
    return catalogue().get((*path[:-1], "*")) if path else None


def _of_section(section: type[Section], prefix: tuple[str, ...]) -> Iterator[Key]:
    for name, info in section.model_fields.items():
        yield from _of_field((*prefix, name), info)


def hint_of(info: FieldInfo) -> Any:  # noqa: ANN401
    """The annotation of a field with all its limits, as it was written in the model."""
    return typing.Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation


def _of_field(path: tuple[str, ...], info: FieldInfo) -> Iterator[Key]:
    hint = hint_of(info)
    default = info.get_default(call_default_factory=True)
    yield Key(path, info.description or "", phrase(hint), hint, default, section_of(hint))
    yield from _below(path, hint, info.description or "")


def _below(path: tuple[str, ...], hint: Any, doc: str) -> Iterator[Key]:  # noqa: ANN401
    if section := section_of(hint):
        yield from _of_section(section, path)
    elif part := _item(hint):
        mark, item = part
        inner = section_of(item)
        words = inner.__doc__ or "" if inner else doc
        yield Key((*path, mark), words, phrase(item), item, None, inner)
        if inner:
            yield from _of_section(inner, (*path, mark))


def section_of(hint: Any) -> type[Section] | None:  # noqa: ANN401
    return hint if isinstance(hint, type) and issubclass(hint, Section) else None


def _item(hint: Any) -> tuple[str, Any] | None:  # noqa: ANN401
    """How a member of a list or of free names is called in a path, and what it may be."""
    for option in options(hint):
        if typing.get_origin(option) is tuple:
            return "[]", typing.get_args(option)[0]
        if typing.get_origin(option) is dict:
            return "*", typing.get_args(option)[1]
    return None


def options(hint: Any) -> tuple[Any, ...]:  # noqa: ANN401
    """The members of a union but ``None``, or the type itself; limits around it go inside."""
    around = getattr(hint, "__metadata__", ())
    bare = hint.__origin__ if around else hint
    if typing.get_origin(bare) not in (typing.Union, types.UnionType):
        return (hint,)
    members = [member for member in typing.get_args(bare) if member is not type(None)]
    return tuple(typing.Annotated[(m, *around)] if around else m for m in members)


def metadata(hint: Any) -> tuple[Any, ...]:  # noqa: ANN401
    """All that rides in ``Annotated``, with what pydantic nests in a ``FieldInfo`` unpacked."""
    found: list[Any] = []
    for item in getattr(hint, "__metadata__", ()):
        found += item.metadata if isinstance(item, FieldInfo) else [item]
    return tuple(found)


def kind_of(hint: Any) -> Kind | None:  # noqa: ANN401
    """The last ``Kind`` wins: ``Name`` is a ``Text`` with more to say."""
    return next((m for m in reversed(metadata(hint)) if isinstance(m, Kind)), None)


def phrase(hint: Any) -> str:  # noqa: ANN401
    """What is wanted, in words."""
    named = options(hint)
    if len(named) > 1:
        return " or ".join(phrase(option) for option in named)
    hint = named[0]
    if kind := kind_of(hint):
        return kind.phrase
    base = hint.__origin__ if hasattr(hint, "__metadata__") else hint
    return _phrase_of(base, hint)


def _phrase_of(base: Any, hint: Any) -> str:  # noqa: ANN401
    origin = typing.get_origin(base)
    if origin is Literal:
        return "one of " + ", ".join(typing.get_args(base))
    if origin is tuple:
        return f"a list: each {phrase(typing.get_args(base)[0])}"
    if origin is dict:
        return f"names, each with {phrase(typing.get_args(base)[1])}"
    if section := section_of(base):
        return _section_phrase(section)
    words = {bool: "true or false", int: "a whole number", float: "a number"}[base]
    return words + _range(metadata(hint))


def _section_phrase(section: type[Section]) -> str:
    short = section.short_form()
    if short is None:
        return "a section with " + ", ".join(section.model_fields)
    return f"{phrase(hint_of(section.model_fields[short]))} ({short}), or a section"


def _range(limits: tuple[Any, ...]) -> str:
    """``, 1 to 65535`` or `` above 0 and below 1``."""
    found: dict[str, Any] = {}
    for limit in limits:
        for name in ("ge", "gt", "le", "lt"):
            if hasattr(limit, name):
                found[name] = getattr(limit, name)
    if found.keys() == {"ge", "le"}:
        return f", {found['ge']} to {found['le']}"
    words = {"ge": "at least", "gt": "above", "le": "up to", "lt": "below"}
    said = [f"{words[name]} {value}" for name, value in found.items()]
    return f", {' and '.join(said)}" if said else ""
