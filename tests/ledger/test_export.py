"""Exports, checked by a second program that shares no code, from files and public keys alone."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.ledger import Draft, Ledger, verify_export
from holdfast.ledger.archive import public_keys
from holdfast.ledger.entry import leaf_data
from holdfast.ledger.merkle import leaf_hash

SIZE = 300
PROGRAM = Path(verify_export.__file__)


@pytest.fixture(scope="module")
def exported(tmp_path_factory, origin, make_drafts) -> Path:
    """A directory with ``export/``, ``older`` (checkpoint of size 120) and ``keys.vkey``."""
    base = tmp_path_factory.mktemp("exported")
    with Ledger.open(base / "home" / "ledger.db", origin) as ledger:
        ledger.append_now(make_drafts(119))
        ledger.append_now([Draft("quotes", "Report", b"r" * 80_000, 1.0)])
        (base / "older").write_text(ledger.checkpoint())
        ledger.append_now(make_drafts(SIZE - 120, 120))
        ledger.export(base / "export")
        keys = "".join(f"{key}\n" for key in public_keys(ledger.path))
    (base / "keys.vkey").write_text(keys)
    return base


@pytest.fixture
def copy(exported: Path, tmp_path: Path) -> Path:
    return shutil.copytree(exported, tmp_path / "copy")


def second_program(base: Path, *more: str | Path) -> subprocess.CompletedProcess[str]:
    # A copy, isolated: neither the package nor its directory can be imported.
    program = shutil.copy(PROGRAM, base / "second_program.py")
    return subprocess.run(
        [sys.executable, "-I", program, base / "export", base / "keys.vkey", *more],
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_second_program_shares_no_code_and_no_database():
    text = PROGRAM.read_text()
    assert "holdfast." not in text.replace("python -m holdfast.", "") and "sqlite" not in text


@pytest.mark.req("I4")
def test_the_layout_is_that_of_tiled_logs(exported):
    found = {
        str(p.relative_to(exported / "export")): p.stat().st_size
        for p in (exported / "export").rglob("*")
        if p.is_file() and "blob" not in p.parts and "entries" not in p.parts
    }
    checkpoint = found.pop("checkpoint")
    assert found == {"tile/0/000": 8192, "tile/0/001.p/44": 44 * 32, "tile/1/000.p/1": 32}
    assert 3_300 < checkpoint < 3_600
    bundle = (exported / "export" / "tile/entries/001.p/44").read_bytes()
    (length,) = struct.unpack_from(">H", bundle)
    tile = (exported / "export" / "tile/0/001.p/44").read_bytes()
    assert leaf_hash(bundle[2 : 2 + length]) == tile[:32]


@pytest.mark.req("I4", "I2")
def test_a_second_program_finds_the_export_intact_and_a_continuation(copy):
    ran = second_program(copy, "--older", copy / "older")
    assert ran.returncode == 0 and f"{SIZE} entries" in ran.stdout, ran


@pytest.mark.req("I4")
@pytest.mark.parametrize(
    ("name", "at"),
    [
        ("checkpoint", 30), ("checkpoint", 90), ("checkpoint", 2_000), ("tile/0/000", 5),
        ("tile/0/001.p/44", 1_000), ("tile/1/000.p/1", 0), ("tile/entries/000", 1),
        ("tile/entries/000", 9_000), ("tile/entries/001.p/44", 400),
    ],
)  # fmt: skip
def test_a_flipped_bit_in_any_file_is_rejected_by_the_second_program(copy, name, at):
    path = copy / "export" / name
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    ran = second_program(copy)
    assert ran.returncode == 1 and ran.stdout.startswith("rejected: "), ran


@pytest.mark.req("I4")
@pytest.mark.parametrize("pattern", ["tile/entries/000", "tile/0/000", "blob/*", "checkpoint"])
def test_a_missing_or_emptied_file_is_rejected(copy, pattern):
    (path,) = (copy / "export").glob(pattern)
    path.write_bytes(b"")
    assert second_program(copy).returncode == 1
    path.unlink()
    assert second_program(copy).returncode == 1


@pytest.mark.req("I4", "I2")
@pytest.mark.parametrize("kept", [0, 1])
def test_the_second_program_wants_both_keys(copy, kept):
    keys = copy / "keys.vkey"
    keys.write_text(keys.read_text().splitlines()[kept] + "\n")
    ran = second_program(copy)
    assert ran.returncode == 1 and "wanted the log's Ed25519 and its ML-DSA-44 key" in ran.stdout


@pytest.mark.req("I4")
@pytest.mark.parametrize("line", [b"[]", b"7", b'{"index":0,"body":7,"bytes":1}', b"[" * 9_000])
def test_an_entry_of_any_shape_is_rejected_and_never_a_traceback(copy, line):
    path = copy / "export" / "tile/entries/000"
    leaf = b"holdfast-entry/v1 " + line + b"\nx"
    path.write_bytes(struct.pack(">H", len(leaf)) + leaf)
    ran = second_program(copy)
    assert ran.returncode == 1 and ran.stdout.startswith("rejected: "), ran
    assert "Traceback" not in ran.stderr


@pytest.mark.req("I4")
def test_an_export_of_a_fork_does_not_continue_an_older_checkpoint(
    exported, tmp_path, origin, make_drafts
):
    shutil.copytree(exported / "home" / "keys", tmp_path / "home" / "keys")
    with Ledger.open(tmp_path / "home" / "ledger.db", origin) as fork:
        fork.append_now(make_drafts(SIZE, 7))
        fork.export(tmp_path / "export")
    shutil.copy(exported / "keys.vkey", tmp_path)
    assert second_program(tmp_path).returncode == 0
    ran = second_program(tmp_path, "--older", exported / "older")
    assert ran.returncode == 1 and "size 120: signed root" in ran.stdout


@pytest.mark.req("I4")
def test_an_empty_ledger_can_be_exported_and_verified(tmp_path, origin):
    with Ledger.open(tmp_path / "home" / "ledger.db", origin) as ledger:
        ledger.export(tmp_path / "export")
    shutil.copy(tmp_path / "home" / "keys" / "log.vkey", tmp_path / "keys.vkey")
    ran = second_program(tmp_path)
    assert ran.returncode == 0 and " 0 entries" in ran.stdout


def test_exporting_again_adds_what_is_new_and_drops_finished_partial_tiles(
    ledger, path, tmp_path, make_drafts
):
    ledger.append_now(make_drafts(200))
    ledger.export(tmp_path / "export")
    ledger.append_now(make_drafts(400, 200))
    full_before = None
    for _ in range(2):  # the second time nothing finished is written again
        assert ledger.export(tmp_path / "export").size == 600
        full = (tmp_path / "export/tile/0/000").stat().st_ino
        assert full_before in (None, full)
        full_before = full
    assert not (tmp_path / "export/tile/0/000.p").exists()
    assert verify_export.verify_export(
        tmp_path / "export", (path.parent / "keys" / "log.vkey").read_text()
    )[1] == 600  # fmt: skip


def test_a_leaf_says_what_it_is_in_plain_text(ledger, make_drafts):
    (entry,) = ledger.append_now(make_drafts(1))
    assert leaf_data(entry) == (
        b'holdfast-entry/v1 {"body":"inline","bytes":19,"index":0,"kind":"Note",'
        b'"stream":"quotes","wall_us":1764000000250000}\n{"by":"anna","n":0}'
    )
