"""The conductor as a process of its own: start, stop, and one that comes back when it is killed.

    holdfast up --> keeper (small, own session) --> conductor (this module, --serve)

The keeper restarts a conductor that died by a signal or a bug. SIGTERM detaches: replicas keep
serving and the next conductor continues, which is what makes upgrading a conductor safe. Stopping
services is ``down``, never this. ``conductor.pid`` holds the conductor's and the keeper's pid.

Only the standard library is imported at the top, so the keeper stays small.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import io
import json
import logging
import logging.handlers
import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from holdfast.conductor.client import Client, NoConductor, is_ours, read_pids
from holdfast.conductor.keeper import (
    EXIT_CRASH,
    EXIT_OK,
    EXIT_REFUSED,
    EXIT_USAGE,
    Keeper,
    command,
    open_log,
    stay_kept,
)
from holdfast.runtime.home import Home, UnsafeHome, write_private

if TYPE_CHECKING:
    from holdfast.conductor.wiring import Conductor

log = logging.getLogger("holdfast.daemon")

START_S_MAX = 30.0
STOP_S_MAX = 30.0
POLL_S = 0.02
LOG_BYTES_MAX = 10_000_000
LOGS_KEPT = 3
TAIL_LINES = 20


class DaemonTrouble(Exception):
    """The conductor could not be started or stopped. ``tail`` is the end of its log."""

    def __init__(self, detail: str, tail: tuple[str, ...] = ()) -> None:
        super().__init__("\n  ".join((detail, *tail)))
        self.detail, self.tail = detail, tail


# ---- from outside -------------------------------------------------------------------------------


def start_daemon(home: Home, listen: str | None = None, wait_s: float = START_S_MAX) -> int:
    """Start a conductor for ``home`` and wait until it answers. Returns its pid.

    When one runs already, that one's pid is returned. Raises ``DaemonTrouble`` and ``UnsafeHome``.
    """
    home.ensure()
    until = time.monotonic() + wait_s
    with _one_at_a_time(home, until):
        return running_pid(home) or _start(home, listen, until)


def _start(home: Home, listen: str | None, until: float) -> int:
    before = _log_size(home)
    while time.monotonic() < until:
        if (running := _launched(home, listen, until)) is not None:
            return running
    raise DaemonTrouble("no conductor answered in time", log_tail(home, since=before))


def _launched(home: Home, listen: str | None, until: float) -> int | None:
    """One attempt. None when it was refused by a conductor that is gone by now."""
    from holdfast.conductor.lease import lock_is_held

    before = _log_size(home)
    ended, refused = _launch(home, listen), False
    try:
        while time.monotonic() < until:
            if (running := running_pid(home)) is not None:
                return running
            # Refused means that another one is starting right now, and will answer, or is just
            # ending. The code can be read once only; after it comes the end of the pipe.
            code = None if refused else _exit_code(ended)
            if code is not None and code != EXIT_REFUSED:
                tail = log_tail(home, since=before)
                raise DaemonTrouble(f"the conductor ended with {code}", tail)
            refused = refused or code == EXIT_REFUSED
            if refused and not lock_is_held(home):
                return None
            time.sleep(POLL_S)
    finally:
        os.close(ended)
    return None


@contextlib.contextmanager
def _one_at_a_time(home: Home, until: float) -> Iterator[None]:
    """Two who start or stop at the same time would leave a conductor that nobody asked for."""
    descriptor = os.open(home.path / "conductor.starting", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while not _try_lock(descriptor):
            if time.monotonic() > until:
                raise DaemonTrouble("somebody else has been starting or stopping it for too long")
            time.sleep(POLL_S)
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _launch(home: Home, listen: str | None) -> int:
    """Start a keeper that is nobody's child. Returns where its exit code can be read."""
    ended, told = os.pipe()
    words = [*command(home, listen), "--launch", str(told)]
    try:
        with open_log(home) as output:
            subprocess.run(
                words,
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd="/",
                pass_fds=(told,),
            )
    except subprocess.CalledProcessError as error:
        os.close(ended)
        raise DaemonTrouble(
            f"the conductor ended with {error.returncode}", log_tail(home)
        ) from None
    finally:
        os.close(told)
    os.set_blocking(ended, False)
    return ended


