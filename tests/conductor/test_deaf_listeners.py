"""Edge case 36: listeners that never read. No rollout waits for them, and they do not stay."""

import asyncio
import contextlib
import socket
import time

import pytest
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route

from holdfast.conductor import server as serving
from holdfast.conductor.events import News, stream_events
from holdfast.ledger import Draft, Ledger

DEAF = 40
RSS_GROWTH_MAX_KIB = 48 * 1024
REQUEST = b"GET /v1/events?since=0 HTTP/1.1\r\nhost: holdfast\r\n\r\n"


def on_a_loop(story):
    """Run an async test to its end."""

    def play(tmp_path, monkeypatch):
        asyncio.run(story(tmp_path, monkeypatch))

    return play


def deaf(path):
    """A listener that asks for everything and never reads a byte of the answer."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    listener.connect(str(path))
    listener.sendall(REQUEST)
    return listener


def rss_kib(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def took(action):
    began = time.monotonic()
    assert action()
    return time.monotonic() - began


def there_and_back(service, rollout):
    """v2 is promoted and rolled back; in seconds."""

    def story():
        back = service.ended(rollout()).get("ending") == "promoted"
        answer = service.client.rollback(service.name)
        return back and service.ended(answer["rollout"])["ending"] == "promoted"

    return took(story)


@pytest.mark.live
def test_36_forty_listeners_that_never_read_delay_no_rollout_and_no_rollback(running_home, service):
    service.deploy("v1")
    alone = there_and_back(service, lambda: service.ask("v2")["rollout"])
    pid = int(running_home.pid_file.read_text().split()[0])
    before = rss_kib(pid)
    listeners = [deaf(running_home.socket) for _ in range(DEAF)]
    try:
        crowded = there_and_back(service, lambda: service.ask("v3")["rollout"])
    finally:
        grown = rss_kib(pid) - before
        for listener in listeners:
            listener.close()
    assert crowded < alone + 10.0  # and not the time of a deaf listener, 15 s each
    assert grown < RSS_GROWTH_MAX_KIB


async def played(tmp_path, entries):
    """The event stream behind the conductor's own server, with ``entries`` of 4 KiB to tell."""
    ledger, news = Ledger.open(tmp_path / "ledger.db", "holdfast/test"), News()
    body = b'{"a":"' + b"x" * 4096 + b'"}'
    await ledger.append([Draft("shop", "Said", body, 1.0) for _ in range(entries)])

    async def events(_request):
        return StreamingResponse(stream_events(ledger, news, None, 0))

    app = Starlette(routes=[Route("/v1/events", events)])
    path = tmp_path / "conductor.sock"
    return ledger, news, path, serving.make_server(app), serving.unix_socket(path)


async def until(true, within=60.0):
    async with asyncio.timeout(within):
        while not true():
            await asyncio.sleep(0.02)


@on_a_loop
async def test_36_a_listener_that_does_not_read_is_cut_off_and_its_place_is_free(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(serving, "STUCK_S_MAX", 0.5)
    ledger, news, path, server, listening = await played(tmp_path, 500)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    await until(lambda: server.started)
    listener = deaf(path)
    await until(lambda: news.listeners == 1)
    await until(lambda: news.listeners == 0)
    heard = bytearray()
    listener.settimeout(60.0)
    while chunk := listener.recv(65536):
        heard += chunk
    assert len(heard) < 500 * 4096  # it got what the buffers held, and then the end
    news.close()
    server.should_exit = True
    await task
    listener.close()
    ledger.close()


@on_a_loop
async def test_36_a_listener_that_reads_late_but_reads_hears_everything(tmp_path, monkeypatch):
    monkeypatch.setattr(serving, "STUCK_S_MAX", 5.0)
    ledger, news, path, server, listening = await played(tmp_path, 300)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    await until(lambda: server.started)
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(REQUEST)
    said = b""
    while said.count(b"event: Said") < 300:
        said += await asyncio.wait_for(reader.read(200_000), 60.0)
        await asyncio.sleep(0.1)
    news.close()
    writer.close()
    server.should_exit = True
    await task
    ledger.close()


@pytest.mark.live
@on_a_loop
async def test_a_connection_on_which_nothing_is_asked_is_closed(tmp_path, monkeypatch):
    monkeypatch.setattr(serving, "MUTE_S_MAX", 0.2)

    async def hello(_request):
        return StreamingResponse(iter([b"hello"]))

    path = tmp_path / "api.sock"
    server = serving.make_server(Starlette(routes=[Route("/", hello)]))
    running = asyncio.create_task(server.serve([serving.unix_socket(path)]))
    await until(lambda: server.started)
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b"GET / HTTP/1.1\r\n")  # and never the rest
    with contextlib.suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), 30) == b""
    writer.close()
    server.should_exit = True
    await running
