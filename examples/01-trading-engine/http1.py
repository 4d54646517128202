"""HTTP/1.1 for one connection: keep-alive, pipelined requests in order, bounded everything.

Bodies need a ``content-length``; chunked bodies are refused with 501, because a batch knows its
size. A malformed request is answered 400 and ends the connection: its frame cannot be trusted.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

HEAD_BYTES_MAX = 16 * 1024
BODY_BYTES_MAX = 8 * 1024 * 1024
REASONS = {
    200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed",
    413: "Content Too Large", 431: "Request Header Fields Too Large",
    500: "Internal Server Error", 501: "Not Implemented", 503: "Service Unavailable",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    body: bytes
    keep_alive: bool


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    content_type: str
    version: str
    delay_s: float = 0.0

    def render(self, close: bool, head_only: bool = False) -> bytes:
        head = (
            f"HTTP/1.1 {self.status} {REASONS[self.status]}\r\nx-version: {self.version}\r\n"
            f"content-type: {self.content_type}\r\ncontent-length: {len(self.body)}\r\n"
            f"{'connection: close' if close else 'connection: keep-alive'}\r\n\r\n"
        )
        return head.encode("latin-1") + (b"" if head_only else self.body)


class Malformed(Exception):
    """The peer does not speak HTTP as we bound it; answered with ``status`` and closed."""

    def __init__(self, status: int, says: str) -> None:
        super().__init__(says)
        self.status = status


@dataclass(frozen=True, slots=True)
class Head:
    method: str
    path: str
    length: int
    keep_alive: bool


def parse_head(raw: bytes) -> Head:
    """The request line and the three headers that frame a request."""
    line, _, rest = raw.partition(b"\r\n")
    words = line.split(b" ")
    if len(words) != 3 or words[2] not in (b"HTTP/1.1", b"HTTP/1.0") or not words[1]:
        raise Malformed(400, "malformed request line")
    length, keep_alive = None, words[2] == b"HTTP/1.1"
    for field in rest.split(b"\r\n"):
        name, colon, value = field.partition(b":")
        name = name.lower()
        if field and (not colon or name != name.strip() or not name):
            raise Malformed(400, "malformed header")
        if name == b"content-length":
            length = _length(value.strip(), length)
        elif name == b"transfer-encoding":
            raise Malformed(501, "send a content-length")
        elif name == b"connection":
            keep_alive = b"close" not in value.lower() if keep_alive else b"keep" in value.lower()
    path = words[1].partition(b"?")[0].decode("latin-1")
    return Head(words[0].decode("latin-1"), path, length or 0, keep_alive)


def _length(value: bytes, before: int | None) -> int:
    if not value.isdigit() or len(value) > 12 or (before is not None and before != int(value)):
        raise Malformed(400, "malformed content-length")
    if int(value) > BODY_BYTES_MAX:
        raise Malformed(413, f"at most {BODY_BYTES_MAX} bytes")
    return int(value)


class Application(Protocol):
    """What a connection needs of the program behind it."""

    draining: bool
    version: str
    connections: set[Connection]

    def answer(self, request: Request) -> Answer: ...


class Connection(asyncio.Protocol):
    """One client connection. Answers strictly in order; stops reading while it owes answers."""

    def __init__(self, app: Application) -> None:
        self.app = app
        self.buffer = bytearray()
        self.head: Head | None = None
        self.owes = False  # a delayed answer is due: later requests wait for their turn
        self.blocked = False  # the peer does not read: stop answering until it does

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.app.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.app.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self.advance()

    def pause_writing(self) -> None:
        self.blocked = True
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.blocked = False
        self.transport.resume_reading()
        self.advance()

    def close_when_idle(self) -> None:
        if not self.owes and not self.buffer and self.head is None:
            self.transport.close()

    def advance(self) -> None:
        """Answer every whole request in the buffer, in order."""
        try:
            while not (self.owes or self.blocked or self.transport.is_closing()):
                request = self.take()
                if request is None:
                    return
                self.reply(self.app.answer(request), request)
        except Malformed as problem:
            answer = Answer(problem.status, f"{problem}\n".encode(), "text/plain", self.app.version)
            self.transport.write(answer.render(close=True))
            self.transport.close()

    def take(self) -> Request | None:
        if self.head is None:
            end = self.buffer.find(b"\r\n\r\n")
            if end > HEAD_BYTES_MAX or (end < 0 and len(self.buffer) > HEAD_BYTES_MAX):
                raise Malformed(431, "request head too large")
            if end < 0:
                return None
            self.head = parse_head(bytes(self.buffer[:end]))
            del self.buffer[: end + 4]
        head = self.head
        if len(self.buffer) < head.length:
            return None
        body = bytes(self.buffer[: head.length])
        del self.buffer[: head.length]
        self.head = None
        return Request(head.method, head.path, body, head.keep_alive)

    def reply(self, answer: Answer, request: Request) -> None:
        if answer.delay_s:
            self.owes = True
            later = asyncio.get_running_loop().call_later
            later(answer.delay_s, self.settle, answer, request)
        else:
            self.send(answer, request)

    def settle(self, answer: Answer, request: Request) -> None:
        self.owes = False
        if not self.transport.is_closing():
            self.send(answer, request)
            self.advance()

    def send(self, answer: Answer, request: Request) -> None:
        close = self.app.draining or not request.keep_alive
        self.transport.write(answer.render(close, head_only=request.method == "HEAD"))
        if close:
            self.transport.close()
