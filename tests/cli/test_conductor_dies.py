"""Watching outlives the conductor: it is killed in the middle, and the rollout goes on."""

from __future__ import annotations

import os
import signal

import pytest

from holdfast.conductor.daemon import read_pids, stop_daemon
from holdfast.runtime.home import Home

SPEC = """
service: demo
version: v1
target: simulated
run: {command: engine, env: {SIMULATED_START_S: "1"}}
"""


@pytest.fixture
def home(shell):
    (shell.directory / "holdfast.yaml").write_text(SPEC)
    yield Home(shell.home)
    stop_daemon(Home(shell.home))


@pytest.mark.live
def test_a_watched_rollout_is_told_to_its_end_although_the_conductor_is_killed(shell, home, docs):
    assert shell("up").code == 0
    process = shell.start("deploy", "--version", "v2", "--set", "run.env.SIMULATED_START_S=3")
    assert process.stdout is not None
    assert "rolling v1 -> v2" in process.stdout.readline()
    before = read_pids(home)
    assert before is not None
    os.kill(before.conductor, signal.SIGKILL)
    out, err = process.communicate(timeout=150)
    assert (process.returncode, err) == (0, ""), out
    assert out.splitlines()[-1].startswith("v2 promoted in ")
    after = read_pids(home)
    assert after is not None and after.conductor != before.conductor


@pytest.mark.live
def test_up_after_ctrl_c_joins_the_rollout_that_runs_already(shell, home):
    assert shell("up").code == 0
    words = ("deploy", "--version", "v2", "--set", "run.env.SIMULATED_START_S=3")
    assert shell(*words, "--detach").code == 0
    ran = shell(*words)
    assert ran.code == 0 and "v2 promoted in " in ran.out, ran


@pytest.mark.live
def test_up_after_a_reboot_waits_until_the_replicas_serve_again(shell, home):
    assert shell("up").code == 0
    stop_daemon(home)  # and with it the simulated world, as a reboot would end the real one
    ran = shell("up")
    assert ran.code == 0, ran
    assert "waiting for instances to become ready: 0 of 2 replicas are ready" in ran.out
    fleet = shell("status", "--json").json()["fleets"][0]
    assert fleet["ready"] == 2
