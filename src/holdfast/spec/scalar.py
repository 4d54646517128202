"""Plain YAML words as values, by the core schema of YAML 1.2.

``no``, ``on`` and ``12:30:00`` are text, ``010`` is ten, ``1.10`` is a number that remembers its
text. Quoted words are always text.
"""

from __future__ import annotations

import re

from holdfast.spec.kinds import WrittenFloat, WrittenInt

#: Longer digits are text: nothing in a spec needs them and conversion is quadratic.
NUMBER_LENGTH_MAX = 40

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")

Scalar = None | bool | int | float | str


def typed(text: str) -> Scalar:
    """The value of an unquoted word."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if len(text) > NUMBER_LENGTH_MAX:
        return text
    if _INT.fullmatch(text):
        return _int(text)
    if _FLOAT.fullmatch(text) or _SPECIAL.fullmatch(text):
        return _float(text)
    return text


def _int(text: str) -> WrittenInt:
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    number = WrittenInt(int(text[2:] if base != 10 else text, base))
    number.text = text
    return number


def _float(text: str) -> WrittenFloat:
    # Python spells the special ones without the dot.
    number = WrittenFloat(text.replace(".", "", 1) if _SPECIAL.fullmatch(text) else text)
    number.text = text
    return number
