"""All services at a glance, live: what changed since a listener was told last.

One look serves every listener: statuses and pulses are compared and encoded once, and each
listener is sent what is newer than what it has.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from holdfast.conductor.answers import to_text
from holdfast.conductor.console.documents import CardDoc, SheetDoc
from holdfast.conductor.console.series import (
    SPARK_POINTS,
    point_document,
    pulse_document,
    rate_of,
)
from holdfast.conductor.console.sheet import sheet_document
from holdfast.conductor.status import status_document

if TYPE_CHECKING:
    from holdfast.conductor.station import Station
    from holdfast.conductor.wiring import Conductor

LOOK_S = 0.25  # the shortest time between two looks
TICK_S = 0.5  # the longest


@dataclass(slots=True)
class _Known:
    """What was encoded last of one service, and since which look it stands."""

    status: Any = None
    text: str = ""
    since: int = 0
    pulse_wall: float = 0.0
    pulse_text: str = "null"
    pulse_since: int = 0


@dataclass(slots=True)
class Told:
    """What one listener has."""

    look: int = 0
    wall: float = 0.0
    sheet: SheetDoc | None = None
    names: list[str] = field(default_factory=list)


class Board:
    """The services of one conductor as a live picture."""

    def __init__(self, conductor: Conductor) -> None:
        self._conductor = conductor
        self._known: dict[str, _Known] = {}
        self._count = 0
        self._looked = float("-inf")

    def cards(self) -> list[CardDoc]:
        return [card_document(each) for each in self._conductor.stations.values()]

    async def stream(self, service: str | None, may: Callable[[], bool]) -> AsyncIterator[bytes]:
        """Frames until the listener leaves, may no longer listen, or the conductor stops."""
        news = self._conductor.works.news
        told = Told()
        news.listeners += 1
        try:
            yield b"retry: 500\n\n"
            while not news.closed and may():
                count = news.count
                self._look()
                frames = [*self._board_frame(told), *self._service_frames(service, told)]
                told.look = self._count
                yield "".join(frames or [_frame("tick", "{}")]).encode("utf-8", "replace")
                await asyncio.sleep(LOOK_S)
                await news.after(count, TICK_S - LOOK_S)
        finally:
            news.listeners -= 1

    # ---- looking

    def _look(self) -> None:
        now = self._conductor.works.clock.now()
        if now - self._looked < LOOK_S / 2:
            return
        self._looked = now
        self._count += 1
        for name, station in self._conductor.stations.items():
            self._see(self._known.setdefault(name, _Known()), station)

    def _see(self, known: _Known, station: Station) -> None:
        status: Any = status_document(station.snapshot())
        now = status.pop("now")
        if status != known.status:
            known.status, known.since = status, self._count
            known.text = to_text({**status, "now": now})
        latest = station.series.points[-1] if station.series.points else None
        if latest is not None and latest.wall != known.pulse_wall:
            known.pulse_wall, known.pulse_since = latest.wall, self._count
            known.pulse_text = to_text(pulse_document(latest))

    # ---- telling

    def _board_frame(self, told: Told) -> Iterator[str]:
        fresh = [each.text for each in self._known.values() if each.since > told.look]
        pulses = [
            f"{to_text(name)}:{each.pulse_text}"
            for name, each in self._known.items()
            if each.pulse_since > told.look
        ]
        names = list(self._known)
        if fresh or pulses or names != told.names or told.look == 0:
            told.names = names
            body = f'{{"statuses":[{",".join(fresh)}],"pulses":{{{",".join(pulses)}}}}}'
            yield _frame("board", body)

    def _service_frames(self, service: str | None, told: Told) -> Iterator[str]:
        station = self._conductor.stations.get(service or "")
        if station is None:
            return
        sheet = sheet_document(station.state, station.service)
        if sheet != told.sheet:
            told.sheet = sheet
            yield _frame("sheet", to_text(sheet))
        if points := station.series.since(told.wall):
            told.wall = points[-1].wall
            yield _frame("points", to_text([point_document(point) for point in points]))


def card_document(station: Station) -> CardDoc:
    points = station.series.points
    latest = list(islice(reversed(points), SPARK_POINTS))[::-1]
    return {
        "status": status_document(station.snapshot()),
        "pulse": pulse_document(latest[-1]) if latest else None,
        "spark": [rate_of(point) for point in latest],
    }


def _frame(kind: str, body: str) -> str:
    return f"event: {kind}\ndata: {body}\n\n"
