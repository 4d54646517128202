"""What ``kubectl describe`` shows under Events: the turning points of a rollout, as they happen.

They are for people and may get lost; the ledger is what happened.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from holdfast.rollout.model import (
    AbortRequested,
    Approved,
    Ending,
    Event,
    Finished,
    Paused,
    RevertOrdered,
    Scaled,
    Started,
    StepEntered,
)
from holdfast.runtime.clock import Clock
from holdfast.targets.base import TargetError
from holdfast.targets.kubernetes.client import Client
from holdfast.targets.kubernetes.kinds import EVENT, RELEASE

log = logging.getLogger("holdfast.incluster")

Object = dict[str, Any]
WAITING_MAX = 1000
MESSAGE_MAX = 1000  # bytes that the API takes are 1,024


def sentence(event: Event) -> tuple[str, str] | None:
    """Type and message; None for what is no turning point."""
    match event:
        case Started():
            return "Normal", f"{event.plan.new.version} is rolled out, asked for by {event.by}"
        case StepEntered():
            return "Normal", f"step {event.step + 1}"
        case RevertOrdered():
            return "Warning", f"taken back: {event.reason}"
        case Finished():
            kind = "Normal" if event.ending is Ending.PROMOTED else "Warning"
            return kind, f"{event.ending.value}: {event.reason}".rstrip(": ")
        case Paused() | AbortRequested():
            return "Normal", f"by {event.by}: {event.reason}".rstrip(": ")
        case Approved():
            return "Normal", f"by {event.by}"
        case Scaled():
            return "Normal", f"{event.replicas} replicas, by {event.by}"
    return None


def event_object(about: Object, event: Event, now: datetime) -> Object | None:
    """A core/v1 Event about a Release; None for what is no turning point."""
    told = sentence(event)
    if told is None:
        return None
    metadata, reason, when = about["metadata"], type(event).__name__, now.strftime("%H%M%S%f")
    stamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": EVENT.version,
        "kind": EVENT.name,
        "metadata": {"name": f"{metadata['name']}.{now.strftime('%Y%m%d')}{when}-{reason.lower()}",
                     "namespace": metadata["namespace"]},
        "involvedObject": {
            "apiVersion": RELEASE.version, "kind": RELEASE.name, "name": metadata["name"],
            "namespace": metadata["namespace"], "uid": metadata.get("uid", ""),
        },
        "type": told[0],
        "reason": reason,
        "message": told[1][:MESSAGE_MAX],
        "source": {"component": "holdfast"},
        "firstTimestamp": stamp,
        "lastTimestamp": stamp,
        "count": 1,
    }  # fmt: skip


class EventWriter:
    """Writes them beside the conductor's work, which never waits for it."""

    def __init__(self, client: Client, clock: Clock, find: Callable[[str], Object | None]) -> None:
        self._client, self._clock, self._find = client, clock, find
        self._waiting: asyncio.Queue[Object] = asyncio.Queue(WAITING_MAX)

    def heard(self, service: str, events: Sequence[Event]) -> None:
        about = self._find(service)
        if about is None:
            return
        for event in events:
            made = event_object(about, event, datetime.fromtimestamp(self._clock.wall(), UTC))
            if made is not None and not self._waiting.full():
                self._waiting.put_nowait(made)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            made = await self._waiting.get()
            try:
                await self._client.create(made)
            except TargetError as error:
                log.warning("an event was not written: %s", error)
