"""Fleets of replicas as processes, and what Envoy is told about them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

from holdfast.rollout.model import FleetSeen, ReleaseId
from holdfast.targets.base import Bundle, Refused, Unreachable
from holdfast.targets.local import envoy_config, logs, records, strays
from holdfast.targets.local.envoy import Envoy, files_of_kind, files_of_release
from holdfast.targets.local.envoy_config import Config, Endpoint, file_name
from holdfast.targets.local.envoy_stats import Host
from holdfast.targets.local.forking import WarmStarts
from holdfast.targets.local.launch import Ports, shared_ports
from holdfast.targets.local.process import Process
from holdfast.targets.local.reasons import failure, of_os_error
from holdfast.targets.local.records import Instance
from holdfast.targets.local.replica import Replica, State, Surroundings, log_path, record_path

_log = logging.getLogger(__name__)
_ROTATE_EVERY_S = 1.0
_GOING_S_MAX = 5.0
_LOGS_OF_RELEASES = 12  # as many as there are kept releases to go back to
_VICTIMS = (State.FAILED, State.STARTING, State.READY)  # who goes first


@dataclass(frozen=True)
class Doors:
    """What all fleets of a service share."""

    ports: Ports
    turnstile: asyncio.Semaphore
    changed: Callable[[], None]  # a look would show something new


class Fleet:
    """All replicas of one release."""

    def __init__(self, bundle: Bundle, envoy: Envoy, root: Path, base: Path, doors: Doors) -> None:
        self.bundle, self.size = bundle, 0
        self.replicas: dict[int, Replica] = {}
        self.opened = asyncio.Event()  # Envoy has the cluster
        self.empty = asyncio.Event()
        self.empty.set()
        self.denied: Refused | None = None  # Envoy refuses the release's cluster
        self._gone_restarts = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._envoy = envoy
        self._writing = asyncio.Lock()
        self._next_write: asyncio.Task[None] | None = None
        run, beside = bundle.service.run, record_path(root, self.release, 0)
        # Longer than any mark of an instance: each fork writes its own over it.
        mark = {strays.MARK: strays.mark(beside.with_name("fork-server.json"), os.getpid())}
        log = log_path(root, self.release, "fork-server")
        self.warm = WarmStarts(bundle, mark, log) if run.start == "warm" else None
        self._around = Surroundings(
            bundle,
            root,
            base,
            doors.ports,
            self.publish,
            self._healthy,
            self._active,
            doors.turnstile,
            doors.changed,
            self.warm,
        )

    @property
    def release(self) -> ReleaseId:
        return self.bundle.release.id

    def resize(self, size: int) -> None:
        """Start what is missing, retire what is too much. Returns at once."""
        self.size = size
        staying = [each for each in self.replicas.values() if not each.retiring]
        for victim in victims(staying, len(staying) - size):
            victim.retire()
        for index in _free(self.replicas, size - len(staying)):
            self._start(Replica(self._around, index))

    def adopt(self, instance: Instance, process: Process) -> None:
        replica = Replica(self._around, instance.index)
        replica.adopt(instance, process)
        self._start(replica)

    def _start(self, replica: Replica) -> None:
        self.replicas[replica.index] = replica
        self.empty.clear()
        task = asyncio.create_task(replica.keep(), name=f"{self.release}/{replica.name}")
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(done, replica))

    def _ended(self, task: asyncio.Task[None], replica: Replica) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            _log.error("replica %s/%s", self.release, replica.name, exc_info=error)
            replica.give_up()
            asyncio.get_running_loop().call_later(1.0, lambda: self.resize(self.size))
        self._gone_restarts += replica.restarts
        del self.replicas[replica.index]
        self._around.changed()
        if not self.replicas:
            self.empty.set()

    # ---- Envoy ----------------------------------------------------------------------------------

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(each.port, each.state is State.DRAINING)
            for _, each in sorted(self.replicas.items())
            if each.published
        ]

    async def publish(self) -> None:
        """Returns when Envoy took the endpoints as they are now; waits for Envoy if it is away.

        Callers of the same moment share one write.
        """
        if self._next_write is None:
            self._next_write = asyncio.create_task(self._write())
            self._tasks.add(self._next_write)
            self._next_write.add_done_callback(self._written)
        await asyncio.shield(self._next_write)

    def _written(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # said to the callers; none may be left to hear it

    async def _write(self) -> None:
        await self.opened.wait()
        async with self._writing:
            self._next_write = None  # who comes now has news that this write may miss
            await self._write_endpoints()

    async def _write_endpoints(self) -> None:
        if self.denied is not None:
            raise self.denied
        while True:
            resource = envoy_config.assignment(self.release, self.endpoints())
            with contextlib.suppress(Unreachable):
                file = files_of_release(self.release, self._envoy.places, resource)
                return await self._envoy.publish(file)
            await asyncio.sleep(0.05)

    async def _healthy(self, port: int) -> bool:
        return any(host.port == port and host.passes for host in await self._hosts())

    async def _active(self, port: int) -> int:
        return sum(self._load(host) for host in await self._hosts() if host.port == port)

    async def _hosts(self) -> list[Host]:
        return [host for host in await self._envoy.hosts() if host.release == self.release]

    def _load(self, host: Host) -> int:
        tcp = self.bundle.service.traffic.protocol == "tcp"
        return host.connections if tcp else host.requests

    # ---- looks ----------------------------------------------------------------------------------

    def seen(self, hosts: tuple[Host, ...]) -> FleetSeen:
        mine = {host.port: host for host in hosts if host.release == self.release}
        states = [self._state(each, mine) for each in self.replicas.values()]
        failures = [each.failure for each in self.replicas.values() if each.failure]
        if self.denied is not None:
            failures.append(failure(self.denied.code, self.denied.detail))
        return FleetSeen(
            self.release,
            starting=states.count(State.STARTING),
            ready=states.count(State.READY),
            draining=states.count(State.DRAINING),
            failed=states.count(State.FAILED),
            in_flight=sum(self._load(host) for host in mine.values()),
            restarts=self._gone_restarts + sum(each.restarts for each in self.replicas.values()),
            failure=max(failures, key=lambda failure: failure.hopeless, default=None),
        )

    @staticmethod
    def _state(replica: Replica, hosts: dict[int, Host]) -> State:
        host = hosts.get(replica.port)
        if replica.state is State.READY and not (host and host.passes):
            return State.FAILED  # it was ready, but Envoy does not think so now
        return replica.state

    async def detach(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self.warm is not None:
            await self.warm.close()


def victims(staying: list[Replica], count: int) -> list[Replica]:
    """Those that serve nobody first, then the youngest."""
    order = sorted(staying, key=lambda each: (_VICTIMS.index(each.state), -each.index))
    return order[: max(count, 0)]


def _free(taken: dict[int, Replica], count: int) -> Iterator[int]:
    index = 0
    while count > 0:
        if index not in taken:
            count -= 1
            yield index
        index += 1


class Supervisor:
    """All fleets of one service."""

    def __init__(self, root: Path, base: Path, envoy: Envoy, changed: Callable[[], None]) -> None:
        self.fleets: dict[ReleaseId, Fleet] = {}
        self._root, self._base, self._envoy = root, base, envoy
        turnstile = asyncio.Semaphore(max(2, os.cpu_count() or 1))
        self._doors = Doors(shared_ports(), turnstile, changed)
        self._tasks: set[asyncio.Task[None]] = set()
        self._adopted: list[Process] = []
        self._going: set[asyncio.Task[None]] = set()  # fleets whose last traces are being removed

    @property
    def ports(self) -> Ports:
        return self._doors.ports

    def open(self) -> None:
        self._spawn(self._rotate_logs())

    def fleet(self, bundle: Bundle) -> Fleet:
        """The fleet of a release; a new one gets its cluster in Envoy in the background."""
        release = bundle.release.id
        if release not in self.fleets:
            base = self._base / bundle.base_dir
            fleet = Fleet(bundle, self._envoy, self._root, base, self._doors)
            self.fleets[release] = fleet
            self._spawn(self._until_gone(fleet))
        return self.fleets[release]

    def left_running(self) -> dict[ReleaseId, list[tuple[Instance, Process]]]:
        """The instances that an earlier supervisor left, by release."""
        found: dict[ReleaseId, list[tuple[Instance, Process]]] = {}
        for path in sorted((self._root / "run").glob("*/*.json")):
            instance = records.load(path, Instance)
            process = Process.adopt(instance.identity) if instance else None
            if instance is None or process is None:
                path.unlink()
            else:
                self._adopted.append(process)
                found.setdefault(instance.release, []).append((instance, process))
        return found

    async def _until_gone(self, fleet: Fleet) -> None:
        """The cluster of a fleet, from its first replica to its last."""
        fleet_file = files_of_release(
            fleet.release,
            self._envoy.places,
            envoy_config.assignment(fleet.release, fleet.endpoints()),
        )
        try:
            self._envoy.write(fleet_file)
            await self._publish_clusters()
        except Refused as error:
            fleet.denied = Refused("admission-denied", error.detail)
        except OSError as error:
            why = of_os_error(error, "telling Envoy")
            fleet.denied = Refused(why.code, why.detail)
        fleet.opened.set()
        await fleet.empty.wait()
        while fleet.size:
            await asyncio.sleep(0.02)
            await fleet.empty.wait()
        del self.fleets[fleet.release]
        await fleet.detach()
        self._envoy.forget(fleet_file.path)
        # Once begun it is finished: whoever lets go now leaves nothing of it behind.
        going = asyncio.create_task(self._tidy_up(fleet.release, Path(fleet_file.path)))
        self._going.add(going)
        going.add_done_callback(self._going.discard)

    async def _tidy_up(self, release: ReleaseId, endpoints: Path) -> None:
        with contextlib.suppress(Refused, OSError):  # then a cluster stays that nothing refers to
            await (self._publish_clusters() if self.fleets else self._envoy.stop())
        await strays.end(self._root, lambda _pid, said: self._is_left(release, said))
        with contextlib.suppress(OSError):
            self._forget_traces(release, endpoints.parent)

    def _forget_traces(self, release: ReleaseId, endpoints: Path) -> None:
        """Disks fill by what nobody needs: only the logs of the latest releases stay."""
        in_use = {file_name(each) for each in self.fleets}
        logs.forget(self._root / "logs", _LOGS_OF_RELEASES, in_use)
        for directory in (endpoints, record_path(self._root, release, 0).parent):
            if release not in self.fleets:
                directory.rmdir()

    def _is_left(self, release: ReleaseId, mark: str) -> bool:
        """Whether the mark is of the release, which has nobody any more."""
        records_of = record_path(self._root, release, 0).parent
        return release not in self.fleets and mark.startswith(f"{records_of}/")

    async def _publish_clusters(self) -> None:
        while self.fleets:
            places = self._envoy.places
            clusters = self._clusters()
            try:
                return await self._envoy.publish(files_of_kind("cds", places, clusters))
            except Unreachable:
                await asyncio.sleep(0.05)

    def _clusters(self) -> list[Config]:
        """One a release, and one for each that may fall back on another (HTTP only)."""
        places = self._envoy.places
        known = {
            name: fleet.bundle.service
            for name, fleet in sorted(self.fleets.items())
            if fleet.denied is None
        }
        single = [envoy_config.cluster(name, service, places) for name, service in known.items()]
        tcp = any(each.traffic.protocol == "tcp" for each in known.values())
        pairs = () if tcp else permutations(known, 2)
        return single + [envoy_config.refuge(a, b, known[a]) for a, b in pairs]

    def ready(self, release: ReleaseId, hosts: tuple[Host, ...]) -> int:
        fleet = self.fleets.get(release)
        return fleet.seen(hosts).ready if fleet else 0

    async def end_strays(self, running: Iterable[Instance]) -> None:
        """What nobody will look after: started and never recorded, or left by a dead leader."""
        known = {
            strays.mark(record_path(self._root, each.release, each.index), each.port)
            for each in running
        }
        envoy, mark = self._envoy.pid, self._envoy.mark
        await strays.end(
            self._root,
            lambda pid, said: pid != envoy if said == mark else said not in known,
        )

    async def _rotate_logs(self) -> None:
        access = Path(self._envoy.places.access_log)
        while True:
            for fleet in tuple(self.fleets.values()):
                settings = fleet.bundle.service.run.logs
                paths = [each.log for each in fleet.replicas.values()]
                for path in (*paths, self._envoy.log):
                    with contextlib.suppress(OSError):
                        # A large copy takes a while, and probes must not wait for it.
                        if logs.size(path) > settings.max_size:
                            await asyncio.to_thread(
                                logs.rotate, path, settings.max_size, settings.keep
                            )
                with contextlib.suppress(OSError):
                    if logs.shift(access, settings.max_size, settings.keep):
                        await self._envoy.reopen_logs()
            await asyncio.sleep(_ROTATE_EVERY_S)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def detach(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for fleet in self.fleets.values():
            await fleet.detach()
        for process in self._adopted:
            process.let_go()
        if self._going:
            await asyncio.wait(self._going, timeout=_GOING_S_MAX)
        for task in self._going:
            task.cancel()
