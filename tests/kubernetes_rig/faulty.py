"""A proxy in front of the API server that stumbles on demand, and counts what it was asked."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from kubernetes_rig.api_server import Server
from kubernetes_rig.following import Api, Resident


@dataclass(frozen=True)
class Call:
    """One request."""

    method: str
    path: str  # without the query
    watch: bool

    @property
    def resource(self) -> str:
        """The plural of the kind, and the subresource: ``deployments``, ``pods/log``."""
        parts = self.path.strip("/").split("/")
        parts = parts[2:] if parts[0] == "api" else parts[3:]
        if parts[:1] == ["namespaces"] and len(parts) > 2:
            parts = parts[2:]
        return "/".join([*parts[:1], *parts[2:]])


@dataclass(frozen=True)
class Fault:
    """An answer that the server never gave; ``status`` 0: the connection is cut instead."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)

    def as_bytes(self) -> bytes:
        body = json.dumps(self.body or {"kind": "Status", "message": "storm"}).encode() + b"\n"
        lines = [f"HTTP/1.1 {self.status} Storm", "Content-Type: application/json",
                 f"Content-Length: {len(body)}", "Connection: close",
                 *(f"{key}: {value}" for key, value in self.headers.items())]  # fmt: skip
        return "\r\n".join([*lines, "", ""]).encode() + body


CUT = Fault(0)
BUSY = Fault(429, {"Retry-After": "1"})
BROKEN = Fault(500)
#: What a watch hears when its resourceVersion is forgotten (API concepts, 410 Gone).
FORGOTTEN = Fault(200, body={"type": "ERROR", "object": {"kind": "Status", "code": 410,
                  "reason": "Expired", "message": "too old resource version"}})  # fmt: skip
Rule = Callable[[Call], Fault | None]


class FaultyProxy(Resident):
    """Plain HTTP on loopback; ``rule`` may be replaced at any time."""

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self.rule: Rule = lambda call: None
        self.calls: list[Call] = []
        self.port = 0
        self._trusted = ssl.create_default_context(cafile=str(server.authority))
        self._watches: set[asyncio.StreamWriter] = set()
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def counted(self) -> Counter[str]:
        """Requests by method and resource; a watch counts once, when it begins."""
        return Counter(
            f"{'WATCH' if call.watch else call.method} {call.resource}" for call in self.calls
        )

    @property
    def watching(self) -> int:
        """Connections of watches that go on: two for each."""
        return len(self._watches)

    def cut_watches(self) -> None:
        self._soon(lambda: [writer.close() for writer in self._watches])

    def lives(self, api: Api) -> Iterator[Any]:
        yield self._serve()

    async def _whole(self) -> None:
        listening = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.port = listening.sockets[0].getsockname()[1]
        async with listening:
            self._listening = listening
            try:
                await super()._whole()
            finally:
                for writer in self._open:
                    writer.close()
                await asyncio.sleep(0.05)  # whoever was served notices it

    async def _serve(self) -> None:
        await self._listening.serve_forever()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, ssl.SSLError):
            call, request = await _request(reader)
            self.calls.append(call)
            fault = self.rule(call)
            if fault is None:
                await self._pass(call, request, writer)
            elif fault.status:
                writer.write(fault.as_bytes())
                await writer.drain()
        self._open.discard(writer)
        writer.close()

    async def _pass(self, call: Call, request: bytes, writer: asyncio.StreamWriter) -> None:
        reader, upstream = await asyncio.open_connection(
            "127.0.0.1", self.server.port, ssl=self._trusted, server_hostname="127.0.0.1"
        )
        self._open.add(upstream)
        if call.watch:
            self._watches |= {writer, upstream}
        try:
            upstream.write(request)
            while part := await reader.read(65536):
                writer.write(part)
                await writer.drain()
        finally:
            self._watches -= {writer, upstream}
            self._open.discard(upstream)
            upstream.close()


async def _request(reader: asyncio.StreamReader) -> tuple[Call, bytes]:
    """One request, to be passed on with the wish that the connection ends after it."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ")
    path, _, query = target.partition("?")
    headers = [line for line in lines if not line.lower().startswith("connection:")]
    length = next((int(h.split(":")[1]) for h in headers if h.lower().startswith("content-len")), 0)
    whole = "\r\n".join([first, *headers, "Connection: close", "", ""]).encode("latin-1")
    watch = "watch=true" in query or "watch=1" in query
    return Call(method, path, watch), whole + await reader.readexactly(length)
