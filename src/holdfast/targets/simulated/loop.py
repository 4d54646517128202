"""An asyncio loop in virtual time: where others wait, it adds the timeout to ``now``.

Timeouts, sleeps, tasks and cancellation are the ordinary asyncio ones; only waiting is replaced.
Nothing outside can wake such a loop, so waiting without a timeout is a deadlock and raises.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

#: The wall clock of a virtual world starts at a Wednesday noon (UTC), inside office hours.
WALL_START = 1_750_248_000.0


class Deadlock(RuntimeError):
    """Every task waits for something that no timer will ever bring."""


class _VirtualSelector(selectors.SelectSelector):
    """Never looks at a file: moves the time by the timeout it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise Deadlock("every task waits and no timer is set")
        self.now += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose clock only moves when every task waits."""

    def __init__(self) -> None:
        self._virtual = _VirtualSelector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now

    def leap(self, seconds: float) -> None:
        """Let time pass at once, without anybody turning meanwhile (a suspended machine)."""
        self._virtual.now += seconds


class VirtualClock:
    """``runtime.clock.Clock`` of a virtual loop. ``jump`` moves the wall, never ``now``."""

    def __init__(self) -> None:
        self.jumped = 0.0

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def wall(self) -> float:
        return WALL_START + self.now() + self.jumped

    def jump(self, seconds: float) -> None:
        self.jumped += seconds


def run_virtually(main: Coroutine[Any, Any, T]) -> T:
    """Run ``main`` to its end on a fresh virtual loop."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
