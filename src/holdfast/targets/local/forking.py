"""Warm starts: one fork server for each release that wants them.

Whatever goes wrong with it - the program is not fit for it, the fork server dies or does not answer
- the replica starts cold instead, and ``why_cold`` says why. The fork server ends with its socket,
so it never outlives its supervisor; the replicas that it forked do, like all others.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from holdfast.spec.python_command import PythonCommand, parse
from holdfast.targets.base import Bundle
from holdfast.targets.local import launch
from holdfast.targets.local.fork_client import DIED, ForkServer, Gone
from holdfast.targets.local.launch import Berth, CannotLaunch
from holdfast.targets.local.process import Launch, Process
from holdfast.targets.local.reasons import of_os_error

_log = logging.getLogger(__name__)
DEATHS_MAX = 3  # then the program, or what it imports, is not made for this
PROGRAM = Path(__file__).with_name("forkserver.py")
#: Each instance has its own: what is imported for all must not have looked at them.
PRIVATE = ("PORT", "HOLDFAST_REPLICA", "HOLDFAST_RECORD", "LISTEN_PID", *launch.LISTENING)


class WarmStarts:
    """The fork server of one release: started when needed, replaced when it dies."""

    def __init__(self, bundle: Bundle, mark: Mapping[str, str], log: Path) -> None:
        self.why_cold: str | None = None
        self._bundle, self._mark, self._log = bundle, mark, log
        self._server: ForkServer | None = None
        self._deaths = 0
        parsed = parse(launch.argv_of(bundle.service.run))
        self._command = parsed if isinstance(parsed, PythonCommand) else None
        if isinstance(parsed, str):
            self._give_up(parsed)

    async def launch(self, berth: Berth, marks: Mapping[str, str]) -> Process | None:
        """One warm replica, or None: it must start cold. Raises ``CannotLaunch``."""
        if self.why_cold is not None or self._command is None:
            return None
        server = None
        try:
            server = self._running(berth, self._command)
            if not await self._fit(server):
                return None
            return await self._fork(server, self._command, berth, marks)
        except Gone as error:
            await self._bury(server, str(error))
            return None
        except OSError as error:
            raise CannotLaunch(of_os_error(error, "warm start")) from error

    def _running(self, berth: Berth, command: PythonCommand) -> ForkServer:
        """In the directory where the release is now, which moves when its files are edited."""
        start = self._start_directory(berth)
        if self._server is not None and (self._server.cwd != start or not self._server.alive):
            self._server.end()
            self._server = None
        if self._server is None:
            self._server = self._start(start, berth, command)
        return self._server

    async def _fit(self, server: ForkServer) -> bool:
        within = self._bundle.service.probes.start_within
        why: str | None = f"importing the program takes longer than {within:g} s"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                why = await asyncio.shield(server.fit)
        if why == DIED:
            raise Gone("died while it imported the program")
        if why is not None:
            self._give_up(why)
            server.end()
        return why is None

    def _start_directory(self, berth: Berth) -> Path:
        return berth.start or launch.directory(self._bundle.service.run, berth.base)

    def _start(self, start: Path, berth: Berth, command: PythonCommand) -> ForkServer:
        run = self._bundle.service.run
        own = self._environment(berth)
        shared = {name: own[name] for name in own if name not in (*PRIVATE, *run.secrets)}
        argv = [*command.interpreter, str(PROGRAM), ForkServer.FD, *command.program]
        argv[0] = launch.program(argv[0], start, run.env.get("PATH")) or argv[0]
        self._log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        anybody = {**own, "PORT": "", "HOLDFAST_REPLICA": ""}
        arguments = self._arguments(command, own)
        task = {
            "argv": arguments,
            "argv_differs": arguments != self._arguments(command, anybody),
            "private": [*PRIVATE, *run.secrets],
        }
        prepared = Launch(argv, {**shared, **self._mark}, str(start), self._log)
        server = ForkServer.start(prepared, task)
        launch.settle(server.process, run)
        return server

    def _environment(self, berth: Berth) -> dict[str, str]:
        cwd = launch.directory(self._bundle.service.run, berth.base)
        return launch.environment(self._bundle, berth, cwd)

    @staticmethod
    def _arguments(command: PythonCommand, env: Mapping[str, str]) -> list[str]:
        words = command.program[2 if command.program[0] == "-m" else 1 :]
        return [launch.told(word, env) for word in words]

    async def _fork(
        self, server: ForkServer, command: PythonCommand, berth: Berth, marks: Mapping[str, str]
    ) -> Process:
        """The fork waits for our go-ahead: until then we can limit it, and if we die, it ends."""
        run, mine = self._bundle.service.run, os.sched_getaffinity(0)
        cpus = launch.cpus_for(run, berth.index)
        env = {**self._environment(berth), **marks}
        waits, goes = os.pipe2(os.O_CLOEXEC)
        with _closing(waits, goes), _appending(berth.log) as log:
            with launch.listening(run, berth) as listener:
                instance = {
                    "argv": self._arguments(command, env),
                    "env": env if listener is None else {**env, **launch.LISTENING},
                    "cpus": sorted(cpus & mine or mine) if cpus else None,
                }
                fds = [log, waits, *([] if listener is None else [listener])]
                process = await server.fork(instance, fds)
            launch.limit(process.pid, run.limits)
            with contextlib.suppress(BrokenPipeError):  # killed already: somebody else watches it
                os.write(goes, b"g")
        return process

    async def _bury(self, server: ForkServer | None, how: str) -> None:
        """Many may have waited for the same one: its death counts once."""
        if server is None or server is not self._server:
            return
        self._server, self._deaths = None, self._deaths + 1
        _log.warning("%s: its fork server %s", self._bundle.release.id, how)
        await server.close()
        if self._deaths >= DEATHS_MAX:
            self._give_up(f"its fork server failed {self._deaths} times, at last it {how}")

    def _give_up(self, why: str) -> None:
        if self.why_cold is not None:
            return
        self.why_cold = why
        _log.warning("%s: its replicas start cold: %s", self._bundle.release.id, why)
        with contextlib.suppress(OSError):
            self._log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._log.open("a") as file:
                file.write(f"holdfast: replicas start cold: {why}\n")

    async def close(self) -> None:
        """The release needs no more starts here."""
        if self._server is not None:
            await self._server.close()
            self._server = None


@contextlib.contextmanager
def _closing(*fds: int) -> Iterator[None]:
    try:
        yield
    finally:
        for fd in fds:
            os.close(fd)


@contextlib.contextmanager
def _appending(path: Path) -> Iterator[int]:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    with _closing(fd):
        yield fd
