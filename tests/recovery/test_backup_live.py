"""Base backups and log of a real PostgreSQL, given back to a moment and compared with an oracle."""

from __future__ import annotations

import time

import pytest

from holdfast.recovery.entries import Base
from holdfast.recovery.keys import SecretKey
from holdfast.recovery.planning import Target, plan_restore
from holdfast.recovery.postgres import archive, beat, mark, receiving, take_base
from holdfast.recovery.repository import Repository
from holdfast.recovery.restore import prove, read_whole, recovered, restore
from holdfast.recovery.trouble import Damaged, Gap, KeyTrouble, ToolTrouble, Unreachable

pytestmark = [pytest.mark.live, pytest.mark.req("P5", "T121", "T122", "T123", "T124")]

SIZE = 16 << 20


@pytest.fixture(scope="module")
def told(cluster, tmp_path_factory):
    """A history: rows, a base backup in the middle of them, a marker, a moment, more rows.

    What was in the table at each of the moments is kept beside: the oracle.
    """
    root = tmp_path_factory.mktemp("history")
    key = SecretKey.make("ops")
    repository = Repository(root / "repository", [root / "copy"])
    repository.add_recipient(key.recipient, key, time.time())
    cluster.ask("CREATE TABLE trade (id int PRIMARY KEY, amount int)")
    oracle: dict[str, list[list[str]]] = {}

    def trades(first: int, last: int) -> list[list[str]]:
        for number in range(first, last):
            cluster.ask(f"INSERT INTO trade VALUES ({number}, {number * 7})")
        cluster.ask(f"UPDATE trade SET amount = -amount WHERE id % 3 = 0 AND id < {last}")
        return rows(cluster)

    with receiving(cluster, root / "spool"):
        trades(0, 20)
        seen: list[int] = []
        base = take_base(cluster, repository, seen.append)
        oracle["marker"] = trades(20, 40)
        mark(cluster, repository, "before-v2")
        oracle["time"] = trades(40, 60)
        time.sleep(0.01)
        moment = time.time()
        time.sleep(0.01)
        oracle["end"] = trades(60, 80)
        cluster.one("SELECT pg_switch_wal()")
        beat(cluster)
        end = cluster.one("SELECT pg_current_wal_flush_lsn()")
        archived(cluster, root / "spool", repository, end)
    yield repository, key, oracle, moment, base, seen


def archived(cluster, spool, repository, end) -> None:
    """Pass after pass, until the stored log reaches ``end``."""
    until = time.monotonic() + 30
    base = repository.contents().bases[0]
    while True:
        archive(spool, repository, base.segment_size)
        reached = plan_restore(repository.contents(), Target()).reaches
        high, low = (int(part, 16) for part in end.split("/"))
        if reached >= (high << 32) + low:
            return
        assert time.monotonic() < until, f"the log did not arrive: {reached:X}, wanted {end}"
        time.sleep(0.1)


def rows(cluster) -> list[list[str]]:
    return cluster.ask("SELECT id, amount FROM trade ORDER BY id")


def restored(told, target, into, tools):
    repository, key = told[:2]
    done = restore(repository, key, target, into, tools)
    # What a person does after a restore: starts it.
    with recovered(done.directory, tools, done.plan.base.superuser) as cluster:
        return rows(type(cluster)(tools, f"{cluster.database} dbname=postgres"))


def test_a_restore_to_a_marker_gives_back_exactly_the_rows_of_that_moment(told, into, tools):
    assert restored(told, Target(marker="before-v2"), into, tools) == told[2]["marker"]


def test_a_restore_to_a_time_gives_back_exactly_what_was_committed_until_then(told, into, tools):
    assert restored(told, Target(time=told[3]), into, tools) == told[2]["time"]


def test_a_restore_to_the_end_loses_nothing_that_the_log_has(told, into, tools):
    assert restored(told, Target(), into, tools) == told[2]["end"]


