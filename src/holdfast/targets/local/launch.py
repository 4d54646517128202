"""From a release to a process: program, port, environment, secrets, limits."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import resource
import shlex
import shutil
import socket
import sys
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from holdfast.rollout.model import Failure
from holdfast.spec.model import ProcessLimits, Run
from holdfast.targets.base import Bundle
from holdfast.targets.local.process import Launch, Process
from holdfast.targets.local.reasons import failure, of_os_error

NICE = 15
_NAMES = "PORT|HOLDFAST_(?:SERVICE|RELEASE|VERSION|REPLICA)"
_TOLD = re.compile(rf"\$(?:({_NAMES})\b|\{{({_NAMES})\}})")
LISTENING = {"LISTEN_FDS": "1", "HOLDFAST_LISTEN_FD": "3"}
_PORTS = range(20_000, 32_000)  # below the range the kernel takes for outgoing connections
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER", "LOGNAME")


class CannotLaunch(Exception):
    def __init__(self, why: Failure) -> None:
        super().__init__(why.detail)
        self.why = why


@dataclass(frozen=True, slots=True)
class Berth:
    """Where an instance lives: its name, its port, its log, and the base of relative paths."""

    replica: str
    index: int
    port: int
    log: Path
    base: Path
    start: Path | None = None  # where the program starts when its own directory has changed


class Ports:
    """Free loopback ports. The cursor moves on, so a port just freed is not reused at once."""

    def __init__(self, seed: str) -> None:
        self._next = zlib.crc32(seed.encode()) % len(_PORTS)

    def take(self, avoid: int = 0) -> int:
        """A free port other than ``avoid``, where the service itself will listen."""
        for _ in _PORTS:
            port = _PORTS[self._next]
            self._next = (self._next + 1) % len(_PORTS)
            if port != avoid and bindable("127.0.0.1", port) is None:
                return port
        raise CannotLaunch(failure("port-taken", "no free port on the loopback interface"))


@functools.cache
def shared_ports() -> Ports:
    """One for all services of this process: a port given to a program that does not listen yet
    looks free to everybody else."""
    return Ports(str(os.getpid()))


def bindable(address: str, port: int) -> OSError | None:
    """None when the port is free, else why it is not."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((address, port))
            trial.listen(1)  # a listening stranger may still allow to bind
        except OSError as error:
            return error
    return None


def argv_of(run: Run) -> list[str]:
    """Split like a shell would, never run by one."""
    if isinstance(run.command, str):
        return shlex.split(run.command)
    return list(run.command)


def directory(run: Run, base: Path) -> Path:
    return (base / run.cwd).resolve()


def check(bundle: Bundle, base: Path, start: Path) -> Failure | None:
    """Why this release can never start in ``start``, as far as one can know without starting it."""
    run = bundle.service.run
    cwd = directory(run, base)
    if not cwd.is_dir():
        return failure("config-missing", f"working directory {cwd} does not exist")
    for name in run.config:
        if not (start / name).exists():
            return failure("config-missing", f"config file {start / name}")
    try:
        secrets_of(run, cwd)
        argv = argv_of(run)
    except CannotLaunch as error:
        return error.why
    except ValueError as error:
        return failure("missing-binary", f"command {run.command!r}: {error}")
    if not argv:
        return failure("missing-binary", "the command is empty")
    if program(argv[0], start, run.env.get("PATH")) is None:
        return failure("missing-binary", f"{argv[0]!r} was not found or is not executable")
    return None


def program(name: str, cwd: Path, path: str | None) -> str | None:
    if "/" in name:
        full = cwd / name
        return str(full) if full.is_file() and os.access(full, os.X_OK) else None
    return shutil.which(name, path=path or os.environ.get("PATH"))


def secrets_of(run: Run, cwd: Path) -> dict[str, str]:
    """Resolved at the last moment; neither stored nor logged."""
    return {name: _secret(name, reference, cwd) for name, reference in run.secrets.items()}


def _secret(name: str, reference: str, cwd: Path) -> str:
    kind, _, rest = reference.partition(":")
    if kind == "env":
        if (value := os.environ.get(rest)) is not None:
            return value
        raise CannotLaunch(failure("config-missing", f"secret {name}: ${rest} is not set"))
    if kind == "file":
        try:
            return (cwd / rest).read_text().rstrip("\n")
        except OSError as error:
            why = f"secret {name}: file {rest}: {error.strerror}"
            raise CannotLaunch(failure("config-missing", why)) from error
    raise CannotLaunch(failure("config-missing", f"secret {name}: unknown reference {kind}:"))


