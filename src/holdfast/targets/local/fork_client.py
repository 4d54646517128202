"""The supervisor's side of ``forkserver.py``: one process, and one socket with JSON packets."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from holdfast.targets.local.process import Identity, Launch, Process

ANSWER_S = 5.0  # a fork takes milliseconds on a quiet machine
MESSAGE_MAX = 1 << 20
DIED = "died"


class Gone(Exception):
    """The fork server is dead, or does not answer."""


class ForkServer:
    """``fit`` resolves with None when the program is imported, or with why it cannot start warm."""

    FD = "FD"  # in its command: the number of its socket

    def __init__(self, process: Process, cwd: Path, control: socket.socket) -> None:
        self.process, self.cwd = process, cwd
        loop = asyncio.get_running_loop()
        self.fit: asyncio.Future[str | None] = loop.create_future()
        self._control = control
        self._answers: deque[asyncio.Future[Process | str]] = deque()
        self._codes: dict[int, asyncio.Future[int | None]] = {}
        loop.add_reader(control.fileno(), self._on_message)

    @classmethod
    def start(cls, prepared: Launch, task: Mapping[str, Any]) -> ForkServer:
        """Raises ``OSError`` when the interpreter cannot be executed."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                number = theirs.fileno()
                argv = [str(number) if word == cls.FD else word for word in prepared.argv]
                ours.setblocking(False)
                ours.send(json.dumps(task).encode())
                process = Process.start(replace(prepared, argv=argv, pass_fds=(number,)))
        except BaseException:
            ours.close()
            raise
        return cls(process, Path(prepared.cwd), ours)

    @property
    def alive(self) -> bool:
        return self.process.alive and self._control.fileno() >= 0

    async def fork(self, instance: Mapping[str, Any], fds: Sequence[int]) -> Process:
        """A process that waits for its go-ahead. Raises ``Gone``."""
        answer: asyncio.Future[Process | str] = asyncio.get_running_loop().create_future()
        try:
            socket.send_fds(self._control, [json.dumps(instance).encode()], list(fds))
            self._answers.append(answer)
            async with asyncio.timeout(ANSWER_S):
                forked = await answer
        except TimeoutError as error:
            raise Gone(f"did not fork within {ANSWER_S:g} s") from error
        except OSError as error:
            raise Gone(f"cannot be asked: {error.strerror}") from error
        if isinstance(forked, str):
            raise Gone(forked)
        return forked

    def end(self) -> None:
        """Its replicas go on."""
        self._hang_up()
        if self.process.alive:
            self.process.send(signal.SIGKILL)

    async def close(self) -> None:
        """The same, and wait until it is gone."""
        self._hang_up()
        await self.process.stop(signal.SIGKILL, 0.0)

    def _on_message(self) -> None:
        try:
            data, fds, _, _ = socket.recv_fds(self._control, MESSAGE_MAX, 1)
        except BlockingIOError:
            return
        except OSError:
            data, fds = b"", []
        try:
            self._take(json.loads(data) if data else {}, fds)
        except (ValueError, LookupError, TypeError):  # the program has got hold of the socket
            self.end()

    def _take(self, said: Mapping[str, Any], fds: Sequence[int]) -> None:
        if "forked" in said:
            self._forked(said["forked"], fds[0])
        elif "failed" in said:
            _settle(self._answers.popleft(), f"could not fork: {said['failed']}")
        elif "ended" in said:
            _settle(self._codes.pop(said["ended"], None), said["code"])
        elif said:
            _settle(self.fit, said.get("unfit"))
        else:
            self._hang_up()

    def _forked(self, pid: int, pidfd: int) -> None:
        code: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        process = Process(Identity.of(pid) or Identity(pid, 0), pidfd, code)
        answer = self._answers.popleft()
        if answer.done():  # nobody waits for it: without a go-ahead it ends
            process.let_go()
        else:
            self._codes[pid] = code
            answer.set_result(process)

    def _hang_up(self) -> None:
        if self._control.fileno() < 0:
            return
        asyncio.get_running_loop().remove_reader(self._control.fileno())
        self._control.close()
        _settle(self.fit, DIED)
        for answer in self._answers:
            _settle(answer, DIED)
        for code in self._codes.values():
            _settle(code, None)


def _settle(future: asyncio.Future[Any] | None, value: object) -> None:
    if future is not None and not future.done():
        future.set_result(value)
