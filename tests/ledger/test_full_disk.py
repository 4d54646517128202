"""A full disk: new rollouts are refused, what takes one back still fits, and it is clear why."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.ledger import Archive, Draft, Intact, Ledger, LedgerFull, LedgerReadOnly
from holdfast.ledger.reserve import Reserve

# Runs where a file system of six megabytes is mounted. Fills it up to the last byte.
SCRIPT = """
import asyncio, json, os, sys
from pathlib import Path
from holdfast.ledger import Draft, Intact, Ledger, LedgerFull

home = Path(sys.argv[1])
ledger = Ledger.open(home / "ledger.db", "example.com/full", reserve_bytes=1 << 20)
ledger.append_now([Draft("s", "Started", b"{}", 1.0)])
told = {"full_before": ledger.full}

def fill():
    ballast = os.open(home / "ballast", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        while True:
            os.write(ballast, b"x" * 4096)
    except OSError:
        os.close(ballast)

fill()
refused = 0
for n in range(2000):
    try:
        ledger.append_now([Draft("s", "Started", b"x" * 20_000, 2.0)])
    except LedgerFull:
        refused += 1
        break
told["refused"], told["size_when_full"] = refused, ledger.size

async def mixed():
    return await asyncio.gather(
        ledger.append([Draft("s", "Started", b"{}", 3.0)]),
        ledger.append([Draft("s", "RevertOrdered", b"{}", 3.0, urgent=True)]),
        return_exceptions=True,
    )

plain, urgent = asyncio.run(mixed())
told["plain"], told["urgent"] = type(plain).__name__, [e.kind for e in urgent]
fill()  # whoever filled the disk is still writing
told["decided"] = 0
for n in range(8):  # what a whole rollback writes
    told["decided"] += len(ledger.append_now([Draft("s", "WeightReached", b"{}", 3.5, True)]))
    fill()
told["intact"] = isinstance(ledger.verify(), Intact)
ledger.close()

# The conductor restarts on the full disk and can still end the rollout.
ledger = Ledger.open(home / "ledger.db", "example.com/full", reserve_bytes=1 << 20)
told["full_after_restart"] = ledger.full
try:
    ledger.append_now([Draft("s", "Started", b"{}", 4.0)])
except LedgerFull as error:
    told["says"] = str(error)
told["ended"] = [e.kind for e in ledger.append_now([Draft("s", "Finished", b"{}", 5.0, True)])]

(home / "ballast").unlink()
told["again"] = [e.kind for e in ledger.append_now([Draft("s", "Started", b"{}", 6.0)])]
told["full_at_last"], told["reserve"] = ledger.full, ledger._reserve.whole
told["intact_at_last"] = isinstance(ledger.verify(), Intact)
print(json.dumps(told))
"""


@pytest.mark.live
def test_on_a_full_disk_a_rollback_is_recorded_and_a_new_rollout_is_not(tmp_path: Path):
    home, script = tmp_path / "small", tmp_path / "full.py"
    home.mkdir()
    script.write_text(SCRIPT)
    mount = 'mount -t tmpfs -o size=6m,mode=700 tmpfs "$1" && exec "$2" "$3" "$1"'
    ran = subprocess.run(
        ["unshare", "-rm", "sh", "-c", mount, "sh", home, sys.executable, script],
        capture_output=True,
        text=True,
        timeout=120,
    ) if shutil.which("unshare") else None  # fmt: skip
    if ran is None or "unshare" in ran.stderr or "mount:" in ran.stderr:
        pytest.skip("no small file system can be mounted here")
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["full_before"] is False and told["refused"] == 1
    assert (told["plain"], told["urgent"]) == ("LedgerFull", ["RevertOrdered"])
    assert told["decided"] == 8 and told["intact"] and told["full_after_restart"]
    assert "the device is full" in told["says"] and "free space" in told["says"]
    assert told["ended"] == ["Finished"] and told["again"] == ["Started"]
    assert told["full_at_last"] is False and told["reserve"] and told["intact_at_last"]


def capped(ledger: Ledger) -> None:
    """Let SQLite itself report a full disk, wherever no file system can be mounted."""
    pages = ledger._store._all("PRAGMA page_count")[0][0]
    ledger._store._all(f"PRAGMA max_page_count = {pages}")


def test_every_append_of_a_batch_that_does_not_fit_learns_of_it(ledger, make_drafts):
    ledger.append_now(make_drafts(3))
    capped(ledger)
    big = Draft("quotes", "Report", os.urandom(400_000), 1.0)

    async def three():
        plain = [ledger.append([big]) for _ in range(3)]
        return await asyncio.gather(*plain, return_exceptions=True)

    assert [type(each) for each in asyncio.run(three())] == [LedgerFull] * 3
    assert ledger.full and ledger.size == 3 and isinstance(ledger.verify(), Intact)


def test_after_a_refused_append_the_tree_goes_on_as_if_nothing_was(ledger, make_drafts):
    ledger.append_now(make_drafts(300))
    capped(ledger)
    with pytest.raises(LedgerFull):
        ledger.append_now([Draft("quotes", "Report", os.urandom(400_000), 1.0)])
    ledger._store._all("PRAGMA max_page_count = 1073741823")
    assert ledger.append_now(make_drafts(1, 300))[0].index == 300
    assert not ledger.full and isinstance(ledger.verify(), Intact)


def test_the_reserve_is_real_space_and_is_given_back(tmp_path):
    reserve = Reserve(tmp_path / "ledger.reserve", 1 << 20)
    assert reserve.make() and reserve.whole
    assert reserve.path.stat().st_blocks * 512 >= 1 << 20
    slices = sum(iter(reserve.release, False))
    assert slices == 16 and reserve.path.stat().st_blocks == 0 and not reserve.whole


def test_a_reserve_that_cannot_grow_keeps_what_it_has(tmp_path):
    assert Reserve(tmp_path / "ledger.reserve", 1 << 20).make()
    larger = Reserve(tmp_path / "ledger.reserve", 1 << 60)
    assert not larger.make() and larger.left == 1 << 20


def test_writing_where_only_reading_is_allowed_says_so(ledger, path):
    with (
        Archive.read(path) as archive,
        pytest.raises(LedgerReadOnly, match="writable"),
        archive._store.transaction(),
    ):
        archive._store.set_meta("a", "b")
