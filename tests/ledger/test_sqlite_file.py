"""What is true of a ledger in a file only."""

from __future__ import annotations

import pytest

from holdfast.ledger import Archive, Intact, Ledger, LedgerDamaged, LedgerMissing, LedgerReadOnly


def test_what_is_not_a_ledger_is_said_to_be_none(tmp_path, origin):
    other = tmp_path / "notes.db"
    other.write_bytes(b"not a database at all, but long enough to be looked at" * 40)
    with pytest.raises(LedgerDamaged):
        Archive.read(other)
    with pytest.raises(LedgerDamaged):
        Ledger.open(other, origin)
    with pytest.raises(LedgerMissing):
        Archive.read(tmp_path / "nothing.db")


def test_a_directory_that_cannot_be_made_is_read_only(tmp_path, origin):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LedgerReadOnly):
        Ledger.open(tmp_path / "file" / "ledger.db", origin)


def test_an_empty_file_left_by_a_crash_becomes_a_ledger(path, origin, make_drafts):
    path.parent.mkdir(mode=0o700)
    path.touch(0o600)
    with pytest.raises(LedgerMissing):
        Archive.read(path)
    with Ledger.open(path, origin) as ledger:
        ledger.append_now(make_drafts(1))
        assert isinstance(ledger.verify(), Intact)
