"""Whatever standard output is: closed, full, cut short, or of a locale without the characters."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from holdfast.cli.complaint import translate

PROGRAM = f"{sys.executable} -m holdfast.cli"


def sh(shell, words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", f"{PROGRAM} {words}"], cwd=shell.directory,
        env={**shell.env(), **environment}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-", "<&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("words", ["--help", "explain", "schema", "validate --json", "status"])
def test_a_closed_stream_is_no_traceback_and_does_not_change_the_exit_code(
    conductor, shell, docs, words, closed
):
    conductor.serve(docs.status())
    ran = sh(shell, f"{words} {closed}")
    assert (ran.returncode, ran.stderr) == (0, "")


def test_a_file_never_gets_the_number_of_a_closed_stream(shell):
    # What is printed for a person would otherwise be written into the first file that is opened.
    ran = sh(shell, "init --force >&-")
    assert ran.returncode == 0
    assert (shell.directory / "holdfast.yaml").read_text().startswith("# How project runs")


@pytest.mark.parametrize("words", ["explain", "explain --json", "status --json", "frob --json"])
def test_a_full_disk_behind_standard_output_is_said_on_the_other_stream(shell, words):
    ran = sh(shell, f"{words} >/dev/full")
    assert ran.returncode in (1, 2, 3) and ran.stderr.startswith("error: ")
    assert "Traceback" not in ran.stderr


def test_a_locale_without_the_characters_gets_their_numbers(shell):
    (shell.directory / "holdfast.yaml").write_text("service: \N{ROCKET}\nrun: sleep 1\n")
    ran = sh(shell, "validate", PYTHONIOENCODING="ascii")
    assert ran.returncode == 2 and r"found '\U0001f680'" in ran.stdout, ran
    ran = sh(shell, "validate --json", PYTHONIOENCODING="ascii")
    assert "\N{ROCKET}" in json.dumps(json.loads(ran.stdout), ensure_ascii=False)


def test_a_crash_file_is_for_its_owner_alone_and_follows_no_link(tmp_path, monkeypatch):
    monkeypatch.setenv("HOLDFAST_HOME", str(tmp_path / "none"))
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    assert translate(ZeroDivisionError("oops")).exit_code == 70
    (path,) = tmp_path.glob("crash-*.log")
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.stat(path).st_nlink == 1 and "ZeroDivisionError" in path.read_text()
