"""One keep-alive connection of the load generator: one request at a time, every end accounted for.

A lane never decides what a failure means; it reports one word: ``ok``, ``refused``, ``reset``,
``timeout``, ``http-503``, ``short-answer``, ``wrong-answer``, ``wrong-version``, ``malformed``,
``surplus`` (more bytes than one answer: whose would the rest be?).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Exchange:
    """What is sent each time, and what counts as the right answer."""

    payload: bytes
    protocol: str = "http1"  # or "tcp": the answer ends with ``until``
    until: bytes = b"\r\n"
    answer_bytes: int | None = None  # the body must have exactly this length
    versions: frozenset[str] = frozenset()  # who may answer; empty: anybody
    right: Mapping[str, bytes] = field(default_factory=dict)  # the answer by version
    right_else: bytes | None = None  # the answer of versions that are not in ``right``

    def judge(self, status: int, body: bytes, who: str) -> str:
        if not 200 <= status < 300:
            return f"http-{status}"
        if self.answer_bytes is not None and len(body) != self.answer_bytes:
            return "short-answer"
        if self.versions and who not in self.versions:
            return "wrong-version"
        wanted = self.right.get(who, self.right_else)
        if wanted is not None and body != wanted:
            return "wrong-answer"
        return "ok"


class Pool(Protocol):
    """Who owns the lanes and hears how each request ended."""

    def report(self, request: int, kind: str, who: str) -> None: ...

    def freed(self, lane: Lane) -> None: ...

    def gone(self, lane: Lane) -> None: ...


class Lane(asyncio.Protocol):
    """One connection from its opening to its end; it is never reopened."""

    def __init__(self, exchange: Exchange, pool: Pool) -> None:
        self.exchange, self.pool = exchange, pool
        self.transport: asyncio.Transport | None = None
        self.request: int | None = None  # the one being answered
        self.since = 0.0  # when it became busy, monotonic
        self.buffer = bytearray()

    # ---- asked by the pool

    def send(self, request: int, now: float) -> None:
        assert self.request is None and self.transport is not None
        self.request, self.since = request, now
        self.transport.write(self.exchange.payload)

    def give_up(self, kind: str) -> None:
        """The request failed and the connection cannot be trusted any more."""
        self._end(kind)

    @property
    def usable(self) -> bool:
        return self.transport is not None and not self.transport.is_closing()

    # ---- told by the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        self._end("reset")

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if self.request is None:
            self._end("reset")  # an answer nobody asked for
            return
        try:
            whole = self._http() if self.exchange.protocol == "http1" else self._line()
        except ValueError:
            self._end("malformed")
            return
        if whole is not None:
            self._answered(*whole)

    # ---- inside

    def _answered(self, status: int, body: bytes, who: str, close: bool) -> None:
        request, self.request = self.request, None
        assert request is not None
        kind = "surplus" if self.buffer else self.exchange.judge(status, body, who)
        self.pool.report(request, kind, who)
        if close or self.buffer:
            self._end("reset")
        else:
            self.pool.freed(self)

    def _end(self, kind: str) -> None:
        """Once: the request in flight fails, the connection is over, the pool is told."""
        transport, self.transport = self.transport, None
        request, self.request = self.request, None
        if request is not None:
            self.pool.report(request, kind, "")
        if transport is not None:
            transport.abort()
            self.pool.gone(self)

    def _line(self) -> tuple[int, bytes, str, bool] | None:
        if not self.buffer.endswith(self.exchange.until):
            return None
        body = bytes(self.buffer)
        self.buffer.clear()
        return 200, body, body.split(b"\r\n", 1)[0][:32].decode("latin-1").strip(), False

    def _http(self) -> tuple[int, bytes, str, bool] | None:
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = bytes(self.buffer[: end + 2])
        small = head.lower()
        length = _field(small, small, b"content-length")
        chunked = length is None
        body_end = self._chunked_end(small, end + 4) if chunked else end + 4 + int(length or 0)
        if body_end is None or len(self.buffer) < body_end:
            return None
        body = bytes(self.buffer[end + 4 : body_end])
        del self.buffer[:body_end]
        who = _field(head, small, b"x-version") or _field(head, small, b"x-holdfast-release")
        close = _field(small, small, b"connection") == b"close"
        return int(head[9:12]), body, (who or b"").decode("latin-1"), close

    def _chunked_end(self, small: bytes, begin: int) -> int | None:
        if _field(small, small, b"transfer-encoding") != b"chunked":
            return begin
        found = self.buffer.find(b"0\r\n\r\n", begin)
        return None if found < 0 else found + 5


def _field(head: bytes, small: bytes, name: bytes) -> bytes | None:
    """The value of a header; ``small`` is ``head`` in lower case."""
    at = small.find(b"\r\n" + name + b":")
    if at < 0:
        return None
    begin = at + len(name) + 3
    return head[begin : head.find(b"\r\n", begin)].strip()
