"""Play a wave: one production ``Post`` per region, each with a simulated world of its own.

All regions live on one virtual loop. The wave looks at every region's own account of its rollout,
decides, and gives its orders as the people of a region would: deploy, abort, roll back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from dataclasses import dataclass, field, replace

from holdfast.conductor.conduct import Means, Post
from holdfast.conductor.journal import MemoryJournal
from holdfast.drills.simulation.people import release_of
from holdfast.drills.simulation.scenario import KINDS
from holdfast.rollout.commands import Abort, Command, Deploy, Rejected, Rollback
from holdfast.rollout.model import OnConflict, Route
from holdfast.rollout.plan import plan_rollback, plan_rollout
from holdfast.rollout.waves import (
    Halt,
    Open,
    Region,
    RegionBegan,
    RegionFailed,
    RegionLeft,
    RegionOpened,
    RegionPhase,
    RegionPromoted,
    RegionSeen,
    Revert,
    WaveAborted,
    WaveEvent,
    WaveFinished,
    WaveOrder,
    WavePlan,
    WaveState,
    decide_waves,
    evolve_wave,
    kept_warm,
    region_seen,
)
from holdfast.spec.model import Service
from holdfast.targets.base import Bundle, Look
from holdfast.targets.simulated.behaviour import Behaviour, Cast, Fate, Traffic
from holdfast.targets.simulated.dataplane import Interval
from holdfast.targets.simulated.loop import VirtualClock, run_virtually
from holdfast.targets.simulated.world import OrderSeen, World
from holdfast.telemetry.gauge import Gauge

BY = "wave"
TURN_S = 0.5
#: A simulated wave that has not ended by then never will.
WAVE_S_MAX = 30 * 86_400.0
OLD, NEW = "v1", "v2"


@dataclass(frozen=True, slots=True)
class WaveAssumptions:
    """What a simulated wave rests on."""

    rate: float = 1000.0  # requests per second, in each region
    start_s: float = 1.0  # from launch to ready
    fail: frozenset[Region] = frozenset()  # the new release is no good there
    bad: Behaviour = field(default_factory=lambda: Behaviour(error_rate=0.3))  # and this is how
    seed: int = 0


@dataclass(slots=True)
class RegionEnd:
    """One region after the wave."""

    phase: RegionPhase
    weights: dict[str, int]
    requests: int = 0
    starved: int = 0
    routes_back: int = 0  # different routes that were written on its way back
    back_s: float | None = None  # from "go back" to the old release having everything


@dataclass(slots=True)
class WaveOutcome:
    ending: str
    reason: str
    seconds: float
    regions: dict[Region, RegionEnd] = field(default_factory=dict)
    story: list[tuple[float, str]] = field(default_factory=list)


class _Seat:
    """One region: its world, its conductor, and what its clients saw."""

    def __init__(
        self, region: Region, spec: Service, wave: WavePlan, assume: WaveAssumptions
    ) -> None:
        self.region, self.spec, self.wave = region, spec, wave
        self.clock = VirtualClock()
        good = Behaviour(start_s=assume.start_s)
        bad = replace(assume.bad, start_s=assume.start_s)
        cast = Cast(((OLD, good), (NEW, bad if region in assume.fail else good)))
        self.world = World(
            self.clock,
            f"{assume.seed} {region}",
            service=spec,
            cast=cast,
            traffic=Traffic(assume.rate, 0.1),
        )
        self.world.watchers.append(self)
        gauge = Gauge(self.world.counters, self.clock)
        self.post = Post(
            spec.service, Means(MemoryJournal(), self.world, gauge, self.clock), 1, region
        )
        self.end = RegionEnd(RegionPhase.IDLE, {})
        self.refused = ""
        self._rollouts = 0
        self._back_at: float | None = None
        self._last_route: tuple[tuple[str, int], ...] = ()

    # ---- what clients and the data plane see

    def interval(self, seen: Interval) -> None:
        self.end.requests += seen.requests
        self.end.starved += seen.starved if seen.anybody else 0
        if self._returning and self.world.plane.weights.get(OLD) == 100:
            assert self._back_at is not None, "it is returning"
            self.end.back_s = round(self.clock.now() - self._back_at, 3)

    @property
    def _returning(self) -> bool:
        return self._back_at is not None and self.end.back_s is None

    def order(self, seen: OrderSeen) -> None:
        if not self._returning or not isinstance(seen.order, Route) or seen.refused:
            return
        if seen.order.weights != self._last_route:  # the same again only asks for the answer
            self._last_route = seen.order.weights
            self.end.routes_back += 1

    # ---- what the wave sees and orders

    def seen(self) -> RegionSeen:
        if self.refused:
            return RegionSeen(RegionPhase.REVERTED, self.refused)
        return region_seen(self.post.state, release_of(NEW).digest)

    async def obey(self, order: WaveOrder) -> None:
        try:
            match order:
                case Open():
                    await self.deploy(NEW)
                case Halt():
                    await self._back(Abort(BY, "the wave was aborted"))
                case Revert():
                    await self._back(self._rollback())
        except Rejected as rejected:
            self.refused = rejected.detail

    async def deploy(self, version: str) -> None:
        new = release_of(version)
        await self.world.prepare(Bundle(new, self.spec))
        plan = plan_rollout(self.spec, self.post.state.stable, new, self._name())
        await self.post.command(
            Deploy(kept_warm(plan, self.wave), BY, on_conflict=OnConflict.REPLACE)
        )

    async def _back(self, command: Command) -> None:
        if self._back_at is None:
            self._back_at = self.clock.now()
        await self.post.command(command)

    def _rollback(self) -> Rollback:
        bad = self.post.state.stable
        assert bad is not None, "it was promoted"
        return Rollback(plan_rollback(self.spec, bad, release_of(OLD), self._name()), BY)

    def _name(self) -> str:
        self._rollouts += 1
        return f"{self.region}-{self._rollouts}"

    async def close(self) -> RegionEnd:
        self.world.advance()
        look: Look = await self.world.observe()
        self.end.phase = self.seen().phase
        self.end.weights = {release: weight for release, weight in look.weights if weight}
        return self.end


class WaveRig:
    """The wave's own small conductor: look, decide, act."""

    def __init__(self, spec: Service, wave: WavePlan, assume: WaveAssumptions) -> None:
        self.seats = {region: _Seat(region, spec, wave, assume) for region in wave.regions}
        self.state = WaveState(wave)
        self.clock = VirtualClock()
        self.story: list[tuple[float, str]] = []
        self._began = 0.0

    async def play(self) -> WaveOutcome:
        tasks = [asyncio.create_task(seat.post.run()) for seat in self.seats.values()]
        try:
            await self._first_release()
            self._began = self.clock.now()
            while self.state.ending is None and self._elapsed() < WAVE_S_MAX:
                await self.turn()
                await asyncio.sleep(TURN_S)
            await asyncio.sleep(self._longest_drain())
            return await self._outcome()
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    async def turn(self) -> None:
        looks = {region: seat.seen() for region, seat in self.seats.items()}
        decision = decide_waves(self.state, looks, self.clock.now())
        for event in decision.events:
            self.record(event)
        for order in decision.orders:
            self._tell(f"{type(order).__name__.lower():<7} {order.region}")
            await self.seats[order.region].obey(order)

    def record(self, event: WaveEvent) -> None:
        self.state = evolve_wave(self.state, event)
        if line := _line(event):
            self._tell(line)

    def _tell(self, line: str) -> None:
        if not self.story or self.story[-1][1] != line:
            self.story.append((round(self._elapsed(), 3), line))

    def _elapsed(self) -> float:
        return self.clock.now() - self._began

    async def _first_release(self) -> None:
        for seat in self.seats.values():
            await asyncio.sleep(0.01)  # its conductor takes the seat
            await seat.deploy(OLD)
        while any(seat.post.state.running for seat in self.seats.values()):
            await asyncio.sleep(TURN_S)

    def _longest_drain(self) -> float:
        return max(seat.spec.rollout.drain for seat in self.seats.values()) + TURN_S

    async def _outcome(self) -> WaveOutcome:
        seconds = self.story[-1][0] if self.story else 0.0
        ending = self.state.ending.value if self.state.ending else "running"
        reason = self.state.abort.reason if self.state.abort else ""
        ends = {region: await seat.close() for region, seat in self.seats.items()}
        return WaveOutcome(ending, reason, seconds, ends, self.story)


