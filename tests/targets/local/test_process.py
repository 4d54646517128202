"""A process is watched from its first moment to its last; its number is not used after that."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from pathlib import Path

import pytest

from holdfast.targets.local.process import Identity, Launch, Process

SLEEP = ("sleep", "60")


def launch(tmp_path: Path, *argv: str) -> Launch:
    return Launch(argv, {"PATH": os.environ["PATH"]}, str(tmp_path), tmp_path / "out")


def test_a_process_that_cannot_be_watched_is_not_left_running(tmp_path, monkeypatch):
    started = []

    def no_handle(pid: int) -> int:
        started.append(pid)
        raise OSError(errno.EMFILE, "Too many open files")

    async def scenario() -> None:
        monkeypatch.setattr(os, "pidfd_open", no_handle)
        with pytest.raises(OSError, match="Too many open files"):
            Process.start(launch(tmp_path, *SLEEP))

    asyncio.run(scenario())
    assert [Identity.of(pid) for pid in started] == [None]


def test_the_number_of_a_process_that_ended_is_not_signalled(tmp_path, monkeypatch):
    """By then it may be the number of somebody else's process group."""
    hit = []

    async def scenario() -> int | None:
        process = Process.start(launch(tmp_path, "true"))
        code = await process.ended
        monkeypatch.setattr(os, "killpg", lambda pid, number: hit.append((pid, number)))
        await process.stop(signal.SIGTERM, 1.0)
        return code

    assert asyncio.run(scenario()) == 0
    assert hit == []


def test_the_group_is_ended_while_the_corpse_of_its_leader_still_has_the_number(
    tmp_path, monkeypatch
):
    states = []
    killpg = os.killpg

    def noted(pid: int, number: int) -> None:
        states.append(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0])
        killpg(pid, number)

    async def scenario() -> None:
        monkeypatch.setattr(os, "killpg", noted)
        await Process.start(launch(tmp_path, "true")).ended

    asyncio.run(scenario())
    assert states == ["Z"]
