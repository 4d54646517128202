"""The catalogue and its objects: appended to, chained, whole after a crash."""

from __future__ import annotations

import io
import json

import pytest

from holdfast.recovery import repository as storing
from holdfast.recovery.entries import Expired, Marker
from holdfast.recovery.keys import SecretKey
from holdfast.recovery.repository import Repository
from holdfast.recovery.trouble import Damaged, KeyTrouble

pytestmark = pytest.mark.req("T121", "T125")

MARKERS = tuple(Marker(float(n), f"m{n}", 1, n) for n in range(5))


def kept(repository, content=b"trade " * 1000, name="base/one"):
    return repository.store(name, io.BytesIO(content), repository.recipients())


def test_what_was_stored_comes_back_from_the_repository_and_from_its_copy(repository, key):
    stored = kept(repository)
    assert b"".join(repository.fetch(stored, key)) == b"trade " * 1000
    (repository.root / stored.path).unlink()
    assert b"".join(repository.fetch(stored, key)) == b"trade " * 1000
    copy = Repository(repository.copies[0])
    assert copy.entries() == repository.entries(), "a copy stands alone"


def test_nothing_readable_is_on_disk(repository):
    stored = kept(repository, b"SECRET-ROW " * 100)
    for place in (repository.root, *repository.copies):
        assert b"SECRET-ROW" not in (place / stored.path).read_bytes()


def test_nobody_is_sealed_for_who_did_not_show_that_the_secret_opens(tmp_path, key):
    fresh = Repository(tmp_path / "fresh")
    with pytest.raises(KeyTrouble, match="holdfast backup escrow"):
        fresh.recipients()
    with pytest.raises(KeyTrouble, match="sealed for ops"):
        fresh.add_recipient(key.recipient, SecretKey.make("other"), 1.0)
    with pytest.raises(KeyTrouble):
        fresh.recipients()


@pytest.mark.parametrize("change", ["edit", "remove", "move"])
def test_a_catalogue_that_somebody_changed_is_found_with_its_line(repository, change):
    repository.record(*MARKERS)
    lines = repository.catalogue.read_bytes().splitlines(keepends=True)
    match change:
        case "edit":
            lines[2] = lines[2].replace(b'"m1"', b'"mX"')
        case "remove":
            del lines[2]
        case "move":
            lines[2], lines[3] = lines[3], lines[2]
    repository.catalogue.write_bytes(b"".join(lines))
    with pytest.raises(Damaged, match=r"catalogue.jsonl:\d: a line was changed, removed or moved"):
        Repository(repository.root).entries()


@pytest.mark.parametrize("rubbish", [b"{}\n", b"[\n", b'{"prev": 1, "entry": {"is": "Nope"}}\n'])
def test_a_line_that_is_no_entry_is_told_with_its_place(repository, rubbish):
    with open(repository.catalogue, "ab") as file:
        file.write(rubbish)
    with pytest.raises(Damaged, match=r"catalogue\.jsonl:2: this is no entry"):
        Repository(repository.root).entries()


def test_a_line_that_a_crash_cut_off_never_was_and_is_written_over(repository):
    repository.record(*MARKERS[:2])
    with open(repository.catalogue, "ab") as file:
        file.write(b'{"prev": "half a li')
    again = Repository(repository.root, repository.copies)
    assert again.entries() == repository.entries()
    again.record(MARKERS[2])
    assert Repository(repository.root).entries()[-1] == MARKERS[2]
    assert Repository(repository.copies[0]).entries()[-1] == MARKERS[2]


def test_two_writers_take_turns(repository):
    other = Repository(repository.root, repository.copies)
    for one, marker in zip((repository, other) * 2, MARKERS, strict=False):
        one.record(marker)
    assert repository.entries()[1:] == MARKERS[:4] == other.entries()[1:]


def test_a_crash_while_an_object_is_written_leaves_no_name(repository, monkeypatch):
    def gone(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr(storing.os, "replace", gone)
    with pytest.raises(KeyboardInterrupt):
        kept(repository)
    assert not [path for path in (repository.root / "base").iterdir()]


def test_a_copy_that_was_away_gets_the_whole_catalogue_when_it_is_back(repository):
    (repository.copies[0] / "catalogue.jsonl").unlink()
    repository.record(MARKERS[0])
    assert Repository(repository.copies[0]).entries() == repository.entries()


def test_what_expires_is_told_before_it_is_deleted(repository, monkeypatch):
    stored = kept(repository)

    def gone(_paths):
        raise KeyboardInterrupt

    monkeypatch.setattr(repository, "forget", gone)
    with pytest.raises(KeyboardInterrupt):
        repository.expire([stored.path], 9.0)
    assert repository.entries()[-1] == Expired(9.0, (stored.path,))


def test_the_catalogue_is_json_that_other_programs_read(repository):
    repository.record(MARKERS[0])
    last = json.loads(repository.catalogue.read_text().splitlines()[-1])
    assert last["entry"] == {"is": "Marker", "at": 0.0, "name": "m0", "timeline": 1, "lsn": 0}
