"""An answer of ``/api/v1/query`` to a range selector, as typed series. Pure; trusts nothing.

Sources: Prometheus, HTTP API (instant queries, range vectors, warnings); Thanos, partial response;
VictoriaMetrics, ``isPartial``. Numbers come as text, times as seconds since the Unix epoch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

#: A counter above this cannot be told from its neighbour: IEEE 754 doubles count no further.
COUNTS_TO = 2.0**53
SAID_MAX = 200  # characters of what a server says that are worth repeating


class SourceError(Exception):
    """No evidence, and why. Never a reason to judge a release."""


class Unanswered(SourceError):
    """Nobody answered in time."""


class Denied(SourceError):
    """The server refuses: credentials, limits, or the query itself."""


class Unreadable(SourceError):
    """What came back is no answer of this API."""


class Partial(SourceError):
    """Half an answer: some of the servers behind it did not answer."""


class NotNumbers(SourceError):
    """A counter that is NaN, infinite or negative counts nothing."""


class Outdated(SourceError):
    """There are samples, and all of them are old: whoever scrapes has stopped."""


@dataclass(frozen=True, slots=True)
class Point:
    """A counter at one moment."""

    at: float  # seconds since the Unix epoch, by the clock of whoever scraped
    value: float


@dataclass(frozen=True, slots=True)
class Series:
    """One time series: its labels, sorted, and its points in the order of time."""

    labels: tuple[tuple[str, str], ...]
    points: tuple[Point, ...]

    def label(self, name: str) -> str:
        return next((value for key, value in self.labels if key == name), "")


def read(text: str) -> tuple[Series, ...]:
    """The series of an answer. Raises ``SourceError``."""
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"no JSON: {said(text)}") from error
    if not isinstance(answer, dict):
        raise Unreadable(f"no answer of a query: {said(text)}")
    if answer.get("status") != "success":
        raise Denied(said(str(answer.get("error") or answer.get("status") or text)))
    if answer.get("isPartial") or answer.get("warnings"):
        raise Partial(said(str(answer.get("warnings") or "isPartial")))
    try:
        return tuple(_series(answer["data"]))
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise Unreadable(f"not the answer to a range selector: {said(text)}") from error


def _series(data: dict[str, Any]) -> Iterator[Series]:
    if data["resultType"] != "matrix":
        raise ValueError(data["resultType"])
    seen: set[tuple[tuple[str, str], ...]] = set()
    for each in data["result"]:
        labels = tuple(sorted((str(k), str(v)) for k, v in each["metric"].items()))
        if labels in seen:
            raise ValueError("one series twice")
        seen.add(labels)
        if "histograms" in each:
            raise NotNumbers(f"a native histogram is no counter: {_named(labels)}")
        points = sorted((_point(labels, *pair) for pair in each["values"]), key=lambda p: p.at)
        if points:
            yield Series(labels, tuple(points))


def _point(labels: tuple[tuple[str, str], ...], at: object, value: object) -> Point:
    if not isinstance(at, (int, float)) or not isinstance(value, str) or not math.isfinite(at):
        raise TypeError("a point is a time and a number as text")
    number = float(value)
    if not 0 <= number <= COUNTS_TO:  # false for NaN too
        raise NotNumbers(f"{value[:40]} is no count: {_named(labels)}")
    return Point(float(at), number)


def _named(labels: tuple[tuple[str, str], ...]) -> str:
    return said(", ".join(f"{key}={value}" for key, value in labels) or "a series with no labels")


def said(text: str) -> str:
    """Foreign text on one line, cut, and harmless on a terminal."""
    line = " ".join(text.split())[:SAID_MAX]
    return "".join(each if each.isprintable() else "?" for each in line)
