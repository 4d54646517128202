"""Changes that are done as one, whatever happens to who does them."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from holdfast.supply import staging
from holdfast.supply.staging import alone, note, replace
from holdfast.supply.tree import STAGE, Change, files

LAST = "manifest.json"


def rendered(root: Path, content: bytes, count: int = 5) -> list[Change]:
    """Every file of a set, turned from whatever it is into the content."""
    return [Change(f"{n}/file", None, content) for n in range(count)]


def test_all_files_and_the_last_one_are_there_and_nothing_else(tmp_path):
    replace(tmp_path, rendered(tmp_path, b"new"), LAST, b"told")
    assert set(files(tmp_path).values()) == {b"new", b"told"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0", "1", "2", "3", "4", LAST]


@pytest.mark.parametrize("at", [0, 2, 5])
def test_a_full_disk_leaves_the_old_files(tmp_path, monkeypatch, at):
    replace(tmp_path, rendered(tmp_path, b"old"), LAST, b"old")
    put, calls = staging._put, []

    def full(place, data):
        calls.append(place)
        if len(calls) > at:
            raise OSError(28, "No space left on device")
        put(place, data)

    monkeypatch.setattr(staging, "_put", full)
    with pytest.raises(OSError, match="No space"):
        replace(tmp_path, rendered(tmp_path, b"new"), LAST, b"new")
    assert set(files(tmp_path).values()) == {b"old"}
    assert not (tmp_path / STAGE).exists()


def test_an_interrupt_while_files_are_moved_comes_after_the_last_of_them(tmp_path, monkeypatch):
    move = staging._move

    def interrupted(*words):
        os.kill(os.getpid(), signal.SIGINT)
        move(*words)

    monkeypatch.setattr(staging, "_move", interrupted)
    with pytest.raises(KeyboardInterrupt):
        replace(tmp_path, rendered(tmp_path, b"new"), LAST, b"new")
    assert len(files(tmp_path)) == 6 and set(files(tmp_path).values()) == {b"new"}


KILLED = """
import os, sys
from pathlib import Path
from holdfast.supply import staging
from holdfast.supply.tree import Change
step, at, done = sys.argv[2], int(sys.argv[3]), []
real = getattr(staging, step)
def dying(*words):
    done.append(words)
    if len(done) > at:
        os.kill(os.getpid(), 9)
    real(*words)
setattr(staging, step, dying)
planned = [Change(f"{n}/file", None, b"new") for n in range(5)]
staging.replace(Path(sys.argv[1]), planned, "manifest.json", b"new")
"""


@pytest.mark.parametrize(
    ("step", "at", "half"),
    [("_put", 2, False), ("_put", 5, False), ("_move", 0, True), ("_move", 3, True)],
)
def test_who_is_killed_leaves_the_old_files_or_a_note_and_the_next_one_ends_it(
    tmp_path, step, at, half
):
    replace(tmp_path, rendered(tmp_path, b"old"), LAST, b"old")
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), step, str(at)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert (note(tmp_path) is not None) == half
    if not half:
        assert set(files(tmp_path).values()) == {b"old"}
    replace(tmp_path, rendered(tmp_path, b"new"), LAST, b"new")
    assert set(files(tmp_path).values()) == {b"new"} and note(tmp_path) is None


def test_two_never_change_a_directory_at_once(tmp_path):
    root, order = tmp_path / "out", []

    def second():
        with alone(root):
            order.append("second")

    with alone(root):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.05)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_link_in_the_place_of_the_stage_is_not_followed(tmp_path):
    elsewhere, root = tmp_path / "elsewhere", tmp_path / "out"
    elsewhere.mkdir()
    root.mkdir()
    (elsewhere / "precious").write_text("mine")
    (root / STAGE).symlink_to(elsewhere)
    with pytest.raises(OSError):
        replace(root, rendered(root, b"new"), LAST, b"new")
    assert (elsewhere / "precious").read_text() == "mine"
    assert set(files(root)) == set()


@pytest.fixture
def of_nobody():
    """A directory of somebody who may not write everywhere: root lays its rights down."""
    with tempfile.TemporaryDirectory(prefix="holdfast-of-nobody-") as name:
        us = os.geteuid()
        if us == 0:
            nobody = pwd.getpwnam("nobody").pw_uid
            os.chown(name, nobody, -1)
            os.seteuid(nobody)
        try:
            yield Path(name)
        finally:
            os.seteuid(us)


def test_a_directory_that_may_not_be_written_leaves_the_old_files(of_nobody):
    replace(of_nobody, rendered(of_nobody, b"old"), LAST, b"old")
    (of_nobody / "4").chmod(0o555)
    with pytest.raises(PermissionError):
        replace(of_nobody, rendered(of_nobody, b"new"), LAST, b"new")
    assert set(files(of_nobody).values()) == {b"old"}
