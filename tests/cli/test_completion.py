"""The completion scripts, sourced by real shells."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.ledger import Draft, Ledger

COMPLETE = """
set -eu
source {script}
COMP_WORDS=({words})
COMP_CWORD={place}
_holdfast_completion holdfast
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def bash(shell, tmp_path):
    """Complete words in bash as a press of Tab would."""
    program = tmp_path / "bin" / "holdfast"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m holdfast.cli "$@"\n')
    program.chmod(0o755)
    script = tmp_path / "completion.bash"
    script.write_text(shell("completion", "bash").out)

    def complete(*words: str) -> list[str]:
        quoted = " ".join(f"'{word}'" for word in ("holdfast", *words))
        text = COMPLETE.format(script=script, words=quoted, place=len(words))
        path = f"{program.parent}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-c", text], cwd=shell.directory, env={**shell.env(), "PATH": path},
            capture_output=True, text=True, timeout=30,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    return complete


def test_bash_completes_verbs(bash):
    assert bash("de") == ["deploy"]
    assert bash("res") == ["resume", "restart"]


def test_bash_completes_options(bash):
    assert "--detach" in bash("deploy", "--de")


def test_bash_completes_the_services_of_this_home(bash, conductor, docs):
    conductor.serve(docs.status("payments"), docs.status("prices"), docs.status("demo"))
    assert bash("status", "--service", "p") == ["payments", "prices"]


def test_completing_services_without_a_conductor_offers_nothing_and_says_nothing(bash):
    assert bash("status", "--service", "p") == []


def test_bash_completes_keys_of_the_spec_and_drills(bash):
    assert "rollout.strategy" in bash("explain", "rollout.st")
    assert bash("drill", "zero") == ["zero-downtime"]


def test_bash_completes_past_releases_from_the_ledger_without_a_conductor(bash, shell):
    with Ledger.open(shell.home / "ledger.db", "example.com/holdfast") as ledger:
        for release in ("v1-aaaa", "v2-bbbb"):
            body = b'{"blob":"00","by":"ann","release":"%s"}' % release.encode()
            ledger.append_now([Draft("demo/releases", "ReleaseStored", body, 1_764_000_000.0)])
    assert bash("rollback", "--to", "v") == ["v2-bbbb", "v1-aaaa"]
    assert bash("logs", "--release", "v1") == ["v1-aaaa"]


def test_bash_completes_the_names_of_tokens(bash, shell):
    assert shell("token", "create", "build-server").code == 0
    assert bash("token", "revoke", "b") == ["build-server"]


@pytest.mark.parametrize(("shell_name", "sign"), [("zsh", "#compdef"), ("fish", "complete ")])
def test_other_shells_get_a_script_too(shell, tmp_path, shell_name, sign):
    ran = shell("completion", shell_name)
    assert ran.code == 0 and sign in ran.out
    program = shutil.which(shell_name)
    if program is not None:
        script = Path(tmp_path, "script")
        script.write_text(ran.out)
        subprocess.run([program, "-n", str(script)], check=True, timeout=90)
