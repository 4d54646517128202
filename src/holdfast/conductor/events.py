"""News for listeners: ledger entries as server-sent events, and holds when they change.

A listener reads the ledger from its own position, so a slow one costs nobody memory and a
reconnecting one misses nothing: ``since=N`` is exactly the ledger's entries from index N on.
Holds are not facts; they are sent without an index as they change.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, Protocol

from holdfast.conductor.client import EventDoc, HoldDoc
from holdfast.ledger import Entry
from holdfast.rollout.model import Hold

HEARTBEAT_S = 5.0
BATCH_ENTRIES_MAX = 256
STREAMS_MAX = 64


class History(Protocol):
    """The part of a ledger that listeners read."""

    @property
    def size(self) -> int: ...

    def entries(self, start: int, end: int) -> Iterator[Entry]: ...


class News:
    """Wakes listeners when there is something new, and remembers each service's holds."""

    def __init__(self) -> None:
        self.count = 0
        self.closed = False
        self.listeners = 0
        self._rung = asyncio.Event()
        self._holds: dict[str, tuple[Hold, ...]] = {}

    def ring(self) -> None:
        self.count += 1
        self._rung.set()
        self._rung = asyncio.Event()

    def close(self) -> None:
        """End every stream: the conductor stops."""
        self.closed = True
        self.ring()

    def tell_holds(self, service: str, holds: tuple[Hold, ...]) -> None:
        if self._holds.get(service, ()) != holds:
            self._holds[service] = holds
            self.ring()

    def holds(self) -> dict[str, tuple[Hold, ...]]:
        return dict(self._holds)

    async def after(self, count: int, wait_s: float) -> bool:
        """Wait for anything newer than ``count``. False when nothing came for ``wait_s``."""
        if self.count != count or self.closed:
            return True
        try:
            async with asyncio.timeout(wait_s):
                await self._rung.wait()
        except TimeoutError:
            return False
        return True


def belongs(stream: str, service: str | None) -> bool:
    """Whether an entry of ``stream`` is about ``service``; ``None`` means all services."""
    return service is None or stream == service or stream.startswith(f"{service}/")


def entry_document(entry: Entry) -> EventDoc:
    return {
        "index": entry.index,
        "service": entry.stream.partition("/")[0],
        "stream": entry.stream,
        "kind": entry.kind,
        "wall": entry.wall,
        "body": _body(entry.body),
    }


def hold_documents(holds: tuple[Hold, ...]) -> list[HoldDoc]:
    return [{"code": hold.code.value, "detail": hold.detail} for hold in holds]


def _body(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        return {"bytes": len(body)}
    return value if isinstance(value, dict) else {"value": value}


def frame(document: EventDoc) -> bytes:
    """One server-sent event. The id is the index, for the Last-Event-ID of browsers."""
    identity = "" if document["index"] is None else f"id: {document['index']}\n"
    data = json.dumps(document, separators=(",", ":"), allow_nan=False)
    return f"{identity}event: {document['kind']}\ndata: {data}\n\n".encode()


async def stream_events(
    history: History, news: News, service: str | None, since: int | None
) -> AsyncIterator[bytes]:
    """Frames until the listener leaves or the conductor stops."""
    position = history.size if since is None else since
    told: dict[str, tuple[Hold, ...]] = {}
    news.listeners += 1
    try:
        yield b": hello\n\n"
        while not news.closed:
            count = news.count
            while position < history.size:
                end = min(history.size, position + BATCH_ENTRIES_MAX)
                for entry in history.entries(position, end):
                    if belongs(entry.stream, service):
                        yield frame(entry_document(entry))
                position = end
                await asyncio.sleep(0)  # a long past is read in pieces; others have their turns
            for name, holds in news.holds().items():
                if belongs(name, service) and told.get(name, ()) != holds:
                    told[name] = holds
                    yield frame(_holds_event(name, holds))
            if not await news.after(count, HEARTBEAT_S):
                yield b": heartbeat\n\n"
    finally:
        news.listeners -= 1


def _holds_event(service: str, holds: tuple[Hold, ...]) -> EventDoc:
    return {
        "index": None,
        "service": service,
        "stream": service,
        "kind": "Holds",
        "wall": 0.0,
        "body": {"holds": hold_documents(holds)},
    }
