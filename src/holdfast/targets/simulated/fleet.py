"""The instances of one release in a simulated world: births, readiness, deaths, restarts, drain.

A fleet never looks at a clock; it sets alarms through ``Alarms`` and is called back. An alarm of
an instance whose life went another way meanwhile is void (``Instance.life`` has moved on).
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from holdfast.rollout.model import FAILURES, Failure, FleetSeen, ReleaseId
from holdfast.targets.simulated.behaviour import AT_ONCE, Behaviour, Fate

#: A supervisor waits 0.1, 0.2, 0.4 ... up to this long before it starts a dead instance again.
BACKOFF_S_MAX = 5.0
#: Deaths in a row without a useful life between them that make a crash loop.
LOOP_DEATHS = 3
#: An instance that lived this long was not in a crash loop.
USEFUL_LIFE_S = 10.0


class Life(StrEnum):
    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"
    GONE = "gone"


@dataclass(slots=True)
class Instance:
    """One process, container or pod."""

    number: int
    release: ReleaseId
    state: Life = Life.STARTING
    life: int = 0  # counts changes of state; alarms of an earlier life are void
    ready_at: float = 0.0
    deaths: int = 0
    hung: bool = False  # looks ready, answers nothing


@dataclass(frozen=True, slots=True)
class Farewell:
    """One instance that was told to go: when, when it was gone, and whether it was serving."""

    release: ReleaseId
    told: float
    gone: float
    served: bool


class Alarms:
    """The world's calendar: the earliest first, ties in the order they were set."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[[float], None]]] = []
        self._count = 0

    def at(self, when: float, ring: Callable[[float], None]) -> None:
        self._count += 1
        heapq.heappush(self._heap, (when, self._count, ring))

    def next_before(self, now: float) -> tuple[float, Callable[[float], None]] | None:
        if self._heap and self._heap[0][0] <= now:
            when, _, ring = heapq.heappop(self._heap)
            return when, ring
        return None


@dataclass(slots=True)
class Shop:
    """What all fleets of one world share."""

    alarms: Alarms
    dice: random.Random
    start_within_s: float = 10.0
    drain_s: float = 30.0
    quota: float = math.inf
    slow_start_s: float = 0.0
    death_rate: float = 0.0
    calm_at: float = math.inf
    births: int = 0


