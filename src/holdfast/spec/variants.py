"""A service with one value turned, for every value: what a key shapes is seen, not declared."""

from __future__ import annotations

import typing
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from holdfast.spec import rules
from holdfast.spec.fields import Path, catalogue, dotted, generic, options, section_of
from holdfast.spec.model import Service
from holdfast.spec.reference import example_of
from holdfast.spec.section import Section

#: Values that are texts of a form, where a text with a letter more would be nonsense.
_SAMPLES: dict[str, Any] = {
    "service": "another",
    "image.signer": "awskms:///alias/release",
    "image.digest": f"sha256:{'7' * 64}",
    "image.base": f"registry.test/base@sha256:{'8' * 64}",
    "image.repository": "registry.test/other",
    "regions[].cidr": "10.99.0.0/16",
    "regions[].cloud": "eu-central-1",
    "regions[].name": "elsewhere",
    "kubernetes.host": "other.test",
    "kubernetes.jobs[].schedule": "7 4 * * *",
    "kubernetes.namespace": "elsewhere",
    "delivery.repository": "https://git.test/other/one",
    "traffic.address": "127.0.0.2",
    "run.cwd": "/elsewhere",
    "run.command": "go run .",
    "autoscaling.metrics[].query": "sum(up)",
}


@dataclass(frozen=True, slots=True)
class Variant:
    """The service with one value turned."""

    path: Path  # ("regions", 0, "zones")
    service: Service

    @property
    def key(self) -> str:
        """``regions[].zones``."""
        return dotted(generic(self.path))


def variants(service: Service, under: Iterable[str] = ("",)) -> Iterator[Variant]:
    """Every value of the keys under some, turned in several ways that a valid spec may say."""
    wanted = tuple(under)
    for path, value in values(service, ()):
        key = dotted(generic(path))
        for other in _others(path, value) if any(covers(each, key) for each in wanted) else ():
            turned = _named_again(replaced(service, path, other), path, value, other)
            if not any(finding.breaks for finding in rules.check(turned)):
                yield Variant(path, turned)


def _named_again(turned: Service, path: Path, old: Any, new: Any) -> Service:  # noqa: ANN401
    """A region that is called otherwise keeps its mirror."""
    mirrors = turned.image.mirrors
    if generic(path) != ("regions", "[]", "name") or old not in mirrors:
        return turned
    again = {new if name == old else name: each for name, each in mirrors.items()}
    return replaced(turned, ("image", "mirrors"), again)  # type: ignore[no-any-return]


def values(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:  # noqa: ANN401
    """Every value of a section and below: sections themselves have none of their own."""
    if isinstance(value, Section):
        for name in type(value).model_fields:
            yield from values(getattr(value, name), (*path, name))
        return
    yield path, value
    if isinstance(value, tuple):
        for index, each in enumerate(value):
            yield from values(each, (*path, index))
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from values(each, (*path, name))


def replaced(value: Any, path: Path, new: Any) -> Any:  # noqa: ANN401
    """A copy with another value at a path."""
    if not path:
        return new
    first, rest = path[0], path[1:]
    if isinstance(value, Section):
        inner = replaced(getattr(value, str(first)), rest, new)
        return value.model_copy(update={str(first): inner})
    if isinstance(value, tuple) and isinstance(first, int):
        return (*value[:first], replaced(value[first], rest, new), *value[first + 1 :])
    return {**value, first: replaced(value[first], rest, new)}


def _others(path: Path, value: Any) -> Iterator[Any]:  # noqa: ANN401
    """Other values of a key, as different as its kind has them."""
    name, key = dotted(generic(path)), catalogue().get(generic(path))
    hint = key.hint_type if key else str
    if isinstance(value, tuple):
        yield from (each for each in _other_lists(value, hint) if allowed(key, each))
    elif isinstance(value, dict):
        yield from _other_tables(value, example_of(key) if key else None)
    elif name in _SAMPLES:
        yield _SAMPLES[name]
        if key and key.default is None and value is not None:
            yield None
    else:
        yield from (each for each in _other_scalars(value, hint, key) if allowed(key, each))


def allowed(key: Any, value: Any) -> bool:  # noqa: ANN401
    """Within the limits of the key itself."""
    try:
        return key is None or _adapter(key).validate_python(value) is not None
    except ValidationError:
        return False


@cache
def _adapter(key: Any) -> TypeAdapter[Any]:  # noqa: ANN401
    return TypeAdapter(key.hint_type)


def _other_lists(value: tuple[Any, ...], hint: Any) -> Iterator[Any]:  # noqa: ANN401
    if value:
        yield value[:-1]
        return
    item = next((o for o in options(hint) if typing.get_origin(o) is tuple), None)
    inner = typing.get_args(item)[0] if item else str
    yield (_sample(inner),)


def _other_tables(value: dict[str, Any], example: Any) -> Iterator[Any]:  # noqa: ANN401
    if value:
        yield dict(list(value.items())[:-1])
    else:
        shown = example.values() if isinstance(example, dict) else ()
        yield {"ADDED": next((each for each in shown if type(each) is str), "added")}


def _other_scalars(value: Any, hint: Any, key: Any) -> Iterator[Any]:  # noqa: ANN401
    if isinstance(value, bool):
        yield not value
    elif words := _words(hint):
        yield from (word for word in words if word != value)
    elif isinstance(value, int | float):
        # One more, and far more: some quantities are rounded on their way.
        whole = (value * 2 + 1, value + 2**30, value // 2)
        parts = (value * 2 or 5.0, value + 60, value / 2)
        yield from whole if isinstance(value, int) else parts
    elif value is None:
        yield from _first_values(hint, key)
    elif isinstance(value, str):
        yield from (value + "x", value + "/x") if value else ("/x", "x")


def _first_values(hint: Any, key: Any) -> Iterator[Any]:  # noqa: ANN401
    """For a key that was left out: numbers where numbers go, else the text of its example."""
    kinds = {_base(option) for option in options(hint)}
    example = example_of(key) if key else None
    if kinds & {int, float}:
        yield from (7, 70, 2**30)
    elif isinstance(example, str | bool):
        yield example
    elif str in kinds:
        yield "x"


def _words(hint: Any) -> tuple[Any, ...]:  # noqa: ANN401
    found = (
        typing.get_args(b) for o in options(hint) if typing.get_origin(b := _base(o)) is Literal
    )
    return tuple(word for words in found for word in words)


def _base(hint: Any) -> Any:  # noqa: ANN401
    return hint.__origin__ if hasattr(hint, "__metadata__") else hint


@cache
def _section_sample(section: type[Section]) -> Section:
    """A section as the reference shows it."""
    path = next(path for path, key in catalogue().items() if key.section is section)
    shown = {}
    for name in section.model_fields:
        key = catalogue().get((*path, name))
        example = example_of(key) if key else None
        if example is not None:
            shown[name] = example
    return section.model_validate(shown)


def _sample(hint: Any) -> Any:  # noqa: ANN401
    if section := section_of(hint):
        return _section_sample(section)
    words = _words(hint)
    return words[0] if words else "added"


def covers(declared: str, key: str) -> bool:
    """Whether a declared key, or prefix of keys, speaks for a key; an empty one for all."""
    plain = declared.replace("[]", "")
    return not plain or (key.replace("[]", "") + ".").startswith(plain + ".")
