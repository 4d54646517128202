"""One operating-system process that outlives its supervisor.

A process is known by pid *and* start time, so a recycled pid is never mistaken for it. Its end is
noticed through a pidfd in the event loop: no threads, no signals handlers, and it works the same
for children and for processes adopted from a supervisor that died.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_TOLD_WITHIN_S = 0.5  # a busy fork server needs a moment to tell how its child ended
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Identity:
    pid: int
    started: int  # clock ticks since boot

    @classmethod
    def of(cls, pid: int) -> Identity | None:
        """None when there is no such process, or only its corpse."""
        try:
            text = Path(f"/proc/{pid}/stat").read_text(encoding="latin-1")
        except OSError:
            return None
        fields = text.rpartition(")")[2].split()
        return None if fields[0] in "ZX" else cls(pid, int(fields[19]))


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start a process. Output goes to a file so that it survives the supervisor."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str
    output: Path
    pass_fds: Sequence[int] = ()
    cpus: frozenset[int] | None = None


class Process:
    """``ended`` resolves with the exit code: negative is a signal, None is not known.

    ``told`` brings the exit code of a process whose parent is somebody else.
    """

    def __init__(
        self, identity: Identity, pidfd: int, told: asyncio.Future[int | None] | None = None
    ) -> None:
        self.identity = identity
        self.pid = identity.pid
        self.ended: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._pidfd, self._told = pidfd, told
        asyncio.get_running_loop().add_reader(pidfd, self._on_end)

    @classmethod
    def start(cls, launch: Launch) -> Process:
        """Raises ``OSError`` when the program cannot be executed."""
        pid = _spawn(launch)
        identity = Identity.of(pid) or Identity(pid, 0)
        try:
            return cls(identity, os.pidfd_open(pid))
        except OSError:  # out of descriptors: nobody would look after it
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise

    @classmethod
    def adopt(cls, identity: Identity) -> Process | None:
        """The very process another supervisor started, or None when it is gone."""
        try:
            pidfd = os.pidfd_open(identity.pid)
        except OSError:
            return None
        if Identity.of(identity.pid) != identity:
            os.close(pidfd)
            return None
        return cls(identity, pidfd)

    @property
    def alive(self) -> bool:
        return not self.ended.done()

    def send(self, number: int) -> None:
        """To the whole process group: wrappers and workers must hear it too."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    async def stop(self, number: int, grace: float) -> None:
        """Ask, wait for ``grace`` seconds, then kill. Returns when the process is gone."""
        if self.alive:
            self.send(number)
            await asyncio.wait([self.ended], timeout=grace)
        if self.alive:  # once it is reaped its number may be somebody else's
            self.send(signal.SIGKILL)
            await asyncio.wait([self.ended])

    def let_go(self) -> None:
        """Stop watching; the process goes on."""
        if self._pidfd >= 0:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1

    def _on_end(self) -> None:
        # Workers of a dead leader would hold its port and confuse its successor. The corpse keeps
        # its number until it is reaped, so no stranger's group is hit.
        self.send(signal.SIGKILL)
        code = _reap(self._pidfd)
        self.let_go()
        if self._told is None:
            return self._finish(code)
        self._told.add_done_callback(lambda told: self._finish(told.result()))
        asyncio.get_running_loop().call_later(_TOLD_WITHIN_S, self._finish, None)

    def _finish(self, code: int | None) -> None:
        if not self.ended.done():
            self.ended.set_result(code)


def _reap(pidfd: int) -> int | None:
    try:
        result = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        return None  # adopted: whoever is its parent now learns the code
    if result is None:
        return None
    return result.si_status if result.si_code == os.CLD_EXITED else -result.si_status


def _spawn(launch: Launch) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    output = os.open(launch.output, flags, 0o600)
    try:
        with _on_cpus(launch.cpus):
            # The own group lets us signal it whole. It stays in our session: in a new one the
            # kernel's autogroups would make its nice value meaningless.
            child = subprocess.Popen(
                list(launch.argv),
                env=dict(launch.env),
                cwd=launch.cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=tuple(launch.pass_fds),
                process_group=0,
            )
    finally:
        os.close(output)
    pid = child.pid
    child.returncode = 0  # we watch the pidfd; Popen must neither wait for it nor complain
    return pid


@contextlib.contextmanager
def _on_cpus(cpus: frozenset[int] | None) -> Iterator[None]:
    """Children inherit our affinity: set it before the fork, no thread of theirs can miss it."""
    if cpus is None:
        yield
        return
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus & mine or mine)
    try:
        yield
    finally:
        os.sched_setaffinity(0, mine)


def resident(pid: int) -> int:
    """Bytes of memory in use; 0 when the process is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def killed_for_memory() -> int:
    """How many processes the kernel killed for lack of memory since it started."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0