def _exit_code(ended: int) -> int | None:
    """The keeper's exit code; None while it lives."""
    try:
        told = os.read(ended, 16)
    except BlockingIOError:
        return None
    return int(told) if told else EXIT_CRASH


def stop_daemon(home: Home, wait_s: float = STOP_S_MAX) -> bool:
    """Detach the conductor from its services and end it. False when none ran."""
    if not home.exists():
        return False
    until = time.monotonic() + wait_s
    with _one_at_a_time(home, until):
        return _stop(home, until)


def _stop(home: Home, until: float) -> bool:
    pids = read_pids(home)
    known = (pids.keeper, pids.conductor) if pids else ()
    living = [pid for pid in known if is_ours(pid, home)]
    for pid in living:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    while any(is_ours(pid, home) for pid in living):
        if time.monotonic() > until:
            raise DaemonTrouble(f"the conductor did not end: pids {living}", log_tail(home))
        time.sleep(POLL_S)
    return bool(living)


def running_pid(home: Home) -> int | None:
    """The pid of the conductor that answers for this home."""
    try:
        return int(Client(home).healthz()["pid"])
    except NoConductor:
        return None


def _log_size(home: Home) -> int:
    try:
        return home.log_file.stat().st_size
    except OSError:
        return 0


def log_tail(home: Home, lines: int = TAIL_LINES, since: int = 0) -> tuple[str, ...]:
    """The last lines that were written after the first ``since`` bytes."""
    since = since if since <= _log_size(home) else 0  # a new file was begun
    try:
        with home.log_file.open("rb") as binary:
            binary.seek(since)
            file = io.TextIOWrapper(binary, encoding="utf-8", errors="replace")
            return tuple(line.rstrip("\n") for line in deque(file, maxlen=lines))
    except OSError:
        return ()


# ---- the conductor ------------------------------------------------------------------------------


def serve(home: Home, listen: str | None, keeper: int) -> int:
    """Be the conductor until SIGTERM. Returns the exit code."""
    return _as_process(home, _serve(home, listen, keeper), None)


def _as_process(home: Home, work: Coroutine[None, None, None], output: TextIO | None) -> int:
    """Runs it with a log, to ``output`` or the home's file. Returns the exit code."""
    from holdfast.conductor.lease import Damaged, Held
    from holdfast.conductor.server import CannotListen
    from holdfast.ledger import LedgerError
    from holdfast.targets.base import TargetError

    try:
        home.ensure().adopt_environment()
        _begin_log(home, output)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(work)
    except Held as held:
        log.error("refused: %s", held)
        return EXIT_REFUSED
    except (UnsafeHome, CannotListen, Damaged, LedgerError, TargetError) as error:
        log.error("cannot start: %s", error)
        return EXIT_USAGE
    except Exception:
        log.exception("the conductor failed")
        return EXIT_CRASH
    finally:
        work.close()
    return EXIT_OK


async def _serve(home: Home, listen: str | None, keeper: int) -> None:
    from holdfast.conductor.server import tcp_socket
    from holdfast.conductor.wiring import Conductor

    extra = [tcp_socket(listen)] if listen else []
    conductor = await Conductor.open_in_turn(home)
    await _attend(conductor, extra, keeper, {"kept": stay_kept(home, listen, keeper)})


