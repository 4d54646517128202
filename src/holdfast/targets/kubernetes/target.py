"""The Kubernetes target: one service in one namespace of one cluster. See ``targets.base.Target``.

Everything a successor needs stands in the cluster: letting go, or dying, stops nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from holdfast.rollout.model import Order, ReleaseId, Scale
from holdfast.runtime.clock import Clock
from holdfast.spec.model import Service
from holdfast.targets.base import Bundle, Fault, Look, RawCounts, Refused, Unreachable
from holdfast.targets.kubernetes import drift, faults, routes, seen, wanted
from holdfast.targets.kubernetes.client import Client
from holdfast.targets.kubernetes.clients import Clients
from holdfast.targets.kubernetes.lease import Hold, Seat
from holdfast.targets.kubernetes.marks import hashed, object_name, release_of
from holdfast.targets.kubernetes.performing import Performer
from holdfast.targets.kubernetes.preparing import prepare, settle
from holdfast.targets.kubernetes.shares import Acknowledged
from holdfast.targets.kubernetes.sight import Seen, Sight
from holdfast.targets.kubernetes.words import LastWords

#: Of the newest release and the names by which a source of metrics may know each release.
Counters = Callable[[Bundle, Mapping[str, ReleaseId]], Awaitable[Mapping[ReleaseId, RawCounts]]]


async def uncounted(
    bundle: Bundle, releases: Mapping[str, ReleaseId]
) -> Mapping[ReleaseId, RawCounts]:
    """Nobody counts requests here: the judge is told so, and never guesses."""
    raise Unreachable(f"no source of metrics is known for {bundle.service.service}")


async def nothing() -> None:
    """There is nothing to close."""


@dataclass(frozen=True, slots=True)
class Access:
    """How the cluster is reached, by whom, and who counts requests there."""

    holder: str  # of leases; the same after a restart of the same conductor
    clients: Clients
    counters: Counters = uncounted
    uncount: Callable[[], Awaitable[None]] = nothing  # lets the source of ``counters`` go


@dataclass(frozen=True)
class Opened:
    """The parts that exist once the first release says which cluster and namespace it is."""

    spec: Service
    client: Client
    hold: Hold
    sight: Sight
    shares: Acknowledged
    performer: Performer
    words: LastWords


class KubernetesTarget:
    """One service. The first prepared release opens it; others must name the same place."""

    def __init__(self, access: Access, clock: Clock) -> None:
        self._access, self._clock = access, clock
        self._bundles: dict[ReleaseId, Bundle] = {}
        self._opened: Opened | None = None
        self._opening = asyncio.Lock()
        self._closed_by: Refused | None = None  # why the cluster cannot be looked at
        self._changed: Callable[[], None] = lambda: None
        self._told_drift: str | None = None

    # ---- the protocol ---------------------------------------------------------------------------

    async def prepare(self, bundle: Bundle) -> None:
        parts = await self._open(bundle.service)
        await settle(parts.client, bundle.service)
        await parts.hold.take()
        await prepare(parts.client, bundle)
        self._bundles.pop(bundle.release.id, None)
        self._bundles[bundle.release.id] = bundle  # the newest comes last

    async def observe(self) -> Look:
        if self._closed_by is not None:
            raise self._closed_by
        if self._opened is None:
            return Look((), ())  # nothing was ever deployed
        parts = self._opened
        there = await parts.sight.look()
        words = await parts.words.of(there)
        fleets = seen.fleets(
            there.pods.values(), there.deployments.values(), there.slices.values(), words
        )
        weights = parts.shares.weights(there, self._names(there))
        self._told_drift = self._drift(parts, there)
        return Look(fleets, weights, self._told_drift)

    def watch(self, changed: Callable[[], None]) -> None:
        self._changed = changed

    async def perform(self, order: Order) -> None:
        parts = self._opened
        if parts is None:
            raise Refused("unprepared", "no release of this service was prepared")
        await parts.hold.take()
        fence = parts.hold.fence(order.generation)
        there = await parts.sight.look()
        # Orders while the engine knows of drift are those that must win over it.
        known = self._told_drift is not None
        if isinstance(order, Scale):
            bundle = self._bundles.get(order.release)
            await parts.performer.scale(order, fence, there, bundle, known)
        else:
            bundles = [self._known(release) for release, weight in order.weights if weight]
            await parts.performer.route(order, fence, there, bundles, known)

    async def counters(self) -> Mapping[ReleaseId, RawCounts]:
        if not self._bundles:
            return {}
        newest = next(reversed(self._bundles.values()))
        return await self._access.counters(newest, by_names(self._bundles.values()))

    def suffer(self, fault: Fault) -> AbstractAsyncContextManager[None]:
        if self._opened is None:
            raise Refused("no-victim", "nothing is deployed")
        parts = self._opened
        return faults.suffer(fault, parts.client, wanted.namespace(parts.spec), parts.sight)

    async def aclose(self) -> None:
        parts, self._opened = self._opened, None
        if parts is not None:
            await parts.sight.aclose()
            await parts.hold.let_go()
            await self._access.clients.give_back(parts.client)
        await self._access.uncount()

    # ---- parts ----------------------------------------------------------------------------------

    @property
    def calls(self) -> Mapping[str, int]:
        """Requests to the API server by verb, of all services that share its client."""
        return self._opened.client.calls if self._opened is not None else {}

    def _known(self, release: ReleaseId) -> Bundle:
        if release not in self._bundles:
            raise Refused("unprepared", f"{release} was not prepared")
        return self._bundles[release]

    def _names(self, there: Seen) -> dict[str, ReleaseId]:
        """Releases by their hash."""
        known = {hashed(release): release for release in self._bundles}
        for each in there.deployments.values():
            if (release := release_of(each)) is not None:
                known[hashed(release)] = release
        return known

    def _drift(self, parts: Opened, there: Seen) -> str | None:
        said = list(drift.of_deployments(there.deployments.values(), there.autoscalers.values()))
        if there.route is not None:
            way = routes.way_of(parts.spec)
            changed = drift.of_route(there.route, routes.shares(way, there.route))
            refused = routes.refusal(way, there.route)
            said += [changed] if changed else []
            said += [f"the gateway refuses the route: {refused}"] if refused else []
        return "; ".join(said) or None

    async def _open(self, spec: Service) -> Opened:
        async with self._opening:
            if self._opened is None:
                try:
                    self._opened = self._made(spec)
                except Refused as refused:
                    self._closed_by = refused
                    raise
                self._closed_by = None
                self._opened.sight.open()
            _check_same(self._opened.spec, spec)
            return self._opened

    def _made(self, spec: Service) -> Opened:
        client = self._access.clients.borrow(spec.kubernetes.context)
        way = routes.way_of(spec)
        seat = Seat(wanted.namespace(spec), f"holdfast-{spec.service}", self._access.holder)
        sight = Sight(client, self._clock, spec, way, lambda: self._changed())
        shares = Acknowledged(way)
        performer = Performer(client, sight, shares, way)
        words = LastWords(client, wanted.namespace(spec))
        hold = Hold(client, self._clock, seat)
        return Opened(spec, client, hold, sight, shares, performer, words)


def by_names(bundles: Iterable[Bundle]) -> dict[str, ReleaseId]:
    """Releases by everything a label may call them: a version only where one release has it."""
    found: dict[str, ReleaseId] = {}
    versions: dict[str, set[ReleaseId]] = {}
    for bundle in bundles:
        release = bundle.release
        versions.setdefault(release.version, set()).add(release.id)
        address = object_name(bundle.service.service, release.id)
        found |= {name: release.id for name in (release.id, hashed(release.id), address)}
    sole = {version: next(iter(ids)) for version, ids in versions.items() if len(ids) == 1}
    return sole | found


def _check_same(first: Service, spec: Service) -> None:
    """Another place would be another service: its instances here would be left alone."""
    for key in ("context", "namespace", "steer"):
        before, now = getattr(first.kubernetes, key), getattr(spec.kubernetes, key)
        if before != now:
            detail = f"kubernetes.{key} was {before or 'left out'} and is now {now or 'left out'}"
            raise Refused("target-changed", f"{detail}: deploy it under another service name")
