"""Kinds of values in ``holdfast.yaml``: how each is parsed, said in words, shown to editors.

A number read from YAML remembers how it was written (``WrittenInt``, ``WrittenFloat``), so that
``version: 1.10`` stays ``1.10`` and ``grace: 30`` is refused because it has no unit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from holdfast.runtime.units import parse_duration, parse_rate, parse_size

#: Longer unit values are refused unread: the parsers below need not be linear.
UNIT_LENGTH_MAX = 40


class WrittenInt(int):
    """A whole number and its text in the file."""

    text: str


class WrittenFloat(float):
    """A number and its text in the file."""

    text: str


@dataclass(frozen=True)
class Kind:
    """Words and JSON Schema of a value; rides in ``Annotated``, read by ``spec/fields.py``."""

    phrase: str
    example: str
    schema: dict[str, Any] = field(hash=False)

    def __get_pydantic_json_schema__(self, core: object, handler: object) -> dict[str, Any]:
        return dict(self.schema)


DURATION = Kind(
    "a duration with a unit, such as 250ms, 30s, 5m, 1h30m",
    "30s",
    {"type": "string", "pattern": r"^\s*(\d+(\.\d+)?(us|ms|s|m|h|d))+\s*$"},
)
SIZE = Kind(
    "a size with a unit, such as 50MB, 512MiB, 8Gi",
    "512MiB",
    {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*([KMG]B|[KMG]iB?|B)\s*$"},
)
RATE = Kind(
    "a rate, such as 1000000/s or 300/m",
    "1000000/s",
    {"type": "string", "pattern": r"^\s*\d[\d_]*(\.\d+)?\s*/[smh]\s*$"},
)
TEXT = Kind("text", "", {"type": ["string", "number"]})
NAME = Kind(
    "a name of lower-case letters, digits and dashes, starting with a letter, at most 63 long",
    "shop",
    {"type": "string", "pattern": r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$"},
)
CLOCK = Kind(
    "a time of day in UTC, such as 09:30",
    "09:30",
    {"type": "string", "pattern": r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$"},
)


def _unit(parse: Callable[[str], float], kind: Kind) -> BeforeValidator:
    def read(value: object) -> object:
        # A plain float or int comes from code or from a stored release, never from the file.
        if type(value) in (float, int):
            return value
        text = getattr(value, "text", value)
        if not isinstance(text, str) or len(text) > UNIT_LENGTH_MAX:
            raise ValueError(kind.phrase)
        try:
            return parse(text)
        except OverflowError as error:
            raise ValueError(kind.phrase) from error

    return BeforeValidator(read)


def _as_written(value: object) -> object:
    return getattr(value, "text", value) if isinstance(value, WrittenInt | WrittenFloat) else value


Duration = Annotated[
    float,
    _unit(parse_duration, DURATION),
    Field(ge=0, le=10**8, allow_inf_nan=False),
    DURATION,
]
Rate = Annotated[float, _unit(parse_rate, RATE), Field(ge=0, le=10**12, allow_inf_nan=False), RATE]
Size = Annotated[int, _unit(parse_size, SIZE), Field(ge=0, le=2**50), SIZE]
Text = Annotated[str, BeforeValidator(_as_written), Field(strict=True), TEXT]
Name = Annotated[Text, Field(pattern=NAME.schema["pattern"]), NAME]
Clock = Annotated[str, Field(strict=True, pattern=CLOCK.schema["pattern"]), CLOCK]
Count = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Switch = Annotated[bool, Field(strict=True)]
Percent = Annotated[int, Field(ge=0, le=100, strict=True)]
