"""Frozen dataclasses to JSON and back, strictly, with canonical bytes.

A value is encoded as plain JSON; members of a union carry their class name under ``"is"``.
Decoding follows the type hints and raises ``Undecodable`` naming the path, so a damaged ledger
body is a clear finding and never a half-built object.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import types
import typing
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")


class Undecodable(ValueError):
    """The JSON does not have the shape of the wanted type. The message names the path."""


def canonical(value: Any) -> bytes:
    """Stable UTF-8 JSON: sorted keys, no spaces, no NaN. Same value, same bytes."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def encode(value: Any) -> Any:
    """Any tree of dataclasses, enums, tuples, mappings and scalars as plain JSON values."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"is": type(value).__name__, **fields}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, (tuple, list)):
        return [encode(item) for item in value]
    if isinstance(value, (frozenset, set)):
        return sorted(encode(item) for item in value)
    if isinstance(value, dict):
        return {str(key): encode(item) for key, item in value.items()}
    return value


def decode(hint: Any, value: Any, path: str = "$") -> Any:
    """The value of type ``hint`` that ``encode`` made this JSON from."""
    origin = typing.get_origin(hint)
    if origin is types.UnionType or origin is typing.Union:
        return _decode_union(typing.get_args(hint), value, path)
    if origin in (tuple, frozenset):
        return _decode_sequence(hint, origin, value, path)
    if origin is dict:
        _key, item = typing.get_args(hint)
        _expect(isinstance(value, dict), path, "an object", value)
        return {key: decode(item, each, f"{path}.{key}") for key, each in value.items()}
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _decode_dataclass(hint, value, path)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return _decode_enum(hint, value, path)
    return _decode_scalar(hint, value, path)


def _decode_sequence(hint: Any, origin: Any, value: Any, path: str) -> Any:
    _expect(isinstance(value, list), path, "a list", value)
    args = typing.get_args(hint)
    if origin is tuple and (len(args) != 2 or args[1] is not Ellipsis):
        _expect(len(value) == len(args), path, f"{len(args)} items", value)
        return tuple(
            decode(h, v, f"{path}[{i}]") for i, (h, v) in enumerate(zip(args, value, strict=True))
        )
    return origin(decode(args[0], item, f"{path}[{i}]") for i, item in enumerate(value))


def _decode_union(options: tuple[Any, ...], value: Any, path: str) -> Any:
    if value is None and type(None) in options:
        return None
    if isinstance(value, dict) and "is" in value:
        for option in options:
            if getattr(option, "__name__", None) == value["is"]:
                return decode(option, value, path)
    for option in options:
        if option is not type(None) and not dataclasses.is_dataclass(option):
            return decode(option, value, path)
    raise Undecodable(f"{path}: found {_short(value)}, wanted one of {options}")


@cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _decode_dataclass(cls: type, value: Any, path: str) -> Any:
    _expect(isinstance(value, dict), path, f"an object ({cls.__name__})", value)
    hints = _hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}
    unknown = set(value) - set(fields) - {"is"}
    _expect(not unknown, path, f"only the fields of {cls.__name__}", sorted(unknown))
    given = {}
    for name, field in fields.items():
        if name in value:
            given[name] = decode(hints[name], value[name], f"{path}.{name}")
        else:
            absent = (
                field.default is dataclasses.MISSING
                and field.default_factory is dataclasses.MISSING
            )
            _expect(not absent, f"{path}.{name}", "a value", None)
    return cls(**given)


def _decode_enum(hint: type[enum.Enum], value: Any, path: str) -> enum.Enum:
    try:
        return hint(value)
    except ValueError as error:
        wanted = ", ".join(str(member.value) for member in hint)
        raise Undecodable(f"{path}: found {_short(value)}, wanted one of {wanted}") from error


def _decode_scalar(hint: Any, value: Any, path: str) -> Any:
    if hint is Any:
        return value
    if hint is float:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        _expect(number, path, "a number", value)
        return float(value)
    base = getattr(hint, "__supertype__", hint)
    wrong_bool = isinstance(value, bool) and base is not bool
    _expect(isinstance(value, base) and not wrong_bool, path, str(base), value)
    return value


def _expect(holds: bool, path: str, wanted: str, found: Any) -> None:
    if not holds:
        raise Undecodable(f"{path}: found {_short(found)}, wanted {wanted}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