def test_a_backup_is_proven_by_a_restore_that_reads_every_row(told, tools):
    repository, key, base = told[0], told[1], told[4]
    proof = prove(repository, key, tools, read_whole)
    assert proof.holds and proof.compared == 1, proof
    assert repository.contents().proven == {base.id}


def test_taking_a_base_tells_how_far_it_is(told):
    base, seen = told[4], told[5]
    assert isinstance(base, Base)
    assert seen == sorted(seen) and seen[-1] == base.stored.content > 10 << 20
    assert base.stored.size < base.stored.content / 3, "an empty cluster compresses well"


# ---- negative drills: each must fail loudly, and for its own reason ------------------------------


def test_another_key_is_told_from_damage(told, into, tools):
    with pytest.raises(KeyTrouble, match=r"sealed for ops .* the key given is thief"):
        restore(told[0], SecretKey.make("thief"), Target(), into, tools)


def test_a_flipped_byte_is_read_from_the_copy_and_found_where_there_is_none(told, into, tools):
    repository, key, _oracle, _moment, base, _seen = told
    path = repository.root / base.stored.path
    whole = path.read_bytes()
    path.write_bytes(whole[:1000] + bytes([whole[1000] ^ 1]) + whole[1001:])
    try:
        assert any("another" in words for words in repository.damaged())
        assert restored(told, Target(marker="before-v2"), into, tools)
        alone = Repository(repository.root)
        with pytest.raises(Damaged, match="SHA-256 is another"):
            restore(alone, key, Target(), into.with_name("alone"), tools)
    finally:
        path.write_bytes(whole)


def test_a_missing_segment_stops_the_restore_before_anything_is_promoted(told, into, tools):
    repository, key = told[:2]
    found = repository.contents()
    first = next(iter(plan_restore(found, Target()).log))
    (repository.root / first.stored.path).rename(repository.root / "away")
    (repository.copies[0] / first.stored.path).rename(repository.copies[0] / "away")
    try:
        with pytest.raises(Damaged, match="missing"):
            restore(repository, key, Target(), into, tools)
    finally:
        (repository.root / "away").rename(repository.root / first.stored.path)
        (repository.copies[0] / "away").rename(repository.copies[0] / first.stored.path)


def test_a_moment_in_the_future_is_refused_and_so_is_one_before_the_first_backup(told, into, tools):
    repository, key = told[:2]
    with pytest.raises(Unreachable, match="later than the stored log"):
        restore(repository, key, Target(time=time.time() + 3600), into, tools)
    with pytest.raises(Unreachable, match="before the first backup"):
        restore(repository, key, Target(time=1.0), into, tools)
    with pytest.raises(Unreachable, match="latest are: before-v2"):
        restore(repository, key, Target(marker="befor-v2"), into, tools)
    assert not into.exists()


def test_a_restore_never_goes_over_what_is_there(told, into, tools):
    into.mkdir()
    (into / "precious").write_text("")
    with pytest.raises(ToolTrouble, match="not empty"):
        restore(told[0], told[1], Target(), into, tools)
    assert [path.name for path in into.iterdir()] == ["precious"]


def test_log_that_is_missing_in_the_middle_is_a_gap_with_its_name(told):
    found = told[0].contents()
    names = sorted(found.segments)
    assert len(names) >= 3
    del found.segments[names[1]]
    with pytest.raises(Gap, match=names[1]):
        plan_restore(found, Target(lsn=1 << 40))


def test_a_server_that_cannot_be_asked_is_told_in_its_own_words(tools, cluster):
    nobody = type(cluster)(tools, "host=/nowhere dbname=postgres")
    with pytest.raises(ToolTrouble, match=r"psql ended with 2: .*/nowhere"):
        nobody.one("SELECT 1")
    exposed = type(cluster)(tools, "host=x password=secret")
    with pytest.raises(ToolTrouble, match="seen by everybody"):
        exposed.one("SELECT 1")