def environment(bundle: Bundle, berth: Berth, cwd: Path) -> dict[str, str]:
    """Clean: what any program needs, what the spec declares, and what Holdfast tells."""
    run = bundle.service.run
    return {
        **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        **run.env,
        **secrets_of(run, cwd),
        "PORT": str(berth.port),
        "HOLDFAST_SERVICE": bundle.service.service,
        "HOLDFAST_RELEASE": bundle.release.id,
        "HOLDFAST_VERSION": bundle.release.version,
        "HOLDFAST_REPLICA": berth.replica,
    }


def told(word: str, env: Mapping[str, str]) -> str:
    """``$PORT`` and ``$HOLDFAST_...`` in a command, without a shell. Nothing else is replaced: a
    secret in argv could be read by every user of the machine."""
    return _TOLD.sub(lambda found: env[found[1] or found[2]], word)


def launch(bundle: Bundle, berth: Berth, marks: Mapping[str, str]) -> Process:
    """Start one instance. Raises ``CannotLaunch`` with the reason."""
    run = bundle.service.run
    cwd = directory(run, berth.base)
    start = berth.start or cwd
    argv = argv_of(run)
    try:
        berth.log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        env = {**environment(bundle, berth, cwd), **marks}
        argv = [told(word, env) for word in argv]
        argv[0] = program(argv[0], start, run.env.get("PATH")) or argv[0]
        with listening(run, berth) as inherited:
            process = Process.start(_prepared(argv, env, run, berth, inherited))
    except OSError as error:
        raise CannotLaunch(of_os_error(error, argv[0])) from error
    settle(process, run)
    return process


def settle(process: Process, run: Run) -> None:
    """Its limits, and its modesty until it is ready."""
    limit(process.pid, run.limits)
    if run.nice_until_ready and may_renice():
        renice(process.pid, NICE)


def _prepared(
    argv: list[str], env: dict[str, str], run: Run, berth: Berth, inherited: int | None
) -> Launch:
    cwd = str(berth.start or directory(run, berth.base))
    cpus = cpus_for(run, berth.index)
    if inherited is None:
        return Launch(argv, env, cwd, berth.log, (), cpus)
    shim = str(Path(__file__).with_name("inherit.py"))
    argv = [sys.executable, "-I", "-S", shim, str(inherited), *argv]
    return Launch(argv, {**env, **LISTENING}, cwd, berth.log, (inherited,), cpus)


@contextlib.contextmanager
def listening(run: Run, berth: Berth) -> Iterator[int | None]:
    """A listening socket for the child; ours is closed, so that its death closes the port."""
    if run.listen == "port":
        yield None
        return
    with socket.create_server(("127.0.0.1", berth.port), backlog=1024) as server:
        yield server.fileno()


def cpus_for(run: Run, index: int) -> frozenset[int] | None:
    if run.affinity == "none":
        return None
    if run.affinity == "spread":
        cpus = sorted(os.sched_getaffinity(0))
        return frozenset({cpus[index % len(cpus)]})
    return frozenset(run.affinity)


def limit(pid: int, limits: ProcessLimits) -> None:
    """rlimits. Memory is writable private memory (RLIMIT_DATA): the address space of programs
    that reserve much and use little says nothing."""
    wanted = {
        resource.RLIMIT_NOFILE: limits.open_files,
        resource.RLIMIT_DATA: limits.memory,
        resource.RLIMIT_NPROC: limits.processes,
    }
    for kind, value in wanted.items():
        if value is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError, ValueError):
                allowed = allowed_of(value, resource.prlimit(pid, kind)[1])
                resource.prlimit(pid, kind, (allowed, allowed))


def allowed_of(wanted: int, hard: int) -> int:
    """Nobody but root may have more than the hard limit: then that much, and not the default."""
    if os.geteuid() == 0 or hard == resource.RLIM_INFINITY:
        return wanted
    return min(wanted, hard)


def be_normal(pid: int) -> None:
    """As important as the supervisor: the instance is about to get traffic."""
    if may_renice():
        renice(pid, os.getpriority(os.PRIO_PROCESS, 0))


def be_humble(pid: int) -> None:
    """It serves nobody any more: ending must not take the processors from those that do."""
    if may_renice():
        renice(pid, NICE)


def may_renice() -> bool:
    """Lowering a nice value again needs a privilege: without it nobody is niced at all."""
    allowed = resource.getrlimit(resource.RLIMIT_NICE)[0]
    return os.geteuid() == 0 or allowed >= 20


def renice(pid: int, value: int) -> None:
    """All threads of all processes of the instance."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.setpriority(os.PRIO_PGRP, pid, value)