def _line(event: WaveEvent) -> str:
    """A fact as people read it; openings are told as orders."""
    match event:
        case RegionOpened() | RegionBegan():
            return ""
        case RegionPromoted():
            return f"{event.region} is promoted"
        case RegionFailed():
            return f"{event.region} has failed: {event.reason}"
        case RegionLeft():
            where = "back on what served before" if event.whole else "stranded: a person is needed"
            return f"{event.region} is {where}"
        case WaveAborted():
            scope = "every region goes back" if event.everything else "no further region is opened"
            return f"the wave is aborted: {scope}"
        case WaveFinished():
            return f"the wave has ended: {event.ending}"


def bad_release(spec: Service, kind: str) -> Behaviour:
    """A release of ``kind``; in place of a good one, what this strategy is there to catch."""
    if kind == "good":
        judged = spec.rollout.strategy == "canary"
        return Behaviour(error_rate=0.3) if judged else Behaviour(fate=Fate.SMOKE_FAILED)
    return KINDS[kind][1](random.Random(kind))


def play_wave(spec: Service, wave: WavePlan, assume: WaveAssumptions) -> WaveOutcome:
    """Play the wave to its end on a fresh virtual loop."""
    logging.getLogger("holdfast.conductor").setLevel(logging.ERROR)

    async def whole() -> WaveOutcome:
        return await WaveRig(spec, wave, assume).play()

    return run_virtually(whole())
