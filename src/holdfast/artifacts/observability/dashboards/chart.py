"""What a dashboard shows, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

Look = Literal["lines", "stacked", "number", "gauge", "bars", "table"]
WIDTH: Final = 24  # columns of Grafana's grid
#: Every query is asked for the regions and releases chosen at the top of the page.
HERE: Final = 'region=~"$region"'
RELEASE: Final = 'release=~"$release"'


@dataclass(frozen=True, slots=True)
class Query:
    expr: str  # PromQL; the variables of the page only inside strings
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """``limit``: a promise, drawn as a red line; ``worse``: which side of it is bad."""

    title: str
    queries: tuple[Query, ...]
    unit: str = "short"  # Grafana's name of it
    look: Look = "lines"
    about: str = ""
    width: int = 8
    height: int = 8
    limit: float | None = None
    worse: Literal["above", "below"] = "above"


@dataclass(frozen=True, slots=True)
class Row:
    title: str
    charts: tuple[Chart, ...]


@dataclass(frozen=True, slots=True)
class Setting:
    """A number a reader may change at the top of the page."""

    name: str
    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Board:
    name: str  # trading, system, cost, objectives
    title: str
    about: str
    rows: tuple[Row, ...]
    settings: tuple[Setting, ...] = ()


def chart(title: str, expr: str, legend: str = "", unit: str = "short") -> Chart:
    """A chart of one query."""
    return Chart(title, (Query(expr, legend),), unit)


def placed(charts: Sequence[Chart], top: int) -> list[tuple[Chart, int, int]]:
    """Each chart with its column and line; a line ends where the next chart has no room."""
    found, left, line, tallest = [], 0, top, 0
    for each in charts:
        if left + each.width > WIDTH:
            left, line, tallest = 0, line + tallest, 0
        found.append((each, left, line))
        left, tallest = left + each.width, max(tallest, each.height)
    return found
