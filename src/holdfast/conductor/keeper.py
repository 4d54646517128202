"""The keeper: a small process that runs a conductor, again whenever it dies, and is kept in turn.

The conductor notices the end of its keeper and gets a new one, so killing either heals. Only the
standard library is imported, so the keeper stays small.
"""

from __future__ import annotations

import asyncio
import logging
import os
import select
import signal
import subprocess
import sys
import time
from typing import BinaryIO

from holdfast.runtime.home import Home, write_private

log = logging.getLogger("holdfast.daemon")

EXIT_OK, EXIT_USAGE, EXIT_REFUSED, EXIT_CRASH = 0, 2, 4, 70

BACKOFF_S_MIN, BACKOFF_S_MAX = 0.05, 5.0
#: A conductor that lived this long was healthy: the next restart is immediate again.
HEALTHY_S = 10.0
CRASHES_MAX = 5
POLL_S = 0.2


def command(home: Home, listen: str | None) -> list[str]:
    words = [sys.executable, "-m", "holdfast.conductor.daemon", "--home", str(home.path)]
    return [*words, "--listen", listen] if listen else words


def open_log(home: Home) -> BinaryIO:
    """For what a dying Python prints; the conductor itself logs through ``logging``."""
    descriptor = os.open(home.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    return os.fdopen(descriptor, "wb")


class Keeper:
    """Runs a conductor, again whenever it dies by a signal or a bug."""

    def __init__(self, home: Home, listen: str | None) -> None:
        self._words = [*command(home, listen), "--serve", str(os.getpid())]
        self._asked = False  # to end, and not to start another one
        self._child: subprocess.Popen[bytes] | None = None

    def keep(self, living: int | None = None) -> int:
        """Until asked to end, or until starting again is no use. Returns the last exit code.

        ``living``: a conductor whose keeper was killed; it is waited for before another starts.
        """
        signal.signal(signal.SIGTERM, self._end)
        signal.signal(signal.SIGINT, self._end)
        if living is not None:
            self._outlive(living)
        pause_s, crashes, code = BACKOFF_S_MIN, 0, EXIT_OK
        while not self._asked:
            began = time.monotonic()
            code = self._live()
            if code in (EXIT_OK, EXIT_USAGE, EXIT_REFUSED):
                return code
            if time.monotonic() - began > HEALTHY_S:
                pause_s, crashes = BACKOFF_S_MIN, 0
            crashes += code > 0
            if crashes > CRASHES_MAX:
                return code
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, BACKOFF_S_MAX)
        return max(code, EXIT_OK)

    def _live(self) -> int:
        """One life of a conductor, and how it ended."""
        with subprocess.Popen(self._words, stdin=subprocess.DEVNULL) as child:
            self._child = child
            if self._asked:  # while it was being started
                child.terminate()
            return child.wait()

    def _outlive(self, pid: int) -> None:
        """Wait for the end of a conductor that is not our child."""
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        with os.fdopen(descriptor):
            while not self._asked and not select.select([descriptor], [], [], POLL_S)[0]:
                pass

    def _end(self, _signal: int, _frame: object) -> None:
        self._asked = True
        if self._child is not None:
            self._child.terminate()


async def stay_kept(home: Home, listen: str | None, keeper: int) -> None:
    """Get a new keeper whenever the old one is killed, so that the next kill heals as well."""
    await _ended(keeper)
    while True:
        words = [*command(home, listen), "--keep", str(os.getpid())]
        with open_log(home) as output:
            child = await asyncio.to_thread(_detached, words, output)
        keeper = child.pid
        log.warning("the keeper was gone; the new one is %d", keeper)
        write_private(home.pid_file, f"{os.getpid()} {keeper}\n".encode())
        await _ended(keeper)
        child.wait()


def _detached(words: list[str], output: BinaryIO) -> subprocess.Popen[bytes]:
    quiet = subprocess.DEVNULL
    return subprocess.Popen(
        words, stdin=quiet, stdout=output, stderr=output, start_new_session=True, cwd="/"
    )


async def _ended(pid: int) -> None:
    """Wait for the end of any process."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, over.set)
    try:
        await over.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
