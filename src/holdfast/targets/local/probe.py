"""Does one instance answer? One connection per look: what is tested is a new user's first step."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from holdfast.spec.model import Probe, Probes, Smoke, Traffic
from holdfast.targets.local import wire

_SILENCE_S = 2.0
_GOODBYE_S = 0.5
_SETTINGS, _ACK, _FRAME_MAX = 4, 1, 16_384
_HTTP2_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, _SETTINGS, 0, 0, 0, 0, 0])

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Found:
    """What one probe saw. ``listening`` tells 'never listens' from 'never ready'."""

    ok: bool
    listening: bool
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)
    answered: bool = False  # with whatever status


async def probe(port: int, wanted: Probe, traffic: Traffic) -> Found:
    """GET ``path``, or only connect where there is no path.

    For HTTP/2 and gRPC the first step of the protocol is all that is looked at here, which a hung
    process does not take; Envoy's own health check asks for ``path`` (or for the health of the
    gRPC service) and has the last word before an instance counts as ready.
    """
    if not wanted.path or traffic.protocol == "tcp":
        return await _connects(port, wanted.timeout)
    if traffic.protocol in ("http2", "grpc"):
        found = await _talk(port, wanted.timeout, _greets)
        return found if isinstance(found, Found) else Found(True, True, "speaks HTTP/2", {}, True)
    sent = wire.request("GET", wanted.path, {"connection": "close"})
    return judge(await _ask(port, sent, wanted.timeout), wanted.path)


def judge(answer: wire.Answer | Found, path: str) -> Found:
    """2xx and 3xx are well, like everywhere else."""
    if isinstance(answer, Found):
        return answer
    ok = 200 <= answer.status < 400
    return Found(ok, True, f"GET {path} answered {answer.status}", answer.headers, True)


def liveness(probes: Probes) -> Probe:
    """The declared probe. Without one, a program that answers its readiness probe with any status
    at all is alive, and only long silence is not: a stopped process still accepts connections."""
    live, ready = probes.live, probes.ready
    if live.path or not ready.path:
        return live
    patient = {"timeout": max(live.timeout, _SILENCE_S), "failures": max(live.failures, 5)}
    return live.model_copy(update={"path": ready.path, **patient})


def alive(found: Found, probes: Probes) -> bool:
    return found.ok if probes.live.path else found.answered


async def smoke(port: int, wanted: Smoke) -> str | None:
    """The reason why the smoke request failed, or None."""
    headers = {"connection": "close", **wanted.headers}
    sent = wire.request(wanted.method, wanted.path, headers, wanted.body.encode())
    answer = await _ask(port, sent, wanted.timeout)
    return unlike(answer, wanted)


def unlike(answer: wire.Answer | Found, wanted: Smoke) -> str | None:
    """How the answer differs from the wanted one, or None."""
    what = f"{wanted.method} {wanted.path}"
    if isinstance(answer, Found):
        return f"{what}: {answer.detail}"
    if answer.status != wanted.status:
        return f"{what} answered {answer.status}, wanted {wanted.status}"
    if wanted.contains and wanted.contains.encode() not in answer.body:
        return f"{what} answered {answer.body[:80]!r}, wanted it to contain {wanted.contains!r}"
    return None


async def _connects(port: int, timeout: float) -> Found:
    try:
        async with asyncio.timeout(timeout):
            _reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except (OSError, TimeoutError) as error:
        return Found(False, False, f"connecting to port {port}: {_words(error)}")
    await _hang_up(writer)
    return Found(True, True, f"port {port} accepts connections", answered=True)


async def _ask(port: int, sent: bytes, timeout: float) -> wire.Answer | Found:
    return await _talk(port, timeout, lambda reader, writer: wire.exchange(reader, writer, sent))


async def _greets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Every HTTP/2 server must acknowledge settings, even empty ones."""
    writer.write(_HTTP2_HELLO)
    try:
        while True:
            frame = await reader.readexactly(9)
            size = int.from_bytes(frame[:3], "big")
            if size > _FRAME_MAX:
                raise wire.NotHttp("the program does not speak HTTP/2")
            if frame[3] == _SETTINGS and frame[4] & _ACK:
                return
            await reader.readexactly(size)
    except asyncio.IncompleteReadError as error:
        raise wire.NotHttp("closed the connection instead of speaking HTTP/2") from error


async def _talk(
    port: int,
    timeout: float,
    exchange: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[T]],
) -> T | Found:
    """What the exchange brought, or how it failed."""
    listening = False
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            listening = True
            try:
                return await exchange(reader, writer)
            finally:
                await _hang_up(writer)
    except (OSError, TimeoutError, wire.NotHttp) as error:
        return Found(False, listening, _words(error, timeout))


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    """A peer that reads nothing would keep a polite goodbye waiting for ever."""
    writer.close()
    try:
        async with asyncio.timeout(_GOODBYE_S):
            await writer.wait_closed()
    except OSError:
        writer.transport.abort()


def _words(error: Exception, timeout: float | None = None) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout} s" if timeout else "no answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    return str(error) or type(error).__name__
