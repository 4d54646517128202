"""Serving the API on the conductor's Unix socket, and on loopback TCP when asked to."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from holdfast.conductor.auth import peer_address

#: Every answer is short except event streams, and those end when the conductor says so.
GRACE_S_MAX = 5
#: A reader that takes nothing for so long is cut off: it must not keep a place among the streams.
STUCK_S_MAX = 15.0
#: A connection on which no request has begun after so long is closed.
MUTE_S_MAX = 15.0
_LOOPBACK = ("127.0.0.1", "::1")


class CannotListen(ValueError):
    """The address is not one that can be listened on."""


class NotLoopback(CannotListen):
    """The API is plain HTTP, so it is never offered to a network."""


class PeerProtocol(H11Protocol):
    """Puts the kernel's word about a Unix peer where ASGI keeps the client's address.

    What is sent to a reader that does not read stops at the transport's buffer (64 KiB), so it
    costs nobody else anything; after ``STUCK_S_MAX`` its connection is aborted, for closing it
    would wait for the reader again.
    """

    _stuck: asyncio.TimerHandle | None = None
    _mute: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        self.client = peer_address(connection) or self.client
        self._mute = self.loop.call_later(MUTE_S_MAX, self._end_if_mute)

    def _end_if_mute(self) -> None:
        """Who asks nothing must not keep a descriptor: any user may connect to loopback."""
        if not self.cycle:
            self.transport.abort()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stuck = self.loop.call_later(STUCK_S_MAX, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._moves()

    def connection_lost(self, exc: Exception | None) -> None:
        self._moves()
        if self._mute is not None:
            self._mute.cancel()
        super().connection_lost(exc)

    def _moves(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None


class Server(uvicorn.Server):
    """uvicorn without its signal handlers: the daemon decides when to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def make_server(app: Starlette) -> Server:
    return Server(
        uvicorn.Config(
            app,
            http=PeerProtocol,
            ws="none",
            lifespan="off",
            proxy_headers=False,
            server_header=False,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=GRACE_S_MAX,
        )
    )


def unix_socket(path: Path) -> socket.socket:
    """Listen at ``path``, for this user only. A stale file of a dead conductor is replaced."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # Through the open directory: a Unix address holds 107 bytes, a path may be longer.
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    before = os.umask(0o177)
    try:
        path.unlink(missing_ok=True)
        listener.bind(f"/proc/self/fd/{directory}/{path.name}")
    finally:
        os.umask(before)
        os.close(directory)
    listener.listen(128)
    listener.setblocking(False)
    return listener


def tcp_socket(listen: str) -> socket.socket:
    """Listen at ``host:port``, loopback only. Raises ``CannotListen``."""
    host, colon, port = listen.rpartition(":")
    host = host.strip("[]")
    if not colon or not port.isdigit() or int(port) > 65535 or host not in _LOOPBACK:
        wanted = "127.0.0.1:PORT or [::1]:PORT"
        raise NotLoopback(f"found {listen!r}, wanted {wanted}; others may come through ssh")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, int(port)))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise CannotListen(f"{listen} cannot be listened on: {error.strerror}") from error
    listener.setblocking(False)
    return listener
