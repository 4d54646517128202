"""Time comes in through this door and no other.

``now`` is for durations (monotonic seconds of the running event loop, so a virtual loop moves it
at will), ``wall`` is for people and for deployment windows (seconds since the Unix epoch, UTC).
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    def now(self) -> float:
        """Monotonic seconds. Only differences mean anything."""
        ...

    def wall(self) -> float:
        """Seconds since 1970-01-01T00:00:00Z. May jump."""
        ...


class LoopClock:
    """The clock of the running asyncio loop, with the machine's wall clock beside it."""

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def wall(self) -> float:
        return time.time()
