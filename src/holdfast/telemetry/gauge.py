"""From cumulative counters to the counts of one interval.

Counters may start again at zero (the data plane was restarted, a release came back), releases
come and go, and the source may be silent or stuck. Absence of evidence is said, never guessed:
``DOWN`` when nobody answered, ``STALE`` when the answer cannot be compared with an earlier one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import astuple
from typing import Protocol

from holdfast.rollout.model import Counts, ReleaseId, Sample, Source
from holdfast.runtime.clock import Clock

READ_WITHIN_S = 2.0
STALE_AFTER_S = 30.0


class Counters(Protocol):
    """Cumulative counters of one release (``targets.base.RawCounts`` has this shape)."""

    @property
    def requests(self) -> int: ...
    @property
    def errors(self) -> int: ...
    @property
    def slow(self) -> int: ...


Read = Callable[[], Awaitable[Mapping[ReleaseId, Counters]]]


class Gauge:
    """One source of counters, sampled at will."""

    def __init__(self, read: Read, clock: Clock) -> None:
        self.why_down: str | None = None  # what went wrong at the last look
        self._read, self._clock = read, clock
        self._before: dict[ReleaseId, Counts] = {}
        self._at: float | None = None

    async def sample(self) -> Sample:
        """The interval since the last look that was answered. Never raises.

        Whatever keeps the source from answering, for the judge it is the same: no evidence. Any
        error therefore counts as ``DOWN``; which one it was stays readable in ``why_down``.
        """
        began = self._clock.now()
        try:
            async with asyncio.timeout(READ_WITHIN_S):
                seen = await self._read()
        except Exception as error:
            self.why_down = f"{type(error).__name__}: {error}"
            return Sample(Source.DOWN)
        self.why_down = None
        return self._take({name: _counts(raw) for name, raw in seen.items()}, began)

    def _take(self, now: dict[ReleaseId, Counts], at: float) -> Sample:
        before, since = self._before, self._at
        self._before, self._at = {**before, **now}, at
        if since is None:
            return Sample(Source.OK)  # nothing to compare with: an interval of no length
        if at - since > STALE_AFTER_S:
            return Sample(Source.STALE)  # a gap that long hides when things happened
        arms = ((name, delta(before.get(name, Counts()), each)) for name, each in now.items())
        return Sample(Source.OK, at - since, tuple(sorted(arms)))


def _counts(raw: Counters) -> Counts:
    return Counts(raw.requests, raw.errors, raw.slow)


def delta(before: Counts, now: Counts) -> Counts:
    """What was added. A counter that went down began again, so all of it is new."""
    if any(new < old for new, old in zip(astuple(now), astuple(before), strict=True)):
        return now
    return Counts(
        now.requests - before.requests, now.errors - before.errors, now.slow - before.slow
    )
