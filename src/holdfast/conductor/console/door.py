"""Where browsers come in: a loopback port, opened when somebody first asks for the console."""

from __future__ import annotations

import asyncio
import logging
import socket

from starlette.applications import Starlette

from holdfast.conductor.answers import Problem
from holdfast.conductor.server import CannotListen, Server, make_server, tcp_socket

log = logging.getLogger("holdfast.console")


class Door:
    """At most one extra listener, on 127.0.0.1, with the conductor's own application."""

    def __init__(self) -> None:
        self.port = 0  # 0: closed
        self._app: Starlette | None = None
        self._server: Server | None = None
        self._serving: asyncio.Task[None] | None = None

    def offer(self, app: Starlette, listening: socket.socket | None) -> None:
        """The application to serve; ``listening`` when it is served over TCP already."""
        self._app = app
        if listening is not None:
            self.port = listening.getsockname()[1]

    def open(self, wanted: int = 0) -> int:
        """The port; listens first where nobody does. ``wanted`` is taken when it is free."""
        if self.port:
            return self.port
        if self._app is None:
            raise Problem(503, "no-console", "this conductor serves no browsers")
        try:
            listener = tcp_socket(f"127.0.0.1:{wanted}")
        except CannotListen:
            listener = tcp_socket("127.0.0.1:0")
        self.port = listener.getsockname()[1]
        self._server = make_server(self._app)
        self._serving = asyncio.create_task(self._server.serve([listener]), name="console")
        log.info("the console listens at 127.0.0.1:%d", self.port)
        return self.port

    async def close(self) -> None:
        """Wait for the open answers, bounded by the server's own grace."""
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await self._serving
