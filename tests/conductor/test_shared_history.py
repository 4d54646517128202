"""Two conductors on two machines, one history in PostgreSQL: one acts, the other takes over."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import postgres_rig
from holdfast.conductor.client import Client, NoConductor
from holdfast.conductor.lease import CONDUCTOR, LEASE_S, Held, Leases, Lost
from holdfast.conductor.wiring import Conductor
from holdfast.ledger import Archive, Intact, LedgerUnreachable
from holdfast.rollout.model import Scaled
from holdfast.runtime.home import Home


@pytest.fixture
def url(postgres_server) -> str:
    return postgres_server.schema_url()


@pytest.fixture
def homes(tmp_path: Path, url: str) -> tuple[Home, Home]:
    """Two homes with one database and one identity of the log."""
    first, second = Home(tmp_path / "one"), Home(tmp_path / "two")
    postgres_rig.point(first.path, url)
    asyncio.run(_once(first))
    postgres_rig.point(second.path, url)
    shutil.copytree(first.keys, second.keys)
    return first, second


async def _once(home: Home) -> None:
    await (await Conductor.open(home)).close()


def sql(url: str, statement: str) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as db:
        db.execute(statement)


def expire(url: str) -> None:
    """As if the lease's fifteen seconds had passed."""
    sql(url, "UPDATE leases SET expires = 0")


# ---- leases


def test_the_database_has_the_clock_that_counts(tmp_path, url):
    postgres_rig.point(tmp_path / "home", url)
    mine, theirs = Leases(tmp_path / "home" / "state.db"), Leases(tmp_path / "home" / "state.db")
    lease = mine.acquire(CONDUCTOR, "ann", now=0.0)  # a machine whose clock is wrong by decades
    assert abs(lease.expires - time.time() - LEASE_S) < 5
    with pytest.raises(Held, match="held by ann"):
        theirs.acquire(CONDUCTOR, "bob", now=4e9)
    mine.renew((lease,), now=0.0)
    expire(url)
    assert theirs.acquire(CONDUCTOR, "bob", now=0.0).generation == 2
    for act in (lambda: mine.renew((lease,), 0.0), lambda: mine.check(lease)):
        with pytest.raises(Lost, match="bob holds generation 2"):
            act()
    mine.release(lease, now=0.0)  # of a generation that is over: changes nothing
    theirs.check(theirs.holder(CONDUCTOR))
    mine.close()
    theirs.close()


def test_of_many_who_want_an_expired_lease_one_gets_it(tmp_path, url):
    postgres_rig.point(tmp_path / "home", url)
    tables = [Leases(tmp_path / "home" / "state.db") for _ in range(4)]
    tables[0].acquire(CONDUCTOR, "old", now=0.0)
    expire(url)

    def race(number: int) -> bool:
        try:
            tables[number].acquire(CONDUCTOR, f"n{number}", now=0.0)
        except Held:
            return False
        return True

    async def all_at_once() -> list[bool]:
        return await asyncio.gather(*(asyncio.to_thread(race, n) for n in range(4)))

    assert sum(asyncio.run(all_at_once())) == 1
    assert tables[0].holder(CONDUCTOR).generation == 2
    for table in tables:
        table.close()


# ---- conductors in this process


def test_a_second_conductor_is_refused_until_the_lease_has_ended(homes, url):
    async def story() -> None:
        first = await Conductor.open(homes[0])
        with pytest.raises(Held, match=first.works.owner.partition("@")[0]):
            await Conductor.open(homes[1])
        expire(url)
        second = await Conductor.open(homes[1])
        assert second.lease.generation > first.lease.generation
        with pytest.raises(Lost):
            first.works.leases.check(first.lease)
        await first.close()  # as a stale one: takes nothing from its successor
        second.works.leases.check(second.lease)
        await second.close()

    asyncio.run(story())


def test_a_stale_conductor_that_still_believes_in_its_lease_stops_at_its_next_record(homes, url):
    async def story() -> None:
        from holdfast.conductor.journal import LedgerJournal
        from holdfast.conductor.wiring import FencedJournal

        stale = await Conductor.open(homes[0])
        works = stale.works
        journal = LedgerJournal(works.ledger, works.clock)
        fenced = FencedJournal(journal, works.leases, stale.lease, works.news)
        await fenced.record("shop", [Scaled(1.0, "ann", 3)])
        sql(url, "UPDATE writer SET epoch = epoch + 1")  # the ledger was taken, the lease not yet
        with pytest.raises(Lost, match="took over"):
            await fenced.record("shop", [Scaled(2.0, "ann", 4)])
        await stale.close()

    asyncio.run(story())
    with Archive.read(homes[0].ledger) as archive:
        assert [entry.kind for entry in archive.replay("shop")] == ["Scaled"]


def test_a_conductor_whose_database_is_gone_stops_before_its_lease_ends(homes, monkeypatch):
    from holdfast.conductor import wiring

    monkeypatch.setattr(wiring, "RENEW_S", 0.01)
    monkeypatch.setattr(wiring, "GIVE_UP_S", 0.05)

    async def story() -> str:
        conductor = await Conductor.open(homes[0])

        def gone(*_: object) -> None:
            raise LedgerUnreachable("no answer")

        monkeypatch.setattr(conductor.works.leases, "renew", gone)
        await asyncio.wait_for(conductor.stopping.wait(), 5)
        await conductor.close()
        return conductor.why_stopping

    assert "could not be renewed" in asyncio.run(story())


# ---- conductors as processes


@pytest.mark.live
@pytest.mark.req("I4")
def test_when_a_conductor_is_killed_the_one_that_stands_by_ends_its_rollout(homes, url):
    procs = [_conductor(homes[0])]
    clients = [Client(home) for home in homes]
    try:
        _eventually(lambda: _answers(clients[0]))
        procs.append(_conductor(homes[1]))
        _eventually(lambda: _log_says(homes[1], "standing by"))
        spec = ("service: shop\nversion: v1\ntarget: simulated\nreplicas: 2\ntraffic: 8080\n"
                "run: { command: app, env: { SIMULATED_START_S: '0.5' } }\n")  # fmt: skip
        rollout = clients[0].deploy("shop", spec, spec_path="/nowhere/holdfast.yaml")["rollout"]
        procs[0].kill()  # before anything is ready
        procs[0].wait()
        assert not _answers(clients[1])
        expire(url)
        _eventually(lambda: _answers(clients[1]))
        last = _eventually(lambda: clients[1].status("shop")["state"]["last"])
        assert (last["rollout"], last["ending"]) == (rollout, "promoted")
    finally:
        for each in procs:
            each.terminate()
        for each in procs:
            each.wait(30)
    with Archive.read(homes[1].ledger) as archive:
        assert isinstance(archive.verify(), Intact)


def _conductor(home: Home) -> subprocess.Popen[bytes]:
    words = ["-m", "holdfast.conductor.daemon", "--home", home.path, "--serve", str(os.getpid())]
    return subprocess.Popen([sys.executable, *words], stderr=subprocess.DEVNULL)


def _answers(client: Client) -> bool:
    try:
        return bool(client.healthz()["ok"])
    except NoConductor:
        return False


def _log_says(home: Home, words: str) -> bool:
    return home.log_file.exists() and words in home.log_file.read_text()


def _eventually(look, seconds: float = 30.0):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError("not in time")
