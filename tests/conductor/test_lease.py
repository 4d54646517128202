"""One holder at a time, a generation that only grows, and a stale holder that cannot write."""

import asyncio
import os
import sqlite3
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.conductor.events import News
from holdfast.conductor.journal import MemoryJournal
from holdfast.conductor.lease import (
    LEASE_S,
    ConductorLock,
    Held,
    Leases,
    Lost,
    lock_is_held,
)
from holdfast.conductor.wiring import FencedJournal
from holdfast.rollout.model import Scaled
from holdfast.runtime.home import Home


@pytest.fixture
def leases(tmp_path):
    opened = Leases(tmp_path / "state.db")
    yield opened
    opened.close()


def test_a_held_lease_is_refused_with_owner_and_time(leases):
    leases.acquire("service/shop", "ann", now=100.0)
    with pytest.raises(Held, match=r"held by ann for 7 s \(generation 1\)"):
        leases.acquire("service/shop", "bob", now=107.0)


def test_an_expired_lease_is_taken_over_with_the_next_generation(leases):
    first = leases.acquire("service/shop", "ann", now=100.0)
    second = leases.acquire("service/shop", "bob", now=100.0 + LEASE_S)
    assert (first.generation, second.generation) == (1, 2)
    with pytest.raises(Lost, match="bob holds generation 2"):
        leases.renew((first,), now=200.0)
    with pytest.raises(Lost):
        leases.check(first)
    leases.check(second)


def test_a_renewed_lease_does_not_expire(leases):
    lease = leases.acquire("service/shop", "ann", now=100.0)
    leases.renew((lease,), now=110.0)
    with pytest.raises(Held):
        leases.acquire("service/shop", "bob", now=101.0 + LEASE_S)


def test_a_released_lease_is_free_and_its_generation_is_never_used_again(leases):
    lease = leases.acquire("service/shop", "ann", now=100.0)
    leases.release(lease, now=101.0)
    assert leases.acquire("service/shop", "bob", now=102.0).generation == 2


def test_renewing_many_is_all_or_none(leases):
    kept = leases.acquire("service/a", "ann", now=100.0)
    gone = leases.acquire("service/b", "ann", now=100.0)
    leases.acquire("service/b", "bob", now=101.0, holder_is_dead=True)
    with pytest.raises(Lost):
        leases.renew((kept, gone), now=110.0)
    held = leases.holder("service/a")
    assert held is not None and held.expires == 100.0 + LEASE_S


moves = st.lists(
    st.tuples(
        st.sampled_from(["acquire", "release", "renew"]),
        st.integers(0, 2),
        st.floats(0, 40, allow_nan=False),
        st.booleans(),
    ),
    max_size=40,
)


@given(moves)
@settings(max_examples=60, deadline=None)
def test_generations_only_grow_and_one_holder_at_most_is_valid(moves):
    with tempfile.TemporaryDirectory() as directory:
        _play(Leases(Path(directory) / "state.db"), moves)


def _play(leases, moves):
    now, held, newest = 0.0, {}, 0
    for move, who, wait, dead in moves:
        now += wait
        if move == "acquire":
            try:
                lease = leases.acquire("x", f"owner-{who}", now, holder_is_dead=dead)
            except Held:
                continue
            assert lease.generation > newest
            held[who], newest = lease, lease.generation
        elif who in held and move == "release":
            leases.release(held[who], now)
        elif who in held:
            try:
                leases.renew((held[who],), now)
            except Lost:
                assert held[who].generation < newest
    valid = [who for who, lease in held.items() if _valid(leases, lease)]
    assert len(valid) <= 1
    leases.close()


def _valid(leases, lease):
    try:
        leases.check(lease)
    except Lost:
        return False
    return True


def test_what_a_stale_holder_wants_to_record_is_refused(leases):
    journal = MemoryJournal()

    async def story():
        mine = leases.acquire("service/shop", "ann", now=100.0)
        fenced = FencedJournal(journal, leases, mine, News())
        await fenced.record("shop", (Scaled(1.0, 3, "ann"),))
        leases.acquire("service/shop", "bob", now=101.0, holder_is_dead=True)
        with pytest.raises(Lost):
            await fenced.record("shop", (Scaled(2.0, 9, "ann"),))

    asyncio.run(story())
    assert [event.replicas for event in journal.recall("shop")] == [3]


def test_the_lock_keeps_a_second_conductor_out_and_dies_with_its_holder(tmp_path):
    home = Home(tmp_path / ".holdfast").ensure()
    leases = Leases(home.state)
    lock = ConductorLock(home)
    lock.take(leases, now=10.0)
    leases.acquire("conductor", "ann pid 7", now=10.0)
    assert lock_is_held(home)
    second = ConductorLock(home)
    with pytest.raises(Held, match=r"held by ann pid 7 for 5 s.*SIGTERM.*replicas keep running"):
        second.take(leases, now=15.0)
    lock.close()
    second.take(leases, now=16.0)
    second.close()
    assert not lock_is_held(home)
    leases.close()


def test_who_only_asks_for_the_lock_does_not_keep_a_conductor_from_starting(tmp_path):
    home = Home(tmp_path / ".holdfast").ensure()
    leases, lock = Leases(home.state), ConductorLock(home)
    for _ in range(20):
        assert not lock_is_held(home)
    lock.take(leases, now=1.0)
    lock.close()
    leases.close()


def test_the_table_refuses_a_generation_that_is_not_positive(tmp_path):
    Leases(tmp_path / "state.db").close()
    with sqlite3.connect(tmp_path / "state.db") as database, pytest.raises(sqlite3.IntegrityError):
        database.execute("insert into leases values ('x', 'y', 1.0, 2.0, 0)")
    database.close()


def test_the_lease_file_is_private(tmp_path):
    Leases(tmp_path / "state.db").close()
    assert os.stat(tmp_path / "state.db").st_mode & 0o777 == 0o600
