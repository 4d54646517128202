"""The conductor of one home: everything that is shared, and a station for each service.

Here the parts meet: ledger, leases, clock, targets, gauges. Nothing is judged here.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from holdfast.conductor.auth import Identity, user_name
from holdfast.conductor.clusters import Clusters
from holdfast.conductor.conduct import Means, Post
from holdfast.conductor.console.series import Series, Weights
from holdfast.conductor.events import News
from holdfast.conductor.journal import Journal, LedgerJournal
from holdfast.conductor.lease import (
    CONDUCTOR,
    LEASE_S,
    RENEW_S,
    ConductorLock,
    Held,
    Lease,
    LeaseError,
    Leases,
    Lost,
    lock_is_held,
)
from holdfast.conductor.releases import Releases
from holdfast.conductor.station import Holdings, Station
from holdfast.ledger import (
    Archive,
    Broken,
    Draft,
    Ledger,
    LedgerBusy,
    LedgerError,
    LedgerInDoubt,
    LedgerMissing,
)
from holdfast.rollout.commands import Rejected
from holdfast.rollout.dispersion import Bins
from holdfast.rollout.model import Decision, Event, Observation
from holdfast.runtime.clock import Clock, LoopClock
from holdfast.runtime.codec import Undecodable, canonical
from holdfast.runtime.home import Home
from holdfast.spec.model import Service
from holdfast.targets.base import Target
from holdfast.telemetry.gauge import Gauge

log = logging.getLogger("holdfast.conductor")

ADDED = "ServiceAdded"
SERVICES_MAX = 10_000
STAND_BY_S = 1.0
#: A conductor that cannot renew leaves before its lease has ended.
GIVE_UP_S = LEASE_S - RENEW_S - 2.0
#: This much of the control's latest past tells whether it is sick, with at least so many requests.
SICK_LOOKS = 30
SICK_REQUESTS_MIN = 20


class FencedJournal:
    """Records while the lease is held, then wakes the listeners.

    A conductor that was replaced (a suspended machine, a stopped process) finds out here, before
    it writes, and its target refuses its generation besides.
    """

    def __init__(self, inner: Journal, leases: Leases, lease: Lease, news: News) -> None:
        self._inner, self._leases, self._lease, self._news = inner, leases, lease, news

    async def record(self, service: str, events: Sequence[Event]) -> None:
        self._leases.check(self._lease)
        try:
            await self._inner.record(service, events)
        except (LedgerBusy, LedgerInDoubt) as error:  # replaced, or cut off for too long
            raise Lost(str(error)) from error
        self._news.ring()

    def recall(self, service: str) -> tuple[Event, ...]:
        return self._inner.recall(service)


VERIFIED_MAX = 20_000  # entries; about a second


@dataclass(frozen=True)
class Works:
    """What all stations share."""

    home: Home
    ledger: Ledger
    leases: Leases
    clock: Clock
    news: News
    owner: str
    distrust: str | None  # why the past in the ledger cannot be believed
    clusters: Clusters


def distrust(ledger: Ledger) -> str | None:
    """What a check of the whole ledger found. What serves goes on; people are told.

    A long ledger is not checked here, because services would wait for it: ``holdfast audit
    verify`` is for that, on a schedule and against checkpoints kept elsewhere.
    """
    if ledger.size > VERIFIED_MAX:
        log.info("ledger of %d entries: checked by holdfast audit verify only", ledger.size)
        return None
    finding = ledger.verify()
    if not isinstance(finding, Broken):
        return None
    log.error("the ledger was changed: %s", finding)
    return f"the ledger was changed: {finding.detail}; see: holdfast audit verify"


class Conductor:
    """All services of one home. ``open`` takes the lock; ``close`` lets everything go on without.

    ``stopping`` is set when this conductor must not act any more.
    """

    def __init__(self, works: Works, lock: ConductorLock, lease: Lease) -> None:
        self.works, self.lease = works, lease
        self.stations: dict[str, Station] = {}
        self.unreadable: dict[str, str] = {}  # left alone: one bad past must not stop the others
        self.stopping = asyncio.Event()
        self.why_stopping = ""
        self.observers: list[Callable[[str, Sequence[Event]], None]] = []
        #: Who else knows bearers of tokens, such as the cluster that this conductor runs in.
        self.outside: Callable[[str], Awaitable[Identity | None]] | None = None
        self._lock = lock
        self._adding = asyncio.Lock()
        self._renewing: asyncio.Task[None] | None = None
        self._rollouts = 0

    @classmethod
    async def open_in_turn(cls, home: Home) -> Conductor:
        """As ``open``; where another machine's conductor holds the lease, waits for its end."""
        told = ""
        while True:
            try:
                return await cls.open(home)
            except Held as held:
                if not home.postgres.exists() or lock_is_held(home):
                    raise
                if told != held.lease.owner:
                    log.info("standing by: %s", held)
                told = held.lease.owner
            await asyncio.sleep(STAND_BY_S)

    @classmethod
    async def open(cls, home: Home, clock: Clock | None = None) -> Conductor:
        """Take the home and continue every service in it. Raises ``Held`` and ``LedgerError``."""
        clock = clock or LoopClock()
        home.ensure()
        leases = Leases(home.state)
        lock = ConductorLock(home)
        try:
            lock.take(leases, clock.wall())
            # Here the lock file says that nobody lives; elsewhere only an expired lease does.
            free = not leases.shared
            lease = leases.acquire(CONDUCTOR, owner_name(), clock.wall(), holder_is_dead=free)
            ledger = Ledger.open(home.ledger, ledger_origin(home), takeover=leases.shared)
        except BaseException:
            lock.close()
            leases.close()
            raise
        works = Works(
            home, ledger, leases, clock, News(), lease.owner, distrust(ledger), Clusters(clock)
        )  # fmt: skip
        conductor = cls(works, lock, lease)
        known = conductor.known_services()
        for name, held in zip(known, conductor._acquire(list(known)), strict=True):
            try:
                conductor._seat(name, known[name], held)
            except (Undecodable, LedgerError, Rejected, OSError, ValueError) as error:
                log.exception("%s: its past cannot be read", name)
                conductor.unreadable[name] = f"{type(error).__name__}: {error}"
        conductor._renewing = asyncio.create_task(conductor._renew(), name="leases")
        return conductor

    async def close(self) -> None:
        """Detach: every replica keeps serving, every rollout can be continued."""
        self.works.news.close()
        if self._renewing is not None:
            self._renewing.cancel()
        await asyncio.gather(*(station.detach() for station in self.stations.values()))
        now = self.works.clock.wall()
        with contextlib.suppress(LedgerError):  # a database that is gone lets them expire
            for lease in self._leases_held():
                self.works.leases.release(lease, now)
        self.works.ledger.close()
        self.works.leases.close()
        self._lock.close()

    def stop(self, why: str) -> None:
        self.why_stopping = why
        self.stopping.set()

    # ---- services

    def known_services(self) -> dict[str, str]:
        """Names and targets, in the order in which they were first deployed."""
        entries = self.works.ledger.replay(CONDUCTOR)
        bodies = (json.loads(entry.body) for entry in entries if entry.kind == ADDED)
        return {body["service"]: body["target"] for body in bodies}

    async def station_for(self, service: Service, by: str) -> Station:
        """The service's station; a new one is recorded first."""
        async with self._adding:
            found = self.stations.get(service.service)
            if found is not None:
                found.check_target(service)
                return found
            self._admit(service.service)
            body = canonical({"service": service.service, "target": service.target, "by": by})
            draft = Draft(CONDUCTOR, ADDED, body, self.works.clock.wall())
            await self.works.ledger.append([draft])
            self.works.news.ring()
            (lease,) = self._acquire([service.service])
            return self._seat(service.service, service.target, lease)

    def _admit(self, name: str) -> None:
        if name in self.unreadable:
            raise Rejected("unreadable", self.unreadable[name], "holdfast audit verify says more")
        if len(self.stations) >= SERVICES_MAX:
            raise Rejected("too-many-services", f"there are {SERVICES_MAX} services already")

    def passing_station(self, service: Service) -> Station:
        """A station that is never begun, to think a first deploy through."""
        lease = Lease(f"service/{service.service}", self.works.owner, 0.0, 0.0, 1)
        return self._station(service.service, service.target, lease)

    def _acquire(self, names: Sequence[str]) -> tuple[Lease, ...]:
        """Leases of services. Whoever had them before had the conductor's, so is replaced."""
        subjects = [f"service/{name}" for name in names]
        now = self.works.clock.wall()
        return self.works.leases.acquire_all(subjects, self.works.owner, now, holder_is_dead=True)

    def _seat(self, name: str, kind: str, lease: Lease) -> Station:
        station = self._station(name, kind, lease)
        if station.state.generation >= lease.generation:  # the table of leases was lost
            lease = self.works.leases.outgrow(lease, station.state.generation)
            station = self._station(name, kind, lease)
        station.post.watchers.decisions.append(self._tell_holds)
        station.post.watchers.events.append(self._tell_events)
        self.stations[name] = station
        station.begin(self._on_lost)
        return station

    def _station(self, name: str, kind: str, lease: Lease) -> Station:
        works = self.works
        releases = Releases(works.ledger, name)
        target = make_target(name, kind, works)
        inner = LedgerJournal(works.ledger, works.clock)
        journal = FencedJournal(inner, works.leases, lease, works.news)
        seat: list[Station] = []

        def gate(wall: float) -> str | None:
            return seat[0].gate(wall) if seat else None

        series = Series(works.clock, lambda: _weights(seat), lambda: len(self.stations))
        gauge = Gauge(series.tapping(target.counters), works.clock)
        means = Means(journal, target, gauge, works.clock, gate)
        post = Post(name, means, lease.generation, works.owner)
        target.watch(post.nudge)
        station = Station(
            Holdings(post, target, releases, lease, control_of, self._next_rollout, self._wall)
        )
        station.series = series
        station.distrust = works.distrust
        seat.append(station)
        return station

    def _next_rollout(self) -> str:
        """Unique in this ledger: the ledger grows with every rollout and every new conductor."""
        self._rollouts += 1
        return f"r{self.works.ledger.size}-{self.lease.generation}-{self._rollouts}"

    def _wall(self) -> float:
        return self.works.clock.wall()

    def _tell_holds(self, service: str, decision: Decision, _seen: Observation) -> None:
        self.works.news.tell_holds(service, decision.holds)

    def _tell_events(self, service: str, events: Sequence[Event]) -> None:
        for tell in self.observers:
            tell(service, events)

    # ---- leases

    def _leases_held(self) -> tuple[Lease, ...]:
        return (self.lease, *(station.lease for station in self.stations.values()))

    async def _renew(self) -> None:
        renewed = self.works.clock.now()
        while True:
            await asyncio.sleep(RENEW_S)
            try:
                self.works.leases.renew(self._leases_held(), self.works.clock.wall())
                renewed = self.works.clock.now()
            except LeaseError as error:
                return self.stop(str(error))
            except LedgerError as error:
                log.error("leases were not renewed: %s", error)
                # On a full disk the lock file still says who lives; elsewhere nothing does.
                if self.works.leases.shared and self.works.clock.now() - renewed > GIVE_UP_S:
                    return self.stop(f"the leases could not be renewed: {error}")

    def _on_lost(self, lost: Lost) -> None:
        log.error("stopping: %s", lost)
        self.stop(str(lost))


