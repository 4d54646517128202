"""Processes of a service that nobody looks after: found by a mark in their environment.

A supervisor may die between starting a process and recording it, a worker may outlive its leader,
and a program may put itself into the background. The mark names the record and the port of one
life of one instance, so helpers of an instance that lives are told from what a dead one left.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

MARK = "HOLDFAST_RECORD"
_GONE_WITHIN_S = 5.0
_LOOK_AGAIN_S = 0.005


def mark(record: Path, port: int) -> str:
    """The mark of the instance at ``port`` that ``record`` tells of."""
    return f"{record}:{port}"


async def end(root: Path, is_stray: Callable[[int, str], bool]) -> None:
    """Kill the strays among the processes marked below ``root``, and wait until they are gone.

    ``is_stray`` is asked with pid and mark, in a thread: looking at all processes takes a while.
    """
    handles = await asyncio.to_thread(_kill, root, is_stray)
    deadline = asyncio.get_running_loop().time() + _GONE_WITHIN_S
    try:
        while not all(map(_gone, handles)) and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(_LOOK_AGAIN_S)
    finally:
        for handle in handles:
            os.close(handle)


def _kill(root: Path, is_stray: Callable[[int, str], bool]) -> Sequence[int]:
    """Handles of those that were killed."""
    told = [_kill_one(pid, said) for pid, said in marked(root) if is_stray(pid, said)]
    return [handle for handle in told if handle is not None]


def _kill_one(pid: int, said: str) -> int | None:
    """By a handle, looked at once more: the number may have a new owner by now."""
    with contextlib.suppress(OSError):
        handle = os.pidfd_open(pid)
        with contextlib.suppress(OSError):
            if _mark_of(pid) == said:
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                return handle
        os.close(handle)
    return None


def marked(root: Path) -> Iterator[tuple[int, str]]:
    """pid and mark of every process whose mark names a record below ``root``."""
    for name in os.listdir("/proc"):
        if name.isdigit() and (said := _mark_of(int(name))) and said.startswith(f"{root}/"):
            yield int(name), said


def _mark_of(pid: int) -> str | None:
    begin = f"{MARK}=".encode()
    with contextlib.suppress(OSError):
        for word in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            if word.startswith(begin):
                return os.fsdecode(word.removeprefix(begin))
    return None


def _gone(handle: int) -> bool:
    """All its threads are: a leader without memory may still hold a port by one of them."""
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(0))
