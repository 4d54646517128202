"""Listeners hear exactly the ledger's tail, holds as they change, and the end."""

import asyncio
import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.conductor.events import News, belongs, stream_events
from holdfast.ledger import Draft, Ledger
from holdfast.rollout.model import Hold, HoldCode

STREAMS = ("shop", "shop/releases", "shop-2", "conductor")
streams = st.lists(st.sampled_from(STREAMS), max_size=12)


def parse(frames):
    lines = b"".join(frames).decode().splitlines()
    return [json.loads(line[6:]) for line in lines if line.startswith("data: ")]


async def listen(ledger, news, service, since, until):
    """Everything a listener hears until the news are closed and ``until`` entries exist."""
    frames = []
    async for frame in stream_events(ledger, news, service, since):
        frames.append(frame)
        if ledger.size >= until and not news.closed:
            asyncio.get_running_loop().call_later(0.01, news.close)
    return parse(frames)


@given(
    before=streams, after=streams, since=st.integers(0, 30), service=st.sampled_from([None, "shop"])
)
@settings(max_examples=25, deadline=None)
def test_since_n_is_exactly_the_tail_of_the_ledger(tmp_path_factory, before, after, since, service):
    async def story():
        path = tmp_path_factory.mktemp("events") / "ledger.db"
        ledger, news = Ledger.open(path, "holdfast/test"), News()
        total = len(before) + len(after)
        await write(ledger, news, before)
        listening = asyncio.create_task(listen(ledger, news, service, since, total))
        await asyncio.sleep(0)
        await write(ledger, news, after)
        asyncio.get_running_loop().call_later(0.02, news.close)
        heard = await listening
        stored = [e.index for e in ledger.entries(since, total) if belongs(e.stream, service)]
        ledger.close()
        return heard, stored

    heard, stored = asyncio.run(story())
    assert [event["index"] for event in heard] == stored


async def write(ledger, news, names):
    for name in names:
        await ledger.append([Draft(name, "Said", b'{"a":1}', 1.0)])
        news.ring()


def test_entries_of_another_service_with_a_similar_name_are_not_heard():
    assert belongs("shop/releases", "shop") and not belongs("shop-2", "shop")


def test_holds_are_told_when_they_change_and_only_then(tmp_path):
    paused = (Hold(HoldCode.PAUSED, "by ann"),)

    async def story():
        ledger, news = Ledger.open(tmp_path / "ledger.db", "holdfast/test"), News()
        listening = asyncio.create_task(listen(ledger, news, "shop", None, 99))
        for holds in (paused, paused, ()):
            await asyncio.sleep(0.01)
            news.tell_holds("shop", holds)
            news.tell_holds("other", paused)
        await asyncio.sleep(0.01)
        news.close()
        heard = await listening
        ledger.close()
        return heard

    heard = asyncio.run(story())
    assert [event["index"] for event in heard] == [None, None]
    told = [[hold["code"] for hold in event["body"]["holds"]] for event in heard]
    assert told == [["paused"], []]


def test_a_quiet_stream_has_heartbeats(tmp_path, monkeypatch):
    monkeypatch.setattr("holdfast.conductor.events.HEARTBEAT_S", 0.01)

    async def story():
        ledger, news = Ledger.open(tmp_path / "ledger.db", "holdfast/test"), News()
        stream = stream_events(ledger, news, None, None)
        frames = [await anext(stream) for _ in range(4)]
        await stream.aclose()
        ledger.close()
        return frames, news.listeners

    frames, listeners = asyncio.run(story())
    assert frames[1:] == [b": heartbeat\n\n"] * 3 and listeners == 0


def test_a_body_that_is_not_json_is_counted_and_does_not_end_the_stream(tmp_path):
    async def story():
        ledger, news = Ledger.open(tmp_path / "ledger.db", "holdfast/test"), News()
        await ledger.append([Draft("shop", "Odd", b"\xff\x00", 1.0)])
        heard = asyncio.create_task(listen(ledger, news, None, 0, 1))
        result = await heard
        ledger.close()
        return result

    (event,) = asyncio.run(story())
    assert event["body"] == {"bytes": 2}


# ---- over the socket ----------------------------------------------------------------------------


@pytest.mark.live
def test_a_real_stream_since_n_equals_the_history(service):
    service.deploy("v1")
    service.deploy("v2")
    history = service.client.history(service.name)
    assert len(history) > 8
    for start in (0, history[3]["index"], history[-1]["index"]):
        wanted = [entry for entry in history if entry["index"] >= start]
        stream = service.client.events(service.name, start)
        facts = (event for event in stream if event["index"] is not None)
        assert list(itertools.islice(facts, len(wanted))) == wanted


@pytest.mark.live
def test_a_stream_without_since_begins_with_what_happens_next(service):
    service.deploy("v1")
    end = service.client.history_end()
    stream = service.client.events(service.name)
    hold = next(stream, None) if service.status()["holds"] else None
    assert hold is None or hold["index"] is None
    service.client.scale(service.name, 3)
    later = service.client.events(service.name, end)
    assert next(e for e in later if e["index"] is not None)["kind"] == "Scaled"