def _weights(seat: list[Station]) -> Weights:
    """As the data plane acknowledged them at the latest look."""
    seen = seat[0].post.seen if seat else None
    return seen.weights if seen is not None else ()


# ---- parts --------------------------------------------------------------------------------------


def make_target(name: str, kind: str, works: Works) -> Target:
    """A service keeps its kind of target for life."""
    if kind == "simulated":
        from holdfast.targets.simulated.world import World

        return World(works.clock, name)
    if kind == "kubernetes":
        return works.clusters.target(ledger_origin(works.home))
    from holdfast.targets.local import LocalTarget

    works.home.ensure_service(name)
    return LocalTarget(name, works.home.path, works.clock)


def control_of(post: Post, service: Service) -> tuple[float, bool]:
    """What the stable release's latest past says: how bursty its errors are, and if it is sick."""
    bins = Bins()
    for seconds, counts in post.control:
        bins = bins.add(seconds, counts.errors)
    recent = list(post.control)[-SICK_LOOKS:]
    requests = sum(counts.requests for _seconds, counts in recent)
    errors = sum(counts.errors for _seconds, counts in recent)
    failing = requests >= SICK_REQUESTS_MIN and errors >= SICK_RATE * requests
    return bins.dispersion, failing or _is_dead(post)


#: ``rollout.model.JudgePolicy.sick_rate``: a control failing this often cannot judge anybody.
SICK_RATE = 0.2


def _is_dead(post: Post) -> bool:
    stable, seen = post.state.stable, post.seen
    if stable is None or seen is None or post.state.replicas == 0:
        return False
    return seen.fleet(stable.id).ready == 0


def owner_name() -> str:
    return f"{user_name(os.geteuid())}@{socket.gethostname()} pid {os.getpid()}"


def ledger_origin(home: Home) -> str:
    """A ledger keeps its name for ever, so a new one gets a name nobody else has."""
    with contextlib.suppress(LedgerMissing), Archive.read(home.ledger) as archive:
        if archive.origin:
            return archive.origin
    return f"holdfast/{socket.gethostname()}/{secrets.token_hex(4)}"
