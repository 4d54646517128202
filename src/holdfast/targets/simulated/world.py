"""``World``: a service on a platform that exists only in memory and in virtual time.

Nothing happens in the background. Every call first replays, in order, what the calendar says has
happened since the last call (births, deaths, acknowledgements, misfortunes), serving requests in
closed form between two changes. The world is strict about what a target owes its conductor:
fencing by generation, the precondition of a route re-checked at the moment of acting, drained
victims, restarts as the same release. ``watchers`` see every interval and order; checkers live on
that.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from holdfast.rollout.model import Order, ReleaseId, Route, Scale
from holdfast.runtime.clock import Clock
from holdfast.spec.model import Service
from holdfast.targets.base import Bundle, Fault, Look, RawCounts, Refused, Unreachable
from holdfast.targets.simulated.behaviour import Behaviour, Cast, Traffic, Weather
from holdfast.targets.simulated.dataplane import DataPlane, Interval
from holdfast.targets.simulated.fleet import Alarms, Fleet, Shop
from holdfast.targets.simulated.misfortunes import Trouble

#: What an order waits for when nobody answers; longer than any deadline of a conductor.
FOREVER_S = 3600.0


@dataclass(frozen=True, slots=True)
class Glimpse:
    """The world around one order: ready, size, in-flight work and weight by release."""

    ready: Mapping[ReleaseId, int]
    size: Mapping[ReleaseId, int]
    in_flight: Mapping[ReleaseId, int]
    weights: Mapping[ReleaseId, int]
    idle_since: Mapping[ReleaseId, float]


@dataclass(frozen=True, slots=True)
class OrderSeen:
    """One order as the world took it. ``refused`` is a code, empty when it was performed."""

    at: float
    order: Order
    refused: str
    before: Glimpse


class Watcher(Protocol):
    def interval(self, interval: Interval) -> None: ...

    def order(self, seen: OrderSeen) -> None: ...


class World:
    """``targets.base.Target`` in memory. ``seed`` decides every draw."""

    def __init__(
        self,
        clock: Clock,
        seed: int | str = 0,
        *,
        service: Service | None = None,
        cast: Cast | None = None,
        traffic: Traffic | None = None,
        weather: Weather | None = None,
    ) -> None:
        self.clock = clock
        self.cast = cast or Cast()
        self.weather = weather or Weather()
        self.dice = random.Random(f"world {seed}")
        self.alarms = Alarms()
        self.shop = Shop(self.alarms, random.Random(f"shop {seed}"))
        self.fleets: dict[ReleaseId, Fleet] = {}
        self.plane = DataPlane(traffic or Traffic(), random.Random(f"plane {seed}"))
        self.plane.since = clock.now()
        self.generation = 0
        self.prepared: dict[ReleaseId, Bundle] = {}
        self.watchers: list[Watcher] = []
        self.trouble = Trouble(self)
        self._routes = 0
        self._pending: tuple[tuple[ReleaseId, int], ...] | None = None
        if service is not None:
            self._learn(service)
        self.change_weather(self.weather)

    def change_weather(self, weather: Weather) -> None:
        """New chances from now on; the misfortunes it names are put on the calendar."""
        self.advance()
        self.weather = weather
        self.shop.death_rate, self.shop.calm_at = weather.death_rate, weather.calm_at
        for misfortune in weather.misfortunes:
            self.trouble.schedule(misfortune)

    def _learn(self, service: Service) -> None:
        self.shop.start_within_s = service.probes.start_within
        self.shop.drain_s = service.rollout.drain

    # ---- the five verbs -------------------------------------------------------------------------

    async def prepare(self, bundle: Bundle) -> None:
        await self._travel()
        behaviour = self._behaviour(bundle.release.id, bundle)
        if behaviour.prepare_fails:
            raise Refused(behaviour.prepare_fails, f"release {bundle.release.id}")
        self.prepared[bundle.release.id] = bundle
        self._learn(bundle.service)

    async def observe(self) -> Look:
        await self._travel()
        if self._strikes(self.weather.look_lost):
            raise Unreachable("the look was lost")
        now = self.advance()
        fleets = tuple(fleet.seen(now) for fleet in self.fleets.values() if fleet.exists)
        return Look(fleets, tuple(self.plane.weights.items()), self.trouble.drift)

    def watch(self, changed: Callable[[], None]) -> None:
        """Tells nothing: in virtual time looking often costs nothing."""

    async def perform(self, order: Order) -> None:
        await self._travel()
        if self._strikes(self.weather.dropped):
            raise Unreachable(f"no answer to {order}")
        self.advance()
        code = self._why_refuse(order)
        self._tell(order, code)
        if code:
            raise Refused(code, f"{order} at generation {self.generation}")
        self.generation = max(self.generation, order.generation)
        self._obey(order)
        if self._strikes(self.weather.hangs):
            await asyncio.sleep(FOREVER_S)
        if self._strikes(self.weather.lost):
            raise Unreachable(f"the answer to {order} was lost")

    async def counters(self) -> Mapping[ReleaseId, RawCounts]:
        await self._travel()
        if self.trouble.metrics_down:
            raise Unreachable("the metric store does not answer")
        self.advance()
        return self.trouble.frozen_counters or self.plane.counters()

    def suffer(self, fault: Fault) -> AbstractAsyncContextManager[None]:
        return self._suffering(fault)

    async def aclose(self) -> None:
        """Instances live on; a world is only memory."""

    @asynccontextmanager
    async def _suffering(self, fault: Fault) -> AsyncIterator[None]:
        self.trouble.begin(fault, self.advance())
        try:
            yield
        finally:
            self.trouble.end(fault, self.advance())

    # ---- time -----------------------------------------------------------------------------------

    def advance(self) -> float:
        """Let everything happen that is due; returns the time."""
        now = self.clock.now()
        while (due := self.alarms.next_before(now)) is not None:
            when, ring = due
            self._pass_time(max(when, self.plane.since))
            ring(when)
        self._pass_time(now)
        return now

    def _pass_time(self, end: float) -> None:
        interval = self.plane.pass_time(end, self.fleets)
        if interval is not None:
            for watcher in self.watchers:
                watcher.interval(interval)

    async def _travel(self) -> None:
        """The way to the target takes a moment, and sometimes nobody is there."""
        if self.weather.latency_s > 0:
            await asyncio.sleep(self.weather.latency_s)
        self.advance()
        if self.trouble.deaf:
            raise Unreachable("the target does not answer")

    def _strikes(self, chance: float) -> bool:
        if chance <= 0 or self.clock.now() >= self.weather.calm_at:
            return False
        return self.dice.random() < chance

    # ---- orders ---------------------------------------------------------------------------------

    def _why_refuse(self, order: Order) -> str:
        if order.generation < self.generation:
            return "stale-generation"
        if self._strikes(self.weather.refused):
            return "busy"
        match order:
            case Scale():
                return self._why_refuse_scale(order)
            case Route():
                return self._why_refuse_route(order)

    def _why_refuse_scale(self, order: Scale) -> str:
        if order.idle and order.release in {**self.plane.weights, **dict(self._pending or ())}:
            return "carries-traffic"
        known = order.release in self.prepared or order.release in self.fleets
        return "" if known or order.size == 0 else "unprepared"

    def _why_refuse_route(self, route: Route) -> str:
        if sum(weight for _, weight in route.weights) != 100:
            return "bad-weights"
        for release, needed in route.needs:
            if self.ready(release) < needed:
                return "not-ready"
        return ""

    def ready(self, release: ReleaseId) -> int:
        fleet = self.fleets.get(release)
        return fleet.ready if fleet is not None else 0

    def _obey(self, order: Order) -> None:
        match order:
            case Scale():
                self._scale(order)
            case Route():
                self._route(order)

    def _scale(self, order: Scale) -> None:
        fleet = self.fleets.get(order.release)
        if fleet is None:
            behaviour = self._behaviour(order.release, self.prepared.get(order.release))
            fleet = self.fleets[order.release] = Fleet(order.release, behaviour, self.shop)
        others = sum(f.size for f in self.fleets.values() if f is not fleet)
        room = int(min(self.shop.quota, 10**9)) - others - fleet.size
        fleet.scale(order.size, room, self.clock.now())
        self.plane.spread(self.fleets, self.clock.now())

    def _route(self, order: Route) -> None:
        """The newest accepted weights are acknowledged after a while, unless rejected.

        The same order again changes nothing: what is on its way stays on its way.
        """
        if self._pending == order.weights:
            return
        self._pending = order.weights
        self._routes += 1
        mine = self._routes
        weights = dict(order.weights)

        def acknowledge(_now: float) -> None:
            if mine != self._routes:
                return
            self._pending = None
            if not self.trouble.nack:
                self.plane.route(weights, self.fleets)

        delay = self.weather.ack_s + self.trouble.slow_ack_s
        self.alarms.at(self.clock.now() + delay, acknowledge)

    def _behaviour(self, release: ReleaseId, bundle: Bundle | None) -> Behaviour:
        named = dict(self.cast.behaviours)
        if release in named:
            return named[release]
        if bundle is not None and bundle.release.version in named:
            return named[bundle.release.version]
        return Behaviour.from_env(bundle.service.run.env) if bundle is not None else Behaviour()

    def _tell(self, order: Order, refused: str) -> None:
        if self.watchers:
            seen = OrderSeen(self.clock.now(), order, refused, self.glimpse())
            for watcher in self.watchers:
                watcher.order(seen)

    def glimpse(self) -> Glimpse:
        now = self.clock.now()
        return Glimpse(
            ready={r: f.ready for r, f in self.fleets.items()},
            size={r: f.size for r, f in self.fleets.items()},
            in_flight={r: f.in_flight(now) for r, f in self.fleets.items()},
            weights=dict(self.plane.weights),
            idle_since={r: f.idle_since for r, f in self.fleets.items()},
        )
