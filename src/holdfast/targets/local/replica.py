"""One place of a fleet, kept occupied by a process: started, admitted, watched, replaced, drained.

The life of a place is one coroutine. Cancelling it lets go of the process and leaves it running;
``retire`` ends it: no new work, in-flight work finished, then the process stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from holdfast.rollout.model import Failure
from holdfast.targets.base import Bundle, Refused, Unreachable
from holdfast.targets.local import launch, logs, probe, reasons, records, strays
from holdfast.targets.local import process as process_module
from holdfast.targets.local.admission import admit
from holdfast.targets.local.envoy_config import file_name
from holdfast.targets.local.forking import WarmStarts
from holdfast.targets.local.kept import Kept
from holdfast.targets.local.launch import Berth, CannotLaunch, Ports
from holdfast.targets.local.process import Process
from holdfast.targets.local.records import Instance

CALM_S = 10.0  # a death after that long a time is a new story
_GRACE_USELESS_S = 1.0  # for an instance that serves nobody: its place is needed
_UNPUBLISH_S_MAX = 10.0
_TURN_S = 0.2  # about what an interpreter needs to come up
_PAUSE_FIRST, _PAUSE_MAX, _PAUSE_SERVED_MAX = 0.1, 10.0, 1.0


class State(StrEnum):
    STARTING = "starting"
    READY = "ready"  # probes, smoke and version passed, and Envoy said healthy once
    DRAINING = "draining"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a place needs from its fleet."""

    bundle: Bundle
    root: Path  # directory of the service
    base: Path  # relative paths of the spec start here
    ports: Ports
    publish: Callable[[], Awaitable[None]]  # tell Envoy; returns when it took it
    healthy: Callable[[int], Awaitable[bool]]  # does Envoy call this port healthy?
    active: Callable[[int], Awaitable[int]]  # requests or connections in flight
    turnstile: asyncio.Semaphore  # how many may be started at one moment
    changed: Callable[[], None]  # a look would show something new
    warm: WarmStarts | None  # None: every start is cold


