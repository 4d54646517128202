"""What a ledger does in either database: group commit, order, blobs, limits, keys, one writer."""

from __future__ import annotations

import asyncio
import os
import stat

import pytest

from holdfast.ledger import (
    Archive,
    Draft,
    Intact,
    KeyTrouble,
    Ledger,
    LedgerBusy,
    LedgerDamaged,
    LedgerError,
)
from holdfast.ledger.archive import public_keys, witness_path
from holdfast.ledger.checkpoint import open_checkpoint
from holdfast.ledger.entry import LEAF_BYTES_MAX, digest_of, leaf_data

pytestmark = pytest.mark.parametrize("path", ["sqlite", "postgres"], indirect=True)


@pytest.mark.req("I4")
def test_a_hundred_concurrent_appends_share_one_commit(ledger, make_drafts):
    async def all_at_once():
        return await asyncio.gather(*(ledger.append([draft]) for draft in make_drafts(100)))

    before = ledger.commits
    entries = [entry for batch in asyncio.run(all_at_once()) for entry in batch]
    assert ledger.commits - before == 1
    assert [entry.index for entry in entries] == list(range(100))
    assert isinstance(ledger.verify(), Intact)


def test_an_append_is_all_in_order_and_signed_when_it_returns(ledger, path, make_drafts):
    async def one():
        entries = await ledger.append(make_drafts(5))
        with Archive.read(path) as other:  # another reader sees it at once
            return entries, list(other.entries(0, 5)), other.head().size

    entries, seen, size = asyncio.run(one())
    assert entries == seen and size == 5
    assert open_checkpoint(ledger.checkpoint(), public_keys(path)).head.size == 5


def test_an_append_that_was_cancelled_before_its_commit_is_not_written(ledger, make_drafts):
    async def cancel_one():
        first, second = make_drafts(2)
        tasks = [asyncio.ensure_future(ledger.append([d])) for d in (first, second)]
        loop = asyncio.get_running_loop()
        loop.call_soon(tasks[0].cancel)  # after both are queued, before their flush
        await asyncio.gather(*tasks, return_exceptions=True)
        return tasks

    tasks = asyncio.run(cancel_one())
    assert tasks[0].cancelled()
    assert [entry.body for entry in ledger.entries(0, 9)] == [make_drafts(2)[1].body]


def test_a_bad_draft_is_refused_alone_and_does_not_spoil_the_batch(ledger, make_drafts):
    async def both():
        bad = Draft("", "Note", b"", 1.0)
        return await asyncio.gather(
            ledger.append([bad]), ledger.append(make_drafts(1)), return_exceptions=True
        )

    refused, written = asyncio.run(both())
    assert isinstance(refused, ValueError) and len(written) == 1


@pytest.mark.parametrize("wall", [float("nan"), float("inf"), -1.0])
def test_a_time_that_is_none_is_refused(ledger, wall):
    with pytest.raises(ValueError, match="wall"):
        ledger.append_now([Draft("quotes", "Note", b"", wall)])


def test_a_second_loop_can_append_to_the_same_ledger(ledger, make_drafts):
    for n in range(3):
        asyncio.run(ledger.append(make_drafts(1, n)))
    assert [entry.index for entry in ledger.replay("quotes")] == [0, 1, 2]


def test_pending_appends_are_committed_by_close(path, origin, make_drafts):
    async def leave():
        ledger = Ledger.open(path, origin)
        task = asyncio.ensure_future(ledger.append(make_drafts(1)))
        await asyncio.sleep(0)
        ledger.close()
        return await task

    assert asyncio.run(leave())[0].index == 0
    with Archive.read(path) as archive:
        assert archive.size == 1


def test_streams_are_replayed_apart_and_in_order(ledger, make_drafts):
    for n in range(6):
        ledger.append_now(make_drafts(1, n, "a") + make_drafts(1, n, "b"))
    ledger.append_now(make_drafts(1500, 0, "a"))  # several pages
    assert [e.index for e in ledger.replay("b")] == [1, 3, 5, 7, 9, 11]
    assert len(list(ledger.replay("a"))) == 1506
    assert list(ledger.replay("nobody")) == []


def test_the_wall_clock_is_kept_to_the_microsecond(ledger):
    wall = 1_764_000_000.123457
    (entry,) = ledger.append_now([Draft("quotes", "Note", b"", wall)])
    assert entry.wall == wall == next(ledger.replay("quotes")).wall


def test_a_body_too_large_for_a_leaf_is_kept_by_its_digest(ledger):
    body = os.urandom(300_000)
    (entry,) = ledger.append_now([Draft("quotes", "Report", body, 1.0)])
    assert entry.blob == digest_of(body) and ledger.blob(entry.blob) == body
    assert next(ledger.replay("quotes")).body == body
    assert len(leaf_data(entry)) < 400 and isinstance(ledger.verify(), Intact)


