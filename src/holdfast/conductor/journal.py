"""Where a service's facts are kept: the ledger in production, a list in the simulator."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Protocol, cast

from holdfast.ledger import Draft, Ledger
from holdfast.rollout import model
from holdfast.rollout.model import Event, Measured, Progressed, Queued, Started
from holdfast.runtime.clock import Clock
from holdfast.runtime.codec import canonical, decode, encode

EVENT_KINDS = frozenset(kind.__name__ for kind in model.Event.__args__)


class Journal(Protocol):
    async def record(self, service: str, events: Sequence[Event]) -> None:
        """Durable when it returns. Raises and records nothing when it cannot be."""
        ...

    def recall(self, service: str) -> tuple[Event, ...]:
        """Every fact of the service, oldest first."""
        ...


class MemoryJournal:
    """Facts in a list. Survives a simulated crash because the test holds it."""

    def __init__(self) -> None:
        self.facts: dict[str, list[Event]] = {}

    async def record(self, service: str, events: Sequence[Event]) -> None:
        self.facts.setdefault(service, []).extend(events)

    def recall(self, service: str) -> tuple[Event, ...]:
        return tuple(self.facts.get(service, ()))


class LedgerJournal:
    """Facts as entries of the Merkle log: stream = service, kind = class name of the event."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger, self._clock = ledger, clock

    async def record(self, service: str, events: Sequence[Event]) -> None:
        wall = self._clock.wall()
        await self._ledger.append(
            [
                Draft(service, type(e).__name__, canonical(encode(e)), wall, urgent=is_urgent(e))
                for e in events
            ]
        )

    def recall(self, service: str) -> tuple[Event, ...]:
        return tuple(
            read_event(entry.body)
            for entry in self._ledger.replay(service)
            if entry.kind in EVENT_KINDS
        )


def is_urgent(event: Event) -> bool:
    """What must still fit when the disk is full: whatever ends a rollout or takes it back."""
    if isinstance(event, Started):
        return event.plan.rollback
    return not isinstance(event, (Queued, Measured, Progressed))


def read_event(body: bytes) -> Event:
    """The event a ledger entry holds. Raises ``runtime.codec.Undecodable``."""
    value: Any = json.loads(body)
    return cast(Event, decode(model.Event, value))
