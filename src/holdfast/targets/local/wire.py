"""One HTTP/1.1 request and its answer over an open stream: for probes and Envoy's admin socket.

Own and tiny because it runs often: a probe must not cost more than what it looks at.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

BODY_MAX = 64 * 1024 * 1024


class NotHttp(Exception):
    """The other side does not speak HTTP/1.1, or stopped in the middle of an answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)  # names in lower case
    body: bytes = b""


def request(
    method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> bytes:
    """The bytes of one request. ``headers`` win over the standard ones."""
    lines = {"host": "localhost", "user-agent": "holdfast", **(headers or {})}
    if body or method == "POST":
        lines["content-length"] = str(len(body))
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body


async def exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sent: bytes
) -> Answer:
    """Send one request, read one answer. Raises ``NotHttp`` or ``OSError``."""
    writer.write(sent)
    await writer.drain()
    try:
        status, headers = await _head(reader)
        while 100 <= status < 200 and status != 101:  # news before the answer, such as hints
            status, headers = await _head(reader)
        body = b"" if sent.startswith(b"HEAD ") else await _body(reader, status, headers)
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
        raise NotHttp(f"no complete HTTP answer: {error}") from error
    return Answer(status, headers, body)


async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")
    pairs = (line.partition(":") for line in lines if line)
    return _status(first), {name.strip().lower(): value.strip() for name, _, value in pairs}


def _status(line: str) -> int:
    version, _, rest = line.partition(" ")
    if not version.startswith("HTTP/1."):
        raise NotHttp(f"found {line[:40]!r}, wanted an HTTP/1.1 status line")
    return int(rest[:3])


async def _body(reader: asyncio.StreamReader, status: int, headers: Mapping[str, str]) -> bytes:
    if status in (101, 204, 304):
        return b""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return await _chunks(reader)
    if (length := headers.get("content-length")) is None:
        return await _until_closed(reader)
    if int(length) > BODY_MAX:
        raise NotHttp(f"answer of {length} bytes is too large")
    return await reader.readexactly(int(length))


async def _until_closed(reader: asyncio.StreamReader) -> bytes:
    """The old way of ending an answer: ``read`` alone gives what has come so far."""
    parts, left = [], BODY_MAX
    while left and (part := await reader.read(left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    parts: list[bytes] = []
    left = BODY_MAX
    while size := int((await reader.readline()).partition(b";")[0] or b"0", 16):
        left -= size
        if left < 0:
            raise NotHttp(f"answer of more than {BODY_MAX} bytes is too large")
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readline()
    return b"".join(parts)
