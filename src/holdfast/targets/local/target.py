"""The local target: one service as processes behind one Envoy. The protocol and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from holdfast.rollout.model import Order, ReleaseId, Route, Scale
from holdfast.runtime.clock import Clock
from holdfast.targets.base import Bundle, Fault, Look, RawCounts, Refused
from holdfast.targets.local import envoy_stats, faults
from holdfast.targets.local.edge import Edge
from holdfast.targets.local.envoy import Envoy
from holdfast.targets.local.launch import directory
from holdfast.targets.local.prepare import check_machine, places_of
from holdfast.targets.local.process import Process
from holdfast.targets.local.reasons import of_os_error
from holdfast.targets.local.records import Instance, Standing
from holdfast.targets.local.shelf import Shelf
from holdfast.targets.local.supervisor import Supervisor


class LocalTarget:
    """See ``targets.base.Target``. ``home`` is the state directory, shared by all services.

    Everything a successor needs is on disk: letting go, or dying, stops nobody.
    """

    def __init__(self, service_name: str, home: Path, clock: Clock) -> None:
        self.root = home.resolve() / "services" / service_name
        self.clock = clock
        self._base = home.resolve().parent
        self._service = service_name
        self._shelf = Shelf(self.root)
        self._opening = asyncio.Lock()
        self._opened = False
        self._changed: Callable[[], None] = lambda: None
        self.envoy: Envoy
        self.supervisor: Supervisor
        self._edge: Edge

    # ---- the protocol ---------------------------------------------------------------------------

    async def prepare(self, bundle: Bundle) -> None:
        await self._open()
        base = self._base / bundle.base_dir
        check_machine(bundle, base, self.root, self._edge.traffic)
        try:
            cwd = directory(bundle.service.run, base)
            await asyncio.to_thread(self._shelf.put, bundle, cwd)  # may copy a lot
        except OSError as error:
            why = of_os_error(error, "keeping the files of the release")
            raise Refused(why.code, why.detail) from error

    async def observe(self) -> Look:
        await self._open()
        fleets = self.supervisor.fleets
        hosts = await self.envoy.hosts() if fleets else ()
        seen = tuple(fleet.seen(hosts) for _, fleet in sorted(fleets.items()))
        drift = self.envoy.changed_outside()
        weights = self._edge.weights_on_disk() if drift else self._shelf.standing.weights
        said = f"{drift} was changed outside Holdfast" if drift else self.envoy.deaf
        return Look(seen, weights, said)

    def watch(self, changed: Callable[[], None]) -> None:
        self._changed = changed

    async def perform(self, order: Order) -> None:
        await self._open()
        if order.generation < self._shelf.standing.generation:
            newest = self._shelf.standing.generation
            raise Refused("stale-generation", f"{order.generation} is older than {newest}")
        try:
            await (self._scale(order) if isinstance(order, Scale) else self._route(order))
        except OSError as error:
            why = of_os_error(error, "state directory")
            raise Refused(why.code, why.detail) from error

    async def counters(self) -> Mapping[ReleaseId, RawCounts]:
        await self._open()
        fleets = self.supervisor.fleets
        if not fleets:
            return {}
        promised = {name: fleet.bundle.service.promises.p99 for name, fleet in fleets.items()}
        tcp = self._edge.traffic is not None and self._edge.traffic.protocol == "tcp"
        return envoy_stats.counts(await self.envoy.counters(), promised, tcp)

    def suffer(self, fault: Fault) -> AbstractAsyncContextManager[None]:
        return faults.suffer(fault, self.supervisor, self.envoy)

    async def aclose(self) -> None:
        if self._opened:
            await self.supervisor.detach()
            await self.envoy.detach()
            self._opened = False

    # ---- orders ---------------------------------------------------------------------------------

    async def _scale(self, order: Scale) -> None:
        standing = self._shelf.standing
        if order.idle and (share := self._carried(order.release)):
            raise Refused("carries-traffic", f"{order.release} has {share} % of the traffic")
        sizes = {**standing.sizes, order.release: order.size}
        sizes = {name: size for name, size in sizes.items() if size}
        weights = standing.weights
        if weights and not any(weight and name in sizes for name, weight in weights):
            await self._edge.close()  # nobody is left to answer: let nobody in
            weights = ()
        if order.size:
            await self.envoy.ensure()
            self.supervisor.fleet(self._shelf.bundle(order.release)).resize(order.size)
        elif fleet := self.supervisor.fleets.get(order.release):
            fleet.resize(0)
        self._shelf.stand(Standing(order.generation, sizes, weights))

    def _carried(self, release: ReleaseId) -> int:
        """Percent of the traffic it has, or may have got by a route nobody acknowledged."""
        shares = (*self._shelf.standing.weights, *self._edge.unsure)
        return max((weight for name, weight in shares if name == release), default=0)

    async def _route(self, order: Route) -> None:
        hosts = await self.envoy.hosts() if order.needs and self.supervisor.fleets else ()
        for release, needed in order.needs:
            ready = self.supervisor.ready(release, hosts)
            if ready < needed:
                raise Refused("not-ready", f"{release} has {ready} ready, {needed} are needed")
        bundles = [self._shelf.bundle(name) for name, weight in order.weights if weight]
        await self._edge.route(order.weights, bundles)
        sizes = self._shelf.standing.sizes
        self._shelf.stand(Standing(order.generation, sizes, order.weights))

    async def _open(self) -> None:
        """Once, at the first verb: take over what an earlier target left running."""
        async with self._opening:
            if not self._opened:
                self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
                self.envoy = Envoy(self._service, places_of(self.root), self.root / "logs")
                self.supervisor = Supervisor(
                    self.root, self._base, self.envoy, lambda: self._changed()
                )
                self._edge = Edge(self.envoy)
                self._opened = True
                try:
                    await self._take_over()
                except BaseException:
                    await self.aclose()  # half a target would stay one
                    raise

    async def _take_over(self) -> None:
        running = self.supervisor.left_running()
        sizes = {release: _staying(instances) for release, instances in running.items()}
        self._shelf.recover(sizes, self._edge.weights_on_disk())
        standing = self._shelf.standing
        bundles = self._shelf.known(sorted({*standing.sizes, *running}))
        mine = [running.get(bundle.release.id, ()) for bundle in bundles]
        self.envoy.adopt()
        # Before anything starts, for a stray may hold a port that is needed.
        await self.supervisor.end_strays(instance for each in mine for instance, _process in each)
        await (self.envoy.ensure() if bundles else self.envoy.stop())
        for bundle in bundles:
            release = bundle.release.id
            fleet = self.supervisor.fleet(bundle)
            for instance, process in running.get(release, ()):
                fleet.adopt(instance, process)
            fleet.resize(standing.sizes.get(release, 0))
        routed = self._shelf.known([name for name, weight in standing.weights if weight])
        if routed:
            self._edge.resume(standing.weights, routed)
        self.supervisor.open()


def _staying(found: Sequence[tuple[Instance, Process]]) -> int:
    return sum(not instance.leaving for instance, _process in found)