async def _attend(
    conductor: Conductor,
    extra: list[socket.socket],
    keeper: int,
    beside: Mapping[str, Coroutine[None, None, None]],
) -> None:
    """Answer the API, also on ``extra``, until the conductor stops; ``beside`` ends with it."""
    from holdfast.conductor.api import Api
    from holdfast.conductor.server import make_server, unix_socket

    home = conductor.works.home
    tasks = [asyncio.create_task(each, name=name) for name, each in beside.items()]
    try:
        _end_on_signals(conductor)
        api = Api(conductor)
        app = api.app()
        server = make_server(app)
        api.door.offer(app, extra[0] if extra else None)
        api.reopen()
        sockets = [unix_socket(home.socket), *extra]
        write_private(home.pid_file, f"{os.getpid()} {keeper}\n".encode())
        serving = asyncio.create_task(server.serve(sockets), name="api")
        log.info("serving as %s, generation %d", conductor.works.owner, conductor.lease.generation)
        stopping = asyncio.create_task(conductor.stopping.wait(), name="stopping")
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        log.info("detaching: %s", conductor.why_stopping or "the API ended")
        conductor.works.news.close()
        stopping.cancel()
        server.should_exit = True
        await asyncio.gather(serving, api.door.close())
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await conductor.close()


def serve_in_cluster(home: Home, listen: str | None) -> int:
    """Be one of several conductors of a cluster until SIGTERM. Logs to standard error."""
    return _as_process(home, _serve_in_cluster(home, listen), sys.stderr)


async def _serve_in_cluster(home: Home, listen: str | None) -> None:
    from holdfast.conductor.cluster_identity import ClusterIdentity
    from holdfast.conductor.incluster import Follower, elected, guard
    from holdfast.conductor.server import tcp_socket
    from holdfast.conductor.wiring import Conductor
    from holdfast.runtime.clock import LoopClock

    clock, extra = LoopClock(), [tcp_socket(listen)] if listen else []
    async with elected(clock) as (client, hold):
        conductor = await Conductor.open_in_turn(home)
        conductor.outside = ClusterIdentity(client, clock)
        follower = Follower(client, conductor, clock)
        beside = {"guard": guard(conductor, hold), "releases": follower.run()}
        await _attend(conductor, extra, 0, beside)


def _end_on_signals(conductor: Conductor) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, conductor.stop, signal.Signals(number).name)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


# ---- log ----------------------------------------------------------------------------------------


class JsonLines(logging.Formatter):
    """One JSON object per line. Bodies, headers and tokens are never logged anywhere."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def _begin_log(home: Home, output: TextIO | None) -> None:
    handler: logging.Handler = logging.StreamHandler(output)
    if output is None:
        open_log(home).close()  # made here so that its mode is 0600
        handler = logging.handlers.RotatingFileHandler(
            home.log_file, maxBytes=LOG_BYTES_MAX, backupCount=LOGS_KEPT, encoding="utf-8"
        )
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    for chatty in ("uvicorn", "httpx2"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


# ---- entry --------------------------------------------------------------------------------------


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="holdfast-conductor", description=__doc__)
    parser.add_argument("--home", required=True, type=Path)
    parser.add_argument("--listen", metavar="127.0.0.1:PORT")
    parser.add_argument("--launch", type=int, metavar="FD", help=argparse.SUPPRESS)
    parser.add_argument("--serve", type=int, metavar="KEEPER", help=argparse.SUPPRESS)
    parser.add_argument("--keep", type=int, metavar="CONDUCTOR", help=argparse.SUPPRESS)
    given = parser.parse_args(words)
    if not __debug__:
        print("refused: Python runs with -O, but assertions carry safety here", file=sys.stderr)
        return EXIT_USAGE
    os.umask(0o077)
    home = Home(given.home.absolute())
    if given.serve is not None:
        return serve(home, given.listen, given.serve)
    if given.keep is not None:
        return Keeper(home, given.listen).keep(given.keep)
    if given.launch is None:
        return Keeper(home, given.listen).keep()
    if os.fork():
        return EXIT_OK
    code = Keeper(home, given.listen).keep()
    with contextlib.suppress(OSError):  # who launched us may have stopped listening
        os.write(given.launch, str(code).encode())
    return code


if __name__ == "__main__":
    sys.exit(main())
