"""One request, one answer, whatever the other side sends."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest

from holdfast.spec.model import LiveProbe, Probe, Probes, Smoke, Traffic
from holdfast.targets.local import probe, wire


def answered(*chunks: bytes, path: str = "/ready", close: bool = True) -> probe.Found:
    """What a probe makes of a server that sends these bytes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            for chunk in chunks:
                writer.write(chunk)
                await writer.drain()
            if not close:
                await reader.read()
        except asyncio.IncompleteReadError:
            pass  # only connected
        finally:
            writer.close()

    async def scenario() -> probe.Found:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            found = await probe.probe(port, Probe(path=path, timeout=0.3), Traffic())
            await asyncio.sleep(0.02)  # the server hangs up too
            return found

    return asyncio.run(scenario())


@pytest.mark.parametrize(
    ("chunks", "ok", "detail"),
    [
        ([b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"], True, "GET /ready answered 200"),
        ([b"HTTP/1.1 204 No Content\r\n\r\n"], True, "GET /ready answered 204"),
        ([b"HTTP/1.0 302 Found\r\n\r\nuntil the end"], True, "GET /ready answered 302"),
        (
            [
                b"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n3;x=1\r\nabc\r\n",
                b"0\r\n\r\n",
            ],
            False,
            "GET /ready answered 503",
        ),
        ([b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi"], False, "no complete HTTP answer"),
        ([b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\nhi"], False, "no complete HTTP answer"),
        ([b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n"], False, "too large"),
        ([b"SSH-2.0-OpenSSH_9.2\r\n\r\n"], False, "wanted an HTTP/1.1 status line"),
        ([b""], False, "no complete HTTP answer"),
    ],
)
def test_an_answer_is_judged_by_its_status_and_nonsense_is_no_answer(chunks, ok, detail):
    found = answered(*chunks)
    assert (found.ok, found.listening) == (ok, True)
    assert detail in found.detail


def test_silence_is_not_waited_for():
    found = answered(b"HTTP/1.1 2", close=False)
    assert (found.ok, found.listening) == (False, True)
    assert found.detail == "no answer within 0.3 s"


def test_without_a_path_connecting_is_enough():
    assert answered(path="").ok is True


def test_nobody_there_is_told_from_somebody_who_does_not_answer():
    async def scenario() -> tuple[probe.Found, probe.Found]:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        wanted = Probe(path="/ready", timeout=0.3)
        return (
            await probe.probe(port, wanted, Traffic()),
            await probe.probe(port, Probe(timeout=0.3), Traffic()),
        )

    for found in asyncio.run(scenario()):
        assert (found.ok, found.listening) == (False, False)


def test_without_a_liveness_probe_any_answer_is_life_and_only_long_silence_is_not():
    plain = Probes(ready=Probe(path="/ready"))
    asked = probe.liveness(plain)
    assert (asked.path, asked.timeout, asked.failures, asked.every) == ("/ready", 2.0, 5, 1.0)
    sick, silent = probe.judge(wire.Answer(503), "/ready"), probe.Found(False, True, "no answer")
    assert (probe.alive(sick, plain), probe.alive(silent, plain)) == (True, False)


def test_a_declared_liveness_probe_is_taken_at_its_word():
    declared = Probes(ready=Probe(path="/ready"), live=LiveProbe(path="/live", failures=1))
    assert probe.liveness(declared) == declared.live
    assert probe.alive(probe.judge(wire.Answer(503), "/live"), declared) is False
    assert probe.liveness(Probes()) == Probes().live  # without any path: connecting


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (wire.Answer(200, {}, b"welcome"), None),
        (wire.Answer(404, {}, b"welcome"), "POST /buy answered 404, wanted 200"),
        (wire.Answer(200, {}, b"bye"), "wanted it to contain 'welcome'"),
        (probe.Found(False, True, "no answer within 2 s"), "POST /buy: no answer within 2 s"),
    ],
)
@pytest.mark.req("T75")
def test_a_smoke_answer_is_compared_with_what_was_wanted(answer, words):
    wanted = Smoke(path="/buy", method="POST", contains="welcome")
    why = probe.unlike(answer, wanted)
    assert why is None if words is None else words in (why or "")


def test_a_request_says_how_long_its_body_is_and_own_headers_win():
    sent = wire.request("POST", "/a", {"host": "example.org"}, b"body")
    head, _, body = sent.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /a HTTP/1.1\r\nhost: example.org\r\n")
    assert b"content-length: 4" in head
    assert body == b"body"


def test_the_answer_to_head_has_no_body():
    async def scenario() -> wire.Answer:
        async def serve(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n")
            await reader.read()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                return await asyncio.wait_for(
                    wire.exchange(reader, writer, wire.request("HEAD", "/")), 2
                )
            finally:
                writer.close()
                await asyncio.sleep(0.02)

    assert asyncio.run(scenario()).status == 200


def exchanged(*parts: bytes) -> wire.Answer:
    """The answer of a server that sends these parts one by one, then hangs up."""

    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        with contextlib.suppress(OSError):  # the client may have heard enough
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.05)
        writer.close()
        ended.set()

    async def scenario() -> wire.Answer:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                return await wire.exchange(reader, writer, wire.request("GET", "/"))
            finally:
                writer.close()
                await ended.wait()

    return asyncio.run(scenario())


def test_an_answer_without_a_length_is_read_to_its_end():
    assert exchanged(b"HTTP/1.0 200 OK\r\n\r\nwel", b"come").body == b"welcome"


def test_news_before_the_answer_is_not_the_answer():
    hints = b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n"
    answer = exchanged(hints, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi")
    assert (answer.status, answer.body) == (200, b"hi")


def test_many_small_chunks_are_no_way_around_the_limit(monkeypatch):
    monkeypatch.setattr(wire, "BODY_MAX", 100)
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    with pytest.raises(wire.NotHttp, match="more than 100 bytes"):
        exchanged(head + b"20\r\n" + b"x" * 32 + b"\r\n", *[b"20\r\n" + b"x" * 32 + b"\r\n"] * 9)


def test_a_smoke_request_to_a_program_that_reads_nothing_ends():
    """More than the kernel buffers: closing politely would wait for the reader for ever."""

    async def scenario() -> str | None:
        with socket.create_server(("127.0.0.1", 0)) as deaf:
            wanted = Smoke(path="/", method="POST", body="x" * 20_000_000, timeout=0.2)
            return await asyncio.wait_for(probe.smoke(deaf.getsockname()[1], wanted), 30)

    said = asyncio.run(scenario())
    assert said is not None and "no answer within 0.2 s" in said
