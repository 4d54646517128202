"""All objects of a kind as the API server has them now: listed once, then followed.

No polling: the server tells what changes. A watch that ends is resumed where it was; where the
server has forgotten that (410), the objects are listed anew.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from holdfast.runtime.clock import Clock
from holdfast.targets.base import TargetError, Unreachable
from holdfast.targets.kubernetes.answers import Gone
from holdfast.targets.kubernetes.client import Client, chosen
from holdfast.targets.kubernetes.kinds import Kind, Object, name_of
from holdfast.targets.kubernetes.pace import pause

WATCH_S = (240, 360)  # a watch is renewed after so long; at different times for each client
SILENT_S = 30.0  # a watch must have ended by itself so long after that
LIVED_S = 5.0  # a watch that lived so long is resumed at once
TRUSTED_S = 10.0  # what was seen may be this old while the server does not answer


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects: those of a namespace with some labels, or one by ``metadata.name=``."""

    kind: Kind
    namespace: str
    selector: str
    key: Callable[[Object], str] = name_of  # by which its objects are told apart


def whole(found: Object) -> Object:
    return found


class Mirror:
    """Follows a selection. ``changed`` is called after every change."""

    def __init__(
        self, client: Client, clock: Clock, what: Selection, changed: Callable[[], None],
        keep: Callable[[Object], Object] = whole,
    ) -> None:  # fmt: skip
        self.what = what
        self._client, self._clock, self._changed, self._keep = client, clock, changed, keep
        self._objects: dict[str, Object] = {}
        self._version = ""  # where the watch goes on; empty: list first
        self._listed = asyncio.Event()
        self._lost_at: float | None = None  # since when the server does not answer
        self._trouble: TargetError | None = None
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"watch {self.what.kind.plural}")

    async def aclose(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def objects(self, within_s: float = 3.0) -> Mapping[str, Object]:
        """By name. Raises what keeps us from seeing them; a short silence is bridged."""
        if not self._listed.is_set():
            try:
                async with asyncio.timeout(within_s):
                    await self._listed.wait()
            except TimeoutError:
                raise self._trouble or Unreachable(f"{self.what.kind.plural}: not listed") from None
        lost_s = self._clock.now() - self._lost_at if self._lost_at is not None else 0.0
        if self._trouble is not None and lost_s > TRUSTED_S:
            raise self._trouble
        return self._objects

    def put(self, found: Object) -> None:
        """What the server answered to our own write: seen before the watch says it."""
        if self._listed.is_set() and self._store(found):
            self._changed()

    def drop(self, name: str) -> None:
        """What the server deleted at our word."""
        self._objects.pop(name, None)

    async def _run(self) -> None:
        failures = 0
        while True:
            began = self._clock.now()
            try:
                await self._follow()
            except Gone:
                self._version = ""
            except TargetError as error:
                self._lose(error)
            if self._clock.now() - began > LIVED_S:
                failures = 0
                continue
            failures += 1  # also of a server that ends each watch at once
            await asyncio.sleep(pause(self._client.limits, failures))

    async def _follow(self) -> None:
        if not self._version:
            await self._list()
        lasts = random.randint(*WATCH_S)
        query: dict[str, str | int] = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": lasts,
            **chosen(self.what.selector),
        }
        kind, namespace = self.what.kind, self.what.namespace
        async for event in self._client.watch(kind, namespace, query, lasts + SILENT_S):
            self._find()
            self._take(event["type"], event["object"])

    async def _list(self) -> None:
        what = self.what
        found, version = await self._client.list(what.kind, what.namespace, what.selector)
        self._objects = {self.what.key(each): self._keep(each) for each in found}
        self._version = version
        self._listed.set()
        self._find()
        self._changed()

    def _take(self, word: str, found: Object) -> None:
        self._version = str(found["metadata"].get("resourceVersion", self._version))
        if word == "BOOKMARK":
            return
        if word == "DELETED":
            self._objects.pop(self.what.key(found), None)
            self._changed()
        elif self._store(found):
            self._changed()

    def _store(self, found: Object) -> bool:
        """Never an older state over a newer one: a write of ours may be ahead of the watch."""
        known = self._objects.get(self.what.key(found))
        newer = known is None or _number(found) > _number(known)
        if newer:
            self._objects[self.what.key(found)] = self._keep(found)
        return newer

    def _lose(self, error: TargetError) -> None:
        if self._lost_at is None:
            self._lost_at = self._clock.now()
        self._trouble = error
        self._changed()

    def _find(self) -> None:
        self._lost_at = self._trouble = None


def _number(found: Object) -> int:
    """resourceVersions may be compared as numbers since Kubernetes 1.35 (KEP-5504)."""
    word = str(found.get("metadata", {}).get("resourceVersion", ""))
    return int(word) if word.isdigit() else 0