class Fleet:
    """All instances of one release, supervised: who dies is started again as the same release."""

    def __init__(self, release: ReleaseId, behaviour: Behaviour, shop: Shop) -> None:
        self.release, self.behaviour, self._shop = release, behaviour, shop
        self.instances: list[Instance] = []
        self.wanted = 0
        self.restarts = 0
        self.failure: Failure | None = None
        self.lost = False
        self.farewells: list[Farewell] = []
        self.load = 0.0  # requests per second the data plane sends now
        self.idle_since = 0.0  # when the load became zero

    # ---- what can be seen -----------------------------------------------------------------------

    def of(self, *states: Life) -> list[Instance]:
        return [one for one in self.instances if one.state in states]

    @property
    def ready(self) -> int:
        return sum(one.state is Life.READY for one in self.instances)

    @property
    def size(self) -> int:
        return sum(one.state is not Life.DRAINING for one in self.instances)

    @property
    def exists(self) -> bool:
        return bool(self.instances) or self.wanted > 0

    def in_flight(self, now: float) -> int:
        """Requests the fleet still works on; they end one by one after the load has gone."""
        if self.load > 0:
            return math.ceil(self.load * self.behaviour.work_s)
        left = self.idle_since + self.behaviour.work_s - now
        return 1 if left > 1e-9 and self.instances else 0

    def seen(self, now: float) -> FleetSeen:
        counts = dict.fromkeys(Life, 0)
        for one in self.instances:
            counts[one.state] += 1
        return FleetSeen(
            self.release,
            starting=counts[Life.STARTING],
            ready=counts[Life.READY],
            draining=counts[Life.DRAINING],
            failed=counts[Life.FAILED],
            in_flight=self.in_flight(now),
            restarts=self.restarts,
            failure=self.failure,
        )

    def cold_share(self, now: float) -> float:
        """The part of the ready instances that still warms up."""
        ready = self.of(Life.READY)
        young = sum(now - one.ready_at < self.behaviour.cold_s for one in ready)
        return young / len(ready) if ready else 0.0

    def hung_share(self) -> float:
        ready = self.of(Life.READY)
        return sum(one.hung for one in ready) / len(ready) if ready else 0.0

    # ---- orders ---------------------------------------------------------------------------------

    def scale(self, size: int, room: int, now: float) -> None:
        """Have ``size`` instances; ``room`` is how many more the quota allows."""
        self.wanted = size
        missing = size - self.size
        if missing > room:
            detail = f"{missing} more instances wanted, room for {max(0, room)}"
            self.failure = Failure("quota", detail, hopeless=False)
        elif self.failure is not None and (self.failure.code == "quota" or size == 0):
            self.failure = None
        for _ in range(min(missing, max(0, room))):
            self._launch(now)
        for victim in self._victims(-missing):
            self._stop(victim, now)

    def _victims(self, count: int) -> list[Instance]:
        """Broken ones first, then starting ones, then the youngest that serve."""
        order = {Life.FAILED: 0, Life.STARTING: 1, Life.READY: 2}
        alive = self.of(Life.FAILED, Life.STARTING, Life.READY)
        alive.sort(key=lambda one: (order[one.state], -one.number))
        return alive[: max(0, count)]

    def _launch(self, now: float) -> None:
        self._shop.births += 1
        one = Instance(self._shop.births, self.release)
        self.instances.append(one)
        self._start(one, now)

    def _stop(self, victim: Instance, now: float) -> None:
        served = victim.state is Life.READY
        self._enter(victim, Life.DRAINING)
        work = self.behaviour.work_s if served and self._busy(now) else 0.0

        def gone(one: Instance, end: float) -> None:
            self.farewells.append(Farewell(self.release, now, end, served))
            self._gone(one)

        self._alarm(now + min(work, self._shop.drain_s), victim, gone)

    def _busy(self, now: float) -> bool:
        return self.load > 0 or now < self.idle_since + self.behaviour.work_s

    # ---- lives ----------------------------------------------------------------------------------

    def _enter(self, one: Instance, state: Life) -> None:
        one.state = state
        one.life += 1
        one.hung = False

    def _alarm(self, when: float, one: Instance, ring: Callable[[Instance, float], None]) -> None:
        life = one.life

        def if_still(now: float) -> None:
            if one.life == life:
                ring(one, now)

        self._shop.alarms.at(when, if_still)

    def _start(self, one: Instance, now: float) -> None:
        self._enter(one, Life.STARTING)
        if self.lost:
            self._fail(one, now, "image-pull", "the release cannot be fetched any more")
            return
        behaviour, shop = self.behaviour, self._shop
        takes = behaviour.start_s + shop.dice.random() * behaviour.start_spread_s
        takes += shop.slow_start_s
        fate = behaviour.fate
        if fate in AT_ONCE:
            self._alarm(now + min(takes, 0.3), one, self._exits)
        elif fate in (Fate.NEVER_LISTENS, Fate.NEVER_READY) or takes > shop.start_within_s:
            self._alarm(now + shop.start_within_s, one, self._times_out)
        else:
            self._alarm(now + takes, one, self._becomes_ready)

    def _becomes_ready(self, one: Instance, now: float) -> None:
        self._enter(one, Life.READY)
        one.ready_at = now
        if self.failure is not None and self.failure.code != "quota" and not self._looping():
            self.failure = None
        behaviour, shop = self.behaviour, self._shop
        if behaviour.fate is Fate.CRASH_LOOP:
            self._alarm(now + behaviour.life_s * (0.5 + shop.dice.random()), one, self.kill)
        elif shop.death_rate > 0:
            dies = now + shop.dice.expovariate(shop.death_rate)
            if dies < shop.calm_at:
                self._alarm(dies, one, self.kill)
        if behaviour.flap_every_s > 0:
            self._alarm(now + behaviour.flap_every_s * (0.5 + shop.dice.random()), one, self._flap)

    def _flap(self, one: Instance, now: float) -> None:
        """Readiness is lost for a moment; the process lives on."""
        if now >= self._shop.calm_at:
            return
        self._enter(one, Life.STARTING)
        self._alarm(now + self.behaviour.flap_down_s, one, self._becomes_ready)

    def _exits(self, one: Instance, now: float) -> None:
        self._die(one, now, self.behaviour.fate.value)

    def _times_out(self, one: Instance, now: float) -> None:
        fate = self.behaviour.fate
        code = fate.value if fate is Fate.NEVER_LISTENS else "never-ready"
        self._die(one, now, code)

    def kill(self, one: Instance, now: float) -> None:
        """An unexpected death of an instance that served."""
        if now - one.ready_at >= USEFUL_LIFE_S:
            one.deaths = 0
        self._die(one, now, "crash-loop" if one.deaths + 1 >= LOOP_DEATHS else "")

    def _die(self, one: Instance, now: float, code: str) -> None:
        self.restarts += 1
        one.deaths += 1
        self._fail(one, now, code, f"instance {one.number}, {one.deaths} deaths")

    def _fail(self, one: Instance, now: float, code: str, detail: str) -> None:
        self._enter(one, Life.FAILED)
        if code:
            self.failure = Failure(code, f"{FAILURES[code]} ({detail})", (f"exit of {detail}",))
        backoff = min(BACKOFF_S_MAX, 0.1 * 2.0 ** min(one.deaths, 10))
        self._alarm(now + backoff, one, self._start_again)

    def _start_again(self, one: Instance, now: float) -> None:
        self._start(one, now)

    def _looping(self) -> bool:
        return any(one.deaths >= LOOP_DEATHS for one in self.instances)

    def _gone(self, one: Instance) -> None:
        self._enter(one, Life.GONE)
        self.instances.remove(one)

    # ---- misfortunes ----------------------------------------------------------------------------

    def kill_some(self, count: int, now: float) -> None:
        for one in self.of(Life.READY)[:count]:
            self.kill(one, now)

    def lose(self, now: float) -> None:
        """Gone for good: nothing of this release can ever be started again."""
        self.lost = True
        for one in self.of(Life.READY, Life.STARTING):
            self._fail(one, now, "image-pull", "the release cannot be fetched any more")

    def hang(self, notice_s: float, now: float) -> None:
        """One ready instance answers nothing until its probe notices."""
        for one in self.of(Life.READY)[:1]:
            one.hung = True
            self._alarm(now + notice_s, one, self.kill)
