"""Six attacks on real files, by clumsy and by able attackers. Each is found, and by which proof.

A clumsy attacker changes rows. A careful one also recomputes every hash. One with the stolen keys
also signs the result; against that one only a checkpoint kept outside the database helps.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.ledger import (
    Archive,
    Broken,
    Entry,
    Intact,
    Ledger,
    LedgerTampered,
    Proof,
    WitnessRefused,
)
from holdfast.ledger.archive import public_keys, witness_path
from holdfast.ledger.checkpoint import Checkpoint
from holdfast.ledger.entry import leaf_data
from holdfast.ledger.keys import load
from holdfast.ledger.merkle import Edge, leaf_hash
from holdfast.ledger.tiles import grow
from holdfast.ledger.witness import Witness

SIZE = 300
VICTIM = 123


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory, origin: str, make_drafts) -> Path:
    """The home of a closed ledger of 300 entries in 30 commits."""
    home = tmp_path_factory.mktemp("original") / "home"
    with Ledger.open(home / "ledger.db", origin) as ledger:
        for start in range(0, SIZE, 10):
            ledger.append_now(make_drafts(10, start))
    return home


@pytest.fixture
def written(original: Path, tmp_path: Path) -> Path:
    """A copy of that home to attack."""
    shutil.copytree(original, tmp_path / "home")
    return tmp_path / "home" / "ledger.db"


def sql(path: Path, *statements: tuple) -> None:
    db = sqlite3.connect(path)
    with db:
        for statement in statements:
            db.execute(*statement)
    db.close()


def forge(
    path: Path, change: Callable[[list[Entry]], list[Entry]], sign_as: str | None = None
) -> None:
    """Rewrite the whole tree over changed entries; with ``sign_as`` also every checkpoint."""
    with Archive.read(path) as archive:
        entries = change(list(archive.entries(0, SIZE * 2)))
    entries = [replace(entry, index=n) for n, entry in enumerate(entries)]
    edge = Edge()
    tiles, _ = grow(edge, {}, [leaf_hash(leaf_data(entry)) for entry in entries])
    rows = [(e.index, e.stream, e.kind, e.body, e.blob, e.wall_us) for e in entries]
    sql(
        path,
        ("DELETE FROM entries",),
        ("DELETE FROM tiles",),
        *(("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)", row) for row in rows),
        *(("INSERT INTO tiles VALUES (?, ?, ?)", (*at, data)) for at, data in tiles.items()),
    )
    if sign_as is not None:
        keys = load(path.parent / "keys", "log", sign_as)
        note = keys.sign(Checkpoint(sign_as, edge.size, edge.root()), 1_764_000_999)
        head = ("INSERT INTO heads VALUES (?, ?, 0)", (edge.size, note))
        sql(path, ("DELETE FROM heads",), head)


def found(path: Path, against: dict[str, str] | None = None) -> Broken:
    with Archive.read(path) as archive:
        finding = archive.verify(against)
    assert isinstance(finding, Broken), finding
    return finding


def edit(entries: list[Entry]) -> list[Entry]:
    changed = replace(entries[VICTIM], body=b'{"by":"nobody"}')
    return [*entries[:VICTIM], changed, *entries[VICTIM + 1 :]]


def delete(entries: list[Entry]) -> list[Entry]:
    return [*entries[:VICTIM], *entries[VICTIM + 1 :]]


def reorder(entries: list[Entry]) -> list[Entry]:
    first, second = entries[VICTIM], entries[VICTIM + 1]
    return [*entries[:VICTIM], second, first, *entries[VICTIM + 2 :]]


def truncate(entries: list[Entry]) -> list[Entry]:
    return entries[:VICTIM]


CLUMSY = {
    "edit": [("UPDATE entries SET body = x'00' WHERE idx = ?", (VICTIM,))],
    "delete": [("DELETE FROM entries WHERE idx = ?", (VICTIM,))],
    "reorder": [
        ("UPDATE entries SET idx = -1 WHERE idx = ?", (VICTIM,)),
        ("UPDATE entries SET idx = ? WHERE idx = ?", (VICTIM, VICTIM + 1)),
        ("UPDATE entries SET idx = ? WHERE idx = -1", (VICTIM + 1,)),
    ],
    "truncate": [("DELETE FROM entries WHERE idx >= ?", (VICTIM,))],
}
BY_CLUMSY = {
    "edit": Proof.LEAF,
    "delete": Proof.SEQUENCE,
    "reorder": Proof.LEAF,
    "truncate": Proof.SEQUENCE,
}


@pytest.mark.req("I4", "T140")
def test_an_untouched_ledger_is_intact(written):
    with Archive.read(written) as archive:
        intact = archive.verify()
    assert isinstance(intact, Intact) and intact.size == SIZE
    assert intact.witnesses == (("this machine", SIZE),)


@pytest.mark.req("I4", "T140")
@pytest.mark.parametrize("attack", CLUMSY)
def test_changed_rows_are_found_at_the_very_entry(written, attack):
    sql(written, *CLUMSY[attack])
    finding = found(written)
    assert (finding.seq, finding.proof) == (VICTIM, BY_CLUMSY[attack])


@pytest.mark.req("I4", "T140")
@pytest.mark.parametrize("index", [-(2**63), -7, SIZE, 2**62 + 1, 2**63 - 1])
def test_an_added_row_is_found_wherever_it_is_put(written, index):
    row = "SELECT ?, stream, kind, body, blob, wall_us FROM entries WHERE idx = ?"
    sql(written, (f"INSERT INTO entries {row}", (index, VICTIM)))
    assert found(written).proof is Proof.SEQUENCE


@pytest.mark.req("I4")
def test_a_ledger_that_calls_itself_another_is_found(written):
    sql(written, ("UPDATE meta SET value = 'example.com/other' WHERE name = 'origin'",))
    assert found(written).proof is Proof.SIGNATURE


@pytest.mark.req("I4", "I2")
@pytest.mark.parametrize("kept", [0, 1])
def test_one_of_the_two_public_keys_is_not_enough(written, kept):
    keys = written.parent / "keys" / "log.vkey"
    keys.write_text(keys.read_text().splitlines()[kept] + "\n")
    finding = found(written)
    assert finding.proof is Proof.SIGNATURE and "both sign" in finding.found


@pytest.mark.req("I4")
def test_a_lost_ledger_does_not_begin_anew_and_keeps_its_name(written):
    keys = (written.parent / "keys" / "log.vkey").read_text()
    written.unlink()
    with pytest.raises(LedgerTampered, match=r"remove ledger\.witness\.checkpoint"):
        Ledger.open(written, "example.com/anew")
    assert (written.parent / "keys" / "log.vkey").read_text() == keys


@pytest.mark.req("I4", "T140")
@pytest.mark.parametrize("change", [edit, delete, reorder])
def test_recomputed_hashes_do_not_lead_to_the_signed_root(written, change):
    forge(written, change)
    finding = found(written)
    assert finding.proof is Proof.ROOT
    # Localised to the commit: the last checkpoint that still fits is of size 120.
    assert finding.seq == 120 and "120 to 129" in finding.detail


@pytest.mark.req("I4", "T140")
@pytest.mark.parametrize("change", [edit, delete, reorder, truncate])
def test_what_is_signed_again_with_the_stolen_keys_contradicts_a_kept_checkpoint(
    written, origin, change
):
    forge(written, change, sign_as=origin)
    assert found(written).proof is Proof.CONSISTENCY


@pytest.mark.req("I4", "T140")
def test_a_truncation_signed_again_says_how_much_is_missing(written, origin):
    forge(written, truncate, sign_as=origin)
    finding = found(written)
    assert (finding.seq, finding.expected) == (VICTIM, f"at least {SIZE} entries")
    assert "truncated" in finding.detail


@pytest.mark.req("I4", "T140")
def test_whoever_rewrites_the_whole_directory_is_found_by_a_checkpoint_kept_elsewhere(
    written, origin
):
    with Archive.read(written) as archive:
        kept = archive.checkpoint()
    forge(written, edit, sign_as=origin)
    witness_path(written).unlink()
    with Archive.read(written) as archive:
        assert isinstance(archive.verify(), Intact)  # nothing inside can tell
    finding = found(written, {"auditor": kept})
    assert finding.proof is Proof.CONSISTENCY and "auditor" in finding.detail


@pytest.mark.req("I4", "T140")
def test_a_fork_of_the_same_size_is_found_when_two_parties_compare(
    written, origin, make_drafts, tmp_path
):
    fork = tmp_path / "fork"
    shutil.copytree(written.parent, fork)
    shown = {}
    for name, home, stream in (("ann", written.parent, "quotes"), ("bob", fork, "orders")):
        with Ledger.open(home / "ledger.db", origin) as ledger:
            ledger.append_now(make_drafts(5, SIZE, stream))
            assert isinstance(ledger.verify(), Intact)  # each history alone is sound
            shown[name] = ledger.checkpoint()
    finding = found(fork / "ledger.db", {"ann": shown["ann"]})
    assert finding.proof is Proof.CONSISTENCY and "ann" in finding.detail
    assert found(written, {"bob": shown["bob"]}).proof is Proof.CONSISTENCY


@pytest.mark.req("I4", "T140")
def test_a_witness_refuses_the_other_side_of_a_fork(written, origin, make_drafts, tmp_path):
    witness = Witness(tmp_path / "witness", "witness.example/w1")
    fork = tmp_path / "fork"
    with Archive.read(written) as archive:
        log = public_keys(written)
        assert len(witness.cosign(archive.prove_consistency(0), log, 1_764_000_001)) == 2
    shutil.copytree(written.parent, fork)
    with Ledger.open(written, origin) as ledger:
        ledger.append_now(make_drafts(5, SIZE, "quotes"))
        witness.cosign(ledger.prove_consistency(SIZE), log, 1_764_000_002)
    with Ledger.open(fork / "ledger.db", origin) as ledger:
        ledger.append_now(make_drafts(5, SIZE, "orders"))
        with pytest.raises(WitnessRefused, match="two roots"):
            witness.cosign(ledger.prove_consistency(SIZE + 5), log, 1_764_000_003)
        ledger.append_now(make_drafts(5, SIZE + 5, "orders"))
        with pytest.raises(WitnessRefused, match="does not continue"):
            witness.cosign(ledger.prove_consistency(SIZE + 5), log, 1_764_000_004)


@pytest.mark.req("I4", "T140")
def test_an_old_backup_put_back_is_found_and_not_continued(written, origin, make_drafts, tmp_path):
    backup = tmp_path / "backup.db"
    shutil.copy(written, backup)
    with Ledger.open(written, origin) as ledger:
        ledger.append_now(make_drafts(20, SIZE))
    shutil.copy(backup, written)
    finding = found(written)
    assert (finding.seq, finding.proof) == (SIZE, Proof.CONSISTENCY)
    assert "old backup" in finding.detail
    with pytest.raises(LedgerTampered, match="old backup"):
        Ledger.open(written, origin)


@pytest.mark.req("I4", "T140")
@pytest.mark.parametrize(
    ("change", "proof"),
    [
        (("UPDATE heads SET note = replace(note, 'A', 'B')",), Proof.SIGNATURE),
        (("DELETE FROM heads",), Proof.SIGNATURE),
        (("DELETE FROM heads WHERE size > 290",), Proof.SEQUENCE),
        (("UPDATE tiles SET hashes = zeroblob(8192) WHERE level = 0 AND idx = 0",), Proof.LEAF),
        (("UPDATE tiles SET hashes = zeroblob(32) WHERE level = 1",), Proof.TILE),
        (("DELETE FROM tiles",), Proof.LEAF),
        (("UPDATE entries SET body = zeroblob(70000) WHERE idx = 9",), Proof.LEAF),
        (("UPDATE entries SET stream = x'ff' || 'a' WHERE idx = 9",), Proof.STORAGE),
        (("INSERT INTO entries VALUES (300, 's', 'k', x'00', NULL, 1)",), Proof.SEQUENCE),
        (("UPDATE entries SET wall_us = wall_us + 1 WHERE idx = 299",), Proof.LEAF),
        (("INSERT INTO blobs VALUES ('00', x'01')",), Proof.BLOB),
    ],
    ids=lambda value: value[0][:48] if isinstance(value, tuple) else str(value),
)
def test_every_part_of_the_file_is_covered_by_a_proof(written, change, proof):
    sql(written, change)
    assert found(written).proof is proof


@pytest.mark.req("I4")
def test_a_changed_blob_is_found(path, origin):
    from holdfast.ledger import Draft

    with Ledger.open(path, origin) as ledger:
        ledger.append_now([Draft("quotes", "Report", b"x" * 70_000, 1.0)])
    sql(path, ("UPDATE blobs SET data = x'00'",))
    assert (found(path).seq, found(path).proof) == (0, Proof.BLOB)


@pytest.mark.req("I4")
@pytest.mark.parametrize("change", [edit, truncate])
def test_a_forged_ledger_is_not_opened_for_writing(written, origin, change):
    forge(written, change)
    with pytest.raises(LedgerTampered) as refusal:
        Ledger.open(written, origin)
    assert refusal.value.finding.proof in (Proof.ROOT, Proof.SEQUENCE)


@pytest.mark.req("I4")
def test_a_page_lost_by_the_disk_is_a_finding_and_not_a_traceback(written):
    data = bytearray(written.read_bytes())
    for page in range(4096 * 3, len(data), 4096 * 2):
        data[page : page + 64] = b"\xff" * 64
    written.write_bytes(data)
    assert found(written).proof in (Proof.STORAGE, Proof.LEAF, Proof.SEQUENCE, Proof.TILE)


def test_a_witness_file_signed_by_somebody_else_is_said(written, origin, tmp_path):
    Ledger.open(tmp_path / "other" / "ledger.db", origin).close()
    with Archive.read(tmp_path / "other" / "ledger.db") as other:
        finding = found(written, {"mallory": other.checkpoint()})
    assert finding.proof is Proof.SIGNATURE and "mallory" in finding.detail
