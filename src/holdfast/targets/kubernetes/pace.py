"""How fast an API server is asked: a token bucket, a bound on what runs at once, and back-off."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from holdfast.runtime.clock import Clock


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client asks of a server at most, and how long it waits for answers."""

    per_second: float = 50.0  # in the long run; watches are not counted
    burst: int = 100
    at_once: int = 16
    tries: int = 4  # of a request that may be repeated
    pause_s: float = 0.2  # before the second try; doubled for each further one
    pause_s_max: float = 5.0
    connect_s: float = 3.0
    answer_s: float = 8.0


class Pace:
    """Lets requests through no faster than the limits say, in the order they came."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._limits, self._clock = limits, clock
        self._tokens = float(limits.burst)
        self._filled_at: float | None = None
        self._running = asyncio.Semaphore(limits.at_once)
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        async with self._running:
            async with self._turn:
                await self._take()
            yield

    async def _take(self) -> None:
        now = self._clock.now()
        if self._filled_at is not None:
            gained = (now - self._filled_at) * self._limits.per_second
            self._tokens = min(float(self._limits.burst), self._tokens + gained)
        self._filled_at = now
        self._tokens -= 1.0
        if self._tokens < 0:
            await asyncio.sleep(-self._tokens / self._limits.per_second)


def pause(limits: Limits, failures: int, asked_s: float | None = None) -> float:
    """Seconds until the next try: what the server asked for, else full jitter that grows.

    Source of full jitter: M. Brooker, "Exponential Backoff And Jitter", 2015.
    """
    if asked_s is not None:
        return min(asked_s, limits.pause_s_max)
    most = min(limits.pause_s * 2.0 ** max(0, failures - 1), limits.pause_s_max)
    return random.uniform(most / 4, most)
