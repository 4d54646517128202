"""Log files: their tails and their rotation."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from holdfast.targets.local import logs


def test_the_tail_is_what_was_written_since_the_start_of_this_life(tmp_path: Path):
    log = tmp_path / "0.log"
    log.write_text("old life\n")
    since = logs.size(log)
    log.open("a").close()
    with log.open("a") as file:
        file.writelines(f"line {n}\n" for n in range(50))
    assert logs.tail(log, since, 3) == ("line 47", "line 48", "line 49")
    assert "old life" not in logs.tail(log, since, 100)


def test_the_tail_of_a_rotated_or_missing_or_binary_file_is_no_error(tmp_path: Path):
    log = tmp_path / "0.log"
    assert logs.tail(log) == ()
    log.write_bytes(b"\xff\xfe broken \n")
    assert logs.tail(log, since=10_000) == ("\ufffd\ufffd broken",)


def test_a_very_long_file_is_not_read_whole(tmp_path: Path):
    log = tmp_path / "0.log"
    log.write_text("x" * 10 * logs.TAIL_BYTES + "\nend\n")
    tail = logs.tail(log)
    assert tail[-1] == "end"
    assert sum(map(len, tail)) <= logs.TAIL_BYTES


def test_rotation_keeps_so_many_files_and_the_writer_goes_on_in_the_same_one(tmp_path: Path):
    log = tmp_path / "0.log"
    with log.open("ab", buffering=0) as writer:
        for number in range(6):
            writer.write(f"{number}".encode() * 100)
            assert logs.rotate(log, max_size=50, keep=3) is True
        writer.write(b"new")
    names = {path.name: path.read_text()[:1] for path in tmp_path.iterdir()}
    assert names == {"0.log": "n", "0.log.1": "5", "0.log.2": "4", "0.log.3": "3"}


def test_a_small_file_is_left_alone(tmp_path: Path):
    log = tmp_path / "0.log"
    log.write_text("small")
    assert logs.rotate(log, 50, 3) is False
    assert logs.shift(log, 50, 3) is False
    assert logs.rotate(tmp_path / "missing.log", 50, 3) is False


def test_keeping_none_only_empties_or_removes(tmp_path: Path):
    for act, left in ((logs.rotate, ["0.log"]), (logs.shift, [])):
        (tmp_path / "0.log").write_text("x" * 100)
        assert act(tmp_path / "0.log", 50, 0) is True
        assert [path.name for path in tmp_path.iterdir()] == left


@given(st.integers(1, 5), st.integers(1, 9))
def test_shifting_never_loses_the_newest_files(tmp_path_factory, keep, rounds):
    directory = tmp_path_factory.mktemp("shift")
    for number in range(rounds):
        (directory / "a").write_text(str(number) * 60)
        logs.shift(directory / "a", 50, keep)
    kept = [
        logs.numbered(directory / "a", n).read_text()[0] for n in range(1, min(keep, rounds) + 1)
    ]
    assert kept == [str(rounds - 1 - n) for n in range(min(keep, rounds))]


def test_of_a_flood_only_the_end_is_kept_so_that_it_does_not_fill_the_disk_twice(tmp_path: Path):
    log = tmp_path / "0.log"
    log.write_bytes(b"old" * 1000 + b"new" * 80)
    assert logs.rotate(log, max_size=30, keep=1) is True
    assert (log.read_bytes(), (tmp_path / "0.log.1").read_bytes()) == (b"", b"new" * 80)
    assert (tmp_path / "0.log.1").stat().st_mode & 0o077 == 0


def test_logs_of_the_latest_releases_and_of_those_in_use_are_kept(tmp_path: Path):
    for number in range(6):
        (tmp_path / f"r{number}").mkdir()
        os.utime(tmp_path / f"r{number}", (number, number))
    (tmp_path / "envoy.log").touch()
    logs.forget(tmp_path, keep=2, in_use={"r0"})
    assert {path.name for path in tmp_path.iterdir()} == {"r0", "r4", "r5", "envoy.log"}
