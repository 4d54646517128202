"""Values the way a person writes them in the spec: ``10.0`` seconds is ``10s``, and back again."""

from __future__ import annotations

import json
import re
import typing
from typing import Any

from holdfast.spec import fields
from holdfast.spec.kinds import DURATION, RATE, SIZE
from holdfast.spec.scalar import typed
from holdfast.spec.section import Section

_SECONDS = (("d", 86400.0), ("h", 3600.0), ("m", 60.0), ("s", 1.0), ("ms", 1e-3), ("us", 1e-6))
_BYTES = (
    ("GiB", 2**30), ("GB", 10**9), ("MiB", 2**20), ("MB", 10**6), ("KiB", 2**10), ("KB", 10**3),
)  # fmt: skip
_PLAIN = re.compile(r"[A-Za-z0-9_./~+$]([A-Za-z0-9_./:=~+$@ -]*[A-Za-z0-9_./=~+$@-])?")


def duration(seconds: float) -> str:
    """In the largest unit that needs no fraction."""
    for unit, size in _SECONDS:
        count = round(seconds / size)
        if count and abs(count * size - seconds) <= 1e-9 * seconds:
            return f"{count}{unit}"
    return f"{seconds * 1e6:.6f}us" if seconds else "0s"


def size(count: int) -> str:
    unit, scale = next(((u, s) for u, s in _BYTES if count and count % s == 0), ("B", 1))
    return f"{count // scale}{unit}"


def rate(per_second: float) -> str:
    return f"{per_second:.0f}/s" if per_second == round(per_second) else f"{per_second:.6f}/s"


_UNITS: dict[Any, Any] = {DURATION.phrase: duration, SIZE.phrase: size, RATE.phrase: rate}


def plain(hint: Any, value: Any) -> Any:  # noqa: ANN401  # any value of the model
    """The value as YAML would hold it: text, numbers, lists, dictionaries."""
    if isinstance(value, Section):
        return {
            name: plain(fields.hint_of(info), getattr(value, name))
            for name, info in type(value).model_fields.items()
        }
    if isinstance(value, tuple):
        item = next(o for o in fields.options(hint) if typing.get_origin(o) is tuple)
        return [plain(typing.get_args(item)[0], each) for each in value]
    if isinstance(value, dict):
        item = next(o for o in fields.options(hint) if typing.get_origin(o) is dict)
        return {name: plain(typing.get_args(item)[1], each) for name, each in value.items()}
    kind = next((k for o in fields.options(hint) if (k := fields.kind_of(o))), None)
    if value is None or kind is None or kind.phrase not in _UNITS:
        return value
    return _UNITS[kind.phrase](value)


def flow(value: Any) -> str:  # noqa: ANN401
    """On one line, as YAML."""
    if isinstance(value, dict):
        inner = ", ".join(f"{flow(key)}: {flow(each)}" for key, each in value.items())
        return "{" + inner + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow(each) for each in value) + "]"
    if isinstance(value, str):
        safe = _PLAIN.fullmatch(value) and ": " not in value and isinstance(typed(value), str)
        return value if safe else '"' + "".join(map(_escaped, value)) + '"'
    return json.dumps(value)


def _escaped(character: str) -> str:
    """Inside double quotes. JSON's way for what is beyond 16 bits is not YAML's."""
    if character in '"\\':
        return "\\" + character
    return character if character.isprintable() else f"\\U{ord(character):08x}"
