"""One service's conductor: look, decide, record, act, sleep. No judgement lives here.

It never retries on its own: orders state ends, so the next turn is the retry. Facts are recorded
before orders are performed, so a crash leaves a story that the next conductor continues.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from holdfast.conductor.journal import Journal
from holdfast.ledger import LedgerError
from holdfast.rollout.commands import Command, propose
from holdfast.rollout.engine import decide
from holdfast.rollout.model import (
    ConductorStarted,
    Counts,
    Decision,
    Event,
    Hold,
    HoldCode,
    Observation,
    Order,
    Sample,
    Source,
)
from holdfast.rollout.state import ServiceState, evolve, fold
from holdfast.runtime.clock import Clock
from holdfast.targets.base import Look, Refused, Target, TargetError, Unreachable

log = logging.getLogger("holdfast.conductor")

OBSERVE_S_MAX = 5.0
PERFORM_S_MAX = 10.0
SAMPLE_LIVE_S = 0.25  # how often the counters are read while a rollout runs
SAMPLE_IDLE_S = 1.0
WAKE_AT_ONCE_S = 0.002  # after an order was performed the world has changed: look again
CONTROL_S_MAX = 600  # how much of the stable release's past is kept, for its dispersion


class Gauge(Protocol):
    async def sample(self) -> Sample: ...


@dataclass
class Watchers:
    """Who is told about facts and decisions. Callbacks must not block."""

    events: list[Callable[[str, Sequence[Event]], None]] = field(default_factory=list)
    decisions: list[Callable[[str, Decision, Observation], None]] = field(default_factory=list)


@dataclass(frozen=True)
class Means:
    """All that a post touches the world with."""

    journal: Journal
    target: Target
    gauge: Gauge
    clock: Clock
    gate: Callable[[float], str | None] = lambda _wall: None


class Post:
    """The seat of one service in the conductor."""

    def __init__(self, service: str, means: Means, generation: int, owner: str) -> None:
        self.service, self.means = service, means
        self.generation, self.owner = generation, owner
        self.state: ServiceState = fold(means.journal.recall(service), service)
        self.watchers = Watchers()
        self.seen: Observation | None = None  # the last look
        self.decision = Decision()
        self.control: deque[tuple[float, Counts]] = deque(maxlen=CONTROL_S_MAX)
        self._base = self.state.at  # engine time goes on from the last fact
        self._origin = means.clock.now()
        self._sampled_at = float("-inf")
        self._lock = asyncio.Lock()
        self._wake = asyncio.Event()
        self._trouble: Hold | None = None

    # ---- time and memory

    def now(self) -> float:
        """Engine seconds: the time a conductor was looking, not the time that passed."""
        return self._base + max(0.0, self.means.clock.now() - self._origin)

    def nudge(self) -> None:
        """Look again now."""
        self._wake.set()

    @property
    def holds(self) -> tuple[Hold, ...]:
        trouble = () if self._trouble is None else (self._trouble,)
        return (*self.decision.holds, *trouble)

    # ---- what people ask for

    async def command(self, ask: Command) -> tuple[Event, ...]:
        """Record what ``ask`` makes true. Raises ``rollout.commands.Rejected``."""
        async with self._lock:
            events = propose(self.state, ask, self.now())
            await self._record(events)
        self.nudge()
        return events

    # ---- the loop

    async def start(self) -> None:
        """Take the seat: from here on actors of smaller generations are refused."""
        async with self._lock:
            await self._record((ConductorStarted(self.now(), self.generation, self.owner),))

    async def run(self) -> None:
        """Turn until cancelled."""
        await self.start()
        while True:
            acted = await self._turn_safely()
            await self._sleep(WAKE_AT_ONCE_S if acted else self.decision.wake_s)

    async def _turn_safely(self) -> bool:
        """Did the world change? A turn that failed is a hold; the next turn is the retry."""
        before = self.decision.orders
        try:
            decision = await self.turn()
        except (TargetError, TimeoutError, OSError) as error:
            self._trouble = Hold(HoldCode.TARGET, f"the target does not answer: {error}")
            log.warning("%s: turn failed: %s", self.service, error)
            return False
        except LedgerError as error:
            # Nothing is done that cannot be recorded first; what serves goes on serving.
            self._trouble = Hold(HoldCode.LEDGER, f"the ledger takes no records: {error}")
            log.error("%s: not recorded, so not done: %s", self.service, error)
            return False
        if self._trouble is not None:
            return False
        # Repeating an order that is not acknowledged yet is no reason to hurry.
        return bool(decision.events) or decision.orders not in ((), before)

    async def _sleep(self, seconds: float) -> None:
        # Not wait_for: before Python 3.12 it may swallow a cancellation (bpo-37658), and a
        # conductor that was told to stop would go on performing orders.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        self._wake.clear()

    async def turn(self) -> Decision:
        """Look, decide, record, act: once."""
        async with self._lock:
            seen = await self._look()
            decision = decide(self.state, seen)
            await self._record(decision.events)
            self.seen, self.decision = seen, decision
            for tell in self.watchers.decisions:
                tell(self.service, decision, seen)
            self._trouble = await self._perform(decision.orders)
            return decision

    async def _look(self) -> Observation:
        async with asyncio.timeout(OBSERVE_S_MAX):
            look: Look = await self.means.target.observe()
        sample = await self._sample()
        gate = self.means.gate(self.means.clock.wall())
        return Observation(self.now(), look.fleets, look.weights, sample, gate, look.drift)

    async def _sample(self) -> Sample:
        """The counters since the last reading; an empty sample between readings."""
        live = self.state.running is not None
        now = self.means.clock.now()
        if now - self._sampled_at < (SAMPLE_LIVE_S if live else SAMPLE_IDLE_S):
            return self._between_samples()
        self._sampled_at = now
        sample = await self.means.gauge.sample()
        stable = self.state.stable
        if stable is not None and not live and sample.source is Source.OK:
            self.control.append((sample.seconds, sample.arm(stable.id)))
        return sample

    def _between_samples(self) -> Sample:
        """Says nothing new: neither counts nor a change of the source."""
        run = self.state.running
        down = run is not None and run.source_down_at is not None
        return Sample(Source.STALE if down else Source.OK)

    async def _record(self, events: Sequence[Event]) -> None:
        if not events:
            return
        await self.means.journal.record(self.service, events)
        for event in events:
            self.state = evolve(self.state, event)
        for tell in self.watchers.events:
            tell(self.service, events)

    async def _perform(self, orders: Sequence[Order]) -> Hold | None:
        """Stop at the first refusal: what comes after may rest on it."""
        for order in orders:
            try:
                async with asyncio.timeout(PERFORM_S_MAX):
                    await self.means.target.perform(order)
            except Refused as refused:
                return Hold(HoldCode.TARGET, f"the target refused {order}: {refused}")
            except (Unreachable, TimeoutError) as error:
                return Hold(HoldCode.TARGET, f"no answer to {order}: {error or 'timed out'}")
        return None
