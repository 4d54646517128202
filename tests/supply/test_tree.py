"""A directory that is written again and again: changed files, old files, foreign files."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from holdfast.supply.staging import replace
from holdfast.supply.tree import Change, Outside, changes, digest, files


def write(root: Path, wanted, owned=None):
    planned = changes(root, wanted, {path: {said} for path, said in (owned or {}).items()})
    replace(root, planned, "last", b"")
    (root / "last").unlink()
    return planned


def test_only_what_changed_is_written(tmp_path):
    write(tmp_path, {"a/b.yaml": b"1", "c.yaml": b"2"})
    before = (tmp_path / "a/b.yaml").stat().st_ino
    owned = {"a/b.yaml": digest(b"1"), "c.yaml": digest(b"2")}
    planned = write(tmp_path, {"a/b.yaml": b"1", "c.yaml": b"3"}, owned)
    assert planned == (Change("c.yaml", b"2", b"3"),)
    assert (tmp_path / "a/b.yaml").stat().st_ino == before
    assert files(tmp_path) == {"a/b.yaml": b"1", "c.yaml": b"3"}


def test_what_is_no_longer_part_goes_with_its_empty_directory(tmp_path):
    write(tmp_path, {"a/b.yaml": b"1", "c.yaml": b"2"})
    (planned,) = write(tmp_path, {"c.yaml": b"2"}, {"a/b.yaml": digest(b"1")})
    assert planned == Change("a/b.yaml", b"1", None)
    assert not (tmp_path / "a").exists()


def test_a_foreign_file_is_never_touched(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    write(tmp_path, {"a.yaml": b"1"})
    write(tmp_path, {}, {"a.yaml": digest(b"1")})
    assert files(tmp_path) == {"mine.txt": b"mine"}


@pytest.mark.parametrize("new", [b"2", None])
def test_a_file_changed_by_hand_is_a_conflict_whether_it_changes_or_goes(tmp_path, new):
    (tmp_path / "a.yaml").write_text("by hand")
    wanted = {} if new is None else {"a.yaml": new}
    (planned,) = changes(tmp_path, wanted, {"a.yaml": {digest(b"1")}})
    assert planned.conflict == "changed by hand"


def test_a_foreign_file_in_the_way_is_a_conflict_unless_it_is_the_same(tmp_path):
    (tmp_path / "a.yaml").write_text("foreign")
    (planned,) = changes(tmp_path, {"a.yaml": b"1"}, {})
    assert planned.conflict == "not written by holdfast render"
    assert changes(tmp_path, {"a.yaml": b"foreign"}, {}) == ()


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", "", "link/x", "file"])
@pytest.mark.parametrize("side", ["wanted", "owned"])
def test_no_path_leads_out_of_the_directory(tmp_path, path, side):
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(tmp_path)
    (tmp_path / "x").write_text("precious")
    (root / "file").symlink_to(tmp_path / "x")
    wanted, owned = ({path: b"1"}, {}) if side == "wanted" else ({}, {path: {digest(b"precious")}})
    with pytest.raises(Outside):
        changes(root, wanted, owned)
    assert (tmp_path / "x").read_text() == "precious"


def test_scripts_can_be_executed_and_nothing_else_can(tmp_path):
    write(tmp_path, {"run.sh": b"#!/bin/sh\n", "a.yaml": b"a: 1\n"})
    assert os.access(tmp_path / "run.sh", os.X_OK)
    assert stat.S_IMODE((tmp_path / "a.yaml").stat().st_mode) == 0o644


def test_nothing_is_left_beside_a_file_that_could_not_be_written(tmp_path):
    (tmp_path / "a.yaml").mkdir()
    with pytest.raises(OSError):
        replace(tmp_path, [Change("a.yaml", None, b"1")], "last", b"")
    assert [path.name for path in tmp_path.iterdir()] == ["a.yaml"]
