"""Progress on a real (pseudo) terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time

import pytest

from holdfast.rollout.model import Ending, Finished, RevertOrdered, Started, StepEntered

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def on_a_terminal(shell, *words, until=None, keys=b""):
    """Run the program with a terminal and return (exit code, what was on it)."""
    main, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "holdfast.cli", *words], cwd=shell.directory,
        env={**shell.env(), "COLUMNS": "120", "LINES": "40"},
        stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
        preexec_fn=lambda: _controlling(terminal),
    )  # fmt: skip
    os.close(terminal)
    seen, end = b"", time.monotonic() + 30
    while time.monotonic() < end:
        if select.select([main], [], [], 0.1)[0]:
            try:
                chunk = os.read(main, 65536)
            except OSError:  # the terminal is closed when the program ends
                break
            seen += chunk
        if until and until in ESCAPES.sub("", seen.decode(errors="replace")):
            os.write(main, keys)
            until = None
    code = process.wait(timeout=60)
    os.close(main)
    return code, seen.decode(errors="replace")


def _controlling(terminal):
    import fcntl
    import termios

    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)


@pytest.fixture
def deployed(conductor, docs):
    conductor.serve(
        docs.status(
            fleets=[docs.fleet(docs.v1, ready=2), docs.fleet(docs.v2, ready=1, starting=1)],
            weights={docs.v1.id: 75, docs.v2.id: 25},
            holds=[{"code": "needs-samples", "detail": "31 of 332 seen"}],
        )
    )
    outcome = docs.outcome("started", "v2 started", rollout="r-1")
    conductor.answer("POST", "/v1/services/demo/deploy", outcome)
    conductor.tell(Started(10.0, docs.plan(), "ann"), StepEntered(10.1, 0))
    return conductor


def test_the_ladder_and_the_reason_for_the_wait_are_drawn_and_ctrl_c_detaches(deployed, shell):
    code, seen = on_a_terminal(shell, "deploy", until="1/2 ready", keys=b"\x03")
    plain = ESCAPES.sub("", seen)
    assert code == 130
    assert "> step 1" in plain and "step 2" in plain
    assert "waiting for more requests to judge by (needs-samples): 31 of 332 seen" in plain
    assert "detached: the rollout goes on" in plain
    assert "Traceback" not in plain


def test_the_last_line_on_a_terminal_is_the_honest_sentence(deployed, shell, docs):
    deployed.tell(
        RevertOrdered(12.0, "verdict", "12 of 240 requests failed", "engine"),
        Finished(13.1, Ending.REVERTED, ""),
    )
    code, seen = on_a_terminal(shell, "deploy")
    last = ESCAPES.sub("", seen).strip().splitlines()[-1]
    assert code == 1
    assert last.startswith("v2 reverted after 3.1 s: 12 of 240 requests failed; traffic is on")
    assert "\x1b[31m" in seen


def test_no_color_is_honoured_on_a_terminal(deployed, shell):
    deployed.tell(Finished(13.1, Ending.PROMOTED, ""))
    shell.environment["NO_COLOR"] = "1"
    _code, seen = on_a_terminal(shell, "deploy")
    assert "\x1b[3" not in seen and "v2 promoted in 3.1 s" in seen


def test_a_dumb_terminal_gets_plain_lines(deployed, shell):
    deployed.tell(Finished(13.1, Ending.PROMOTED, ""))
    shell.environment["TERM"] = "dumb"
    _code, seen = on_a_terminal(shell, "deploy")
    assert "\x1b" not in seen and "+  0.10s  step 1 of 2: 25 % to v2" in seen


def test_down_asks_a_person_and_no_means_no(deployed, shell):
    code, seen = on_a_terminal(shell, "down", until="Stop demo?", keys=b"n\n")
    assert code == 1 and "nothing was stopped" in seen
    assert {method for method, _path, _body in deployed.asked} == {"GET"}