def test_no_leaf_exceeds_what_an_entry_bundle_can_hold(ledger):
    name = "\x01" * 255  # the longest header there is: escapes take six bytes each
    for size in (61_999, 62_000, 62_001, 65_535):
        (entry,) = ledger.append_now([Draft(name, name, b"x" * size, 2.0**43 - 1)])
        assert len(leaf_data(entry)) <= LEAF_BYTES_MAX


def test_blobs_are_kept_once_and_found_by_digest(ledger):
    first, second = ledger.put_blob(b"spec"), ledger.put_blob(b"spec")
    assert first == second == digest_of(b"spec") and ledger.blob(first) == b"spec"
    with pytest.raises(LedgerDamaged, match="no blob"):
        ledger.blob("0" * 64)


@pytest.mark.req("I4")
@pytest.mark.parametrize("size", [1, 255, 256, 257, 600])
def test_a_reopened_ledger_goes_on_where_it_was(path, origin, make_drafts, size):
    with Ledger.open(path, origin) as ledger:
        ledger.append_now(make_drafts(size))
    with Ledger.open(path, origin) as ledger:
        (entry,) = ledger.append_now(make_drafts(1, size))
        assert entry.index == size and isinstance(ledger.verify(), Intact)


def test_reopening_reads_a_few_tiles_and_not_the_entries(path, origin, make_drafts):
    with Ledger.open(path, origin) as ledger:
        ledger.append_now(make_drafts(2_000))
    with Ledger.open(path, origin) as ledger:
        assert len(ledger._tree._rows) <= 3  # eight tiles hold the 2,000 leaves


@pytest.mark.req("I2")
def test_secrets_are_readable_by_their_owner_only(ledger, path, make_drafts):
    ledger.append_now(make_drafts(1))
    home = path.parent
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in [*home.iterdir(), home]}
    assert modes.pop("home") == 0o700 and modes.pop("keys") == 0o700
    assert set(modes.values()) == {0o600}, modes
    assert stat.S_IMODE((home / "keys" / "log.pem").stat().st_mode) == 0o600


def test_a_key_that_others_can_read_is_refused(path, origin):
    Ledger.open(path, origin).close()
    (path.parent / "keys" / "log.pem").chmod(0o644)
    with pytest.raises(KeyTrouble, match="0644"):
        Ledger.open(path, origin)


def test_a_ledger_whose_keys_are_gone_does_not_make_new_ones(path, origin):
    Ledger.open(path, origin).close()
    (path.parent / "keys" / "log.pem").unlink()
    with pytest.raises(KeyTrouble, match="missing"):
        Ledger.open(path, origin)


def test_another_identity_cannot_continue_a_ledger(path, origin, tmp_path):
    Ledger.open(path, origin).close()
    Ledger.open(tmp_path / "other" / "ledger.db", origin).close()
    (tmp_path / "other" / "keys" / "log.pem").rename(path.parent / "keys" / "log.pem")
    with pytest.raises(KeyTrouble, match="not the keys"):
        Ledger.open(path, origin)
    with pytest.raises(KeyTrouble, match="not of"):
        Ledger.open(path, "example.com/other")


def test_only_one_writer_at_a_time(ledger, path, origin):
    with pytest.raises(LedgerBusy):
        Ledger.open(path, origin)
    with Archive.read(path) as reader:
        assert reader.size == 0


def test_after_a_refused_open_the_ledger_can_be_opened(path, origin):
    Ledger.open(path, origin).close()
    with pytest.raises(KeyTrouble):
        Ledger.open(path, "example.com/other")
    Ledger.open(path, origin).close()


def test_an_old_checkpoint_is_kept_for_every_tile_and_all_young_ones(ledger, make_drafts):
    for n in range(40):
        ledger.append_now(make_drafts(50, n * 50))
    sizes = list(ledger._store.heads())
    young = [size for size in range(0, 2_001, 50) if size >= 2_000 - 1_024]
    assert sizes == [0, 300, 550, 800, *young]


def test_an_empty_witness_file_left_by_a_power_cut_is_no_change(path, origin, make_drafts):
    with Ledger.open(path, origin) as ledger:
        ledger.append_now(make_drafts(3))
    witness_path(path).write_text("")
    with Ledger.open(path, origin) as ledger:
        assert isinstance(ledger.verify(), Intact)


def test_closing_twice_is_harmless_and_appending_afterwards_is_refused(path, origin, make_drafts):
    ledger = Ledger.open(path, origin)
    ledger.close()
    ledger.close()
    with pytest.raises(LedgerError, match="closed"):
        ledger.append_now(make_drafts(1))
    with pytest.raises(LedgerError, match="closed"):
        asyncio.run(ledger.append(make_drafts(1)))