class Replica:
    """See the module. ``published`` means Envoy is told about it."""

    def __init__(self, around: Surroundings, index: int) -> None:
        self.index, self.name = index, str(index)
        self._state = State.STARTING
        self.failure: Failure | None = None
        self.restarts = 0
        self.published = False
        self.port = 0
        self.process: Process | None = None
        self._around = around
        self._streak = 0
        self._instance: Instance | None = None
        self._served = False  # the last life became ready
        self._over_memory = False
        self._kernel_kills = self._log_from = 0
        self._retired = asyncio.Event()
        release = around.bundle.release.id
        self._record = record_path(around.root, release, index)
        self.log = log_path(around.root, release, self.name)

    @property
    def state(self) -> State:
        return self._state

    @state.setter
    def state(self, state: State) -> None:
        self._state = state
        self._around.changed()

    @property
    def retiring(self) -> bool:
        return self._retired.is_set()

    def retire(self) -> None:
        self._retired.set()

    def give_up(self) -> None:
        """After an error of ours: do not leave behind a process that nobody looks after."""
        if self.process is not None and self.process.alive:
            self.process.send(signal.SIGKILL)
        self._record.unlink(missing_ok=True)

    def adopt(self, instance: Instance, process: Process) -> None:
        """Go on with a process that an earlier supervisor started."""
        self._instance, self.process, self.port = instance, process, instance.port
        if instance.leaving:  # it may be shutting down by now: nothing new for it
            self.state, self.published = State.DRAINING, True
            self.retire()
        elif instance.admitted:
            self.state, self.published = State.READY, True

    async def keep(self) -> None:
        """Occupy the place until retired."""
        try:
            while not self.retiring or self.process is not None:
                why = await self._one_life()
                if why is not None:
                    self._fail(why)
                    await self._rest()
        except asyncio.CancelledError:
            if self.process is not None:
                self.process.let_go()
            raise

    # ---- one life -------------------------------------------------------------------------------

    async def _one_life(self) -> Failure | None:
        """From start to end. None when it was retired, else why it ended."""
        try:
            process = self.process or await self._launch_in_turn()
        except CannotLaunch as error:
            self._streak += 1
            return error.why
        self.process, began = process, _now()
        serving = asyncio.create_task(self._serve(process.pid))
        retired = asyncio.create_task(self._retired.wait())
        try:
            either: set[asyncio.Future[Any]] = {serving, retired, process.ended}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            retired.cancel()
            if not serving.done():
                serving.cancel()
                await asyncio.wait({serving})
        if process.alive and self.retiring:
            await self._leave(process)
            return None
        if process.alive and not serving.cancelled():
            return await self._replace(process, serving.result())
        return await self._bury(process, _now() - began)

    async def _launch_in_turn(self) -> Process:
        """Starting programs takes the processors from those that serve: a few at a time.

        Forking one that is already imported does not, so it waits for nobody.
        """
        around = self._around
        self.state, self._over_memory = State.STARTING, False
        if around.warm is not None:
            berth = self._berth()
            warm = await around.warm.launch(berth, self._marks())
            if warm is not None:
                return self._noted(warm)
        await around.turnstile.acquire()
        asyncio.get_running_loop().call_later(_TURN_S, around.turnstile.release)
        berth = self._berth()
        return self._noted(launch.launch(around.bundle, berth, self._marks()))

    def _marks(self) -> dict[str, str]:
        return {strays.MARK: strays.mark(self._record, self.port)}

    def _berth(self) -> Berth:
        around = self._around
        self._kernel_kills = process_module.killed_for_memory()
        self._log_from = logs.size(self.log)
        self.port = around.ports.take(avoid=around.bundle.service.traffic.port)
        start = self._start_directory()
        return Berth(self.name, self.index, self.port, self.log, around.base, start)

    def _noted(self, process: Process) -> Process:
        """Where a successor finds it."""
        release = self._around.bundle.release.id
        self._instance = Instance(
            process.identity, release, self.name, self.index, self.port, self._log_from
        )
        try:
            records.save(self._record, self._instance)
        except OSError as error:
            process.send(signal.SIGKILL)  # nobody would ever find it again
            raise CannotLaunch(reasons.of_os_error(error, "state directory")) from error
        return process

    def _start_directory(self) -> Path:
        """The project, or the kept files of this release once those in the project differ."""
        around = self._around
        cwd = launch.directory(around.bundle.service.run, around.base)
        try:
            found = Kept(around.root).directory(around.bundle, cwd)
        except OSError as error:
            raise CannotLaunch(reasons.of_os_error(error, "kept files")) from error
        if isinstance(found, Failure):
            raise CannotLaunch(found)
        return found

    async def _serve(self, pid: int) -> Failure | None:
        """Into service, then watched. Returns only with a reason to replace the process."""
        if self.state is not State.READY and (why := await self._enter(pid)):
            return replace(why, log_tail=self.tail())
        return await self._watch(pid)

    async def _enter(self, pid: int) -> Failure | None:
        around = self._around
        deadline = _now() + around.bundle.service.probes.start_within
        if why := await admit(around.bundle, self.port):
            return why
        launch.be_normal(pid)
        self.published = True
        try:
            await around.publish()
        except Refused as error:
            return reasons.failure("admission-denied", error.detail)
        except OSError as error:
            return reasons.of_os_error(error, "telling Envoy")
        pause = 0.002
        while not await self._healthy():
            if _now() > deadline + 1.0:
                return reasons.failure("never-ready", "Envoy's health check does not pass")
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.05)
        self._be_ready()
        return None

    async def _healthy(self) -> bool:
        with contextlib.suppress(Unreachable):
            return await self._around.healthy(self.port)
        return False

    def _be_ready(self) -> None:
        self.state, self.failure = State.READY, None
        self._note(admitted=True)

    def _note(self, admitted: bool = False, leaving: bool = False) -> None:
        """For a successor, who does without what a full disk does not take."""
        if self._instance is not None:
            admitted = admitted or self._instance.admitted
            self._instance = replace(self._instance, admitted=admitted, leaving=leaving)
            with contextlib.suppress(OSError):
                records.save(self._record, self._instance)

    async def _watch(self, pid: int) -> Failure | None:
        """Liveness, and the memory limit, which the kernel knows only as address space."""
        service = self._around.bundle.service
        live, memory = probe.liveness(service.probes), service.run.limits.memory
        missed, began = 0, _now()
        await asyncio.sleep(live.delay)
        while missed < live.failures:
            await asyncio.sleep(max(live.every, 0.02))
            found = await probe.probe(self.port, live, service.traffic)
            missed = 0 if probe.alive(found, service.probes) else missed + 1
            if _now() - began > CALM_S:
                self._streak = 0
            if memory is not None and process_module.resident(pid) > memory:
                self._over_memory = True
                break
        if self._over_memory:
            return reasons.failure("out-of-memory", f"more than {memory} bytes", self.tail())
        return reasons.failure("crash-loop", f"not alive: {found.detail}", self.tail(), False)

    # ---- ends -----------------------------------------------------------------------------------

    async def _leave(self, process: Process) -> None:
        """Retired: no new work, finish what is in flight, then stop."""
        serves, self.state = self.published, State.DRAINING
        self._note(leaving=True)
        if serves:
            drain = self._around.bundle.service.rollout.drain
            with contextlib.suppress(TimeoutError, Refused, OSError):
                async with asyncio.timeout(drain):
                    await self._around.publish()
                    await self._idle(process)
            await self._unpublish()
        await self._stop(process)

    async def _idle(self, process: Process) -> None:
        while process.alive:
            with contextlib.suppress(Unreachable):
                if await self._around.active(self.port) == 0:
                    return
            await asyncio.sleep(0.01)

    async def _replace(self, process: Process, why: Failure | None) -> Failure | None:
        self._streak += 1
        self._served = self.state is State.READY
        self.restarts += self._served
        self._fail(why)
        await self._unpublish()
        await self._stop(process, _GRACE_USELESS_S)
        return why

    async def _bury(self, process: Process, lived: float) -> Failure | None:
        was_ready = self._served = self.state is State.READY
        self._streak += 1
        self.restarts += 1
        self.process = None
        self._record.unlink(missing_ok=True)
        code, memory = process.ended.result(), self._over_memory
        if code in (None, -signal.SIGKILL):  # was it the kernel?
            memory = memory or process_module.killed_for_memory() > self._kernel_kills
        death = reasons.Death(code, lived, was_ready, self._streak, self.tail(), memory)
        why = None if self.retiring else reasons.explain(death)
        self._fail(why)
        await self._unpublish()
        await self._end_strays()
        return why

    def _fail(self, why: Failure | None) -> None:
        """Who looks now must not see a death counted whose reason is not there yet."""
        self.failure, self.state = why or self.failure, State.FAILED

    async def _stop(self, process: Process, grace_max: float = float("inf")) -> None:
        launch.be_humble(process.pid)
        stop = self._around.bundle.service.run.stop
        await process.stop(getattr(signal, stop.signal), min(stop.grace, grace_max))
        self.process = None
        self._record.unlink(missing_ok=True)

    async def _end_strays(self) -> None:
        """A program that went into the background left a group of its own behind."""
        mine = strays.mark(self._record, self.port)
        await strays.end(self._around.root, lambda _pid, said: said == mine)

    async def _unpublish(self) -> None:
        if self.published:
            self.published = False
            # Otherwise Envoy's health check finds out; an Envoy that is away sends nobody here.
            with contextlib.suppress(Refused, OSError, TimeoutError):
                async with asyncio.timeout(_UNPUBLISH_S_MAX):
                    await self._around.publish()

    async def _rest(self) -> None:
        """Back off before the next try."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_after(self._streak, self._served)):
                await self._retired.wait()

    def tail(self) -> tuple[str, ...]:
        return logs.tail(self.log, self._instance.log_from if self._instance else 0)


def pause_after(streak: int, served: bool) -> float:
    """Seconds until the next try. Who served before its first death is missed: at once."""
    if served and streak <= 1:
        return 0.0
    pause = _PAUSE_FIRST * float(2 ** min(max(streak - 1, 0), 10))
    return min(pause, _PAUSE_SERVED_MAX if served else _PAUSE_MAX)


def record_path(root: Path, release: str, index: int) -> Path:
    return root / "run" / file_name(release) / f"{index}.json"


def log_path(root: Path, release: str, replica: str) -> Path:
    return root / "logs" / file_name(release) / f"{replica}.log"


def _now() -> float:
    return asyncio.get_running_loop().time()
