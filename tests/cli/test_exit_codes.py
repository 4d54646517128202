"""The truth table of docs/guides/exit-codes.md, with a real program and a real socket."""

from __future__ import annotations

import re
import signal
import socket
import time
from pathlib import Path

import pytest

from holdfast.cli.complaint import EXIT_OF_STATUS, translate
from holdfast.rollout.model import Ending, Finished, RevertOrdered, Started, StepEntered

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "exit-codes.md"


def test_no_conductor_is_3_and_says_how_to_start_one(shell):
    ran = shell("status")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.startswith("error: no conductor runs at ")
    assert "hint: start one: holdfast up" in ran.err


@pytest.mark.parametrize(
    ("status", "code", "exit_code"),
    [
        (400, "bad-request", 2), (401, "unauthorized", 4), (403, "role", 4), (404, "unknown", 2),
        (409, "conflict", 4), (409, "window-closed", 4), (422, "invalid-spec", 2),
        (409, "unknown-release", 2), (422, "missing-binary", 1),
        (503, "not-leader", 3), (500, "internal", 1),
    ],
)  # fmt: skip
def test_every_refusal_of_the_conductor_has_its_exit_code(
    conductor, shell, docs, status, code, exit_code
):
    conductor.serve(docs.status())
    conductor.answer(
        "POST", "/v1/services/demo/pause", docs.error(code, "it is busy", "wait"), status
    )
    ran = shell("pause")
    assert (ran.code, ran.out) == (exit_code, "")
    assert "it is busy" in ran.err and "hint: wait" in ran.err
    assert "Traceback" not in ran.err


def test_an_accepted_command_is_0(conductor, shell, docs):
    conductor.serve(docs.status())
    conductor.answer("POST", "/v1/services/demo/pause", docs.outcome(detail="paused at 25 %"))
    ran = shell("pause", "-m", "lunch")
    assert (ran.code, ran.out, ran.err) == (0, "demo: paused at 25 %\n", "")
    assert conductor.asked[-1][2]["reason"] == "lunch"


@pytest.mark.parametrize(
    ("ending", "exit_code"),
    [(Ending.PROMOTED, 0), (Ending.REVERTED, 1), (Ending.SUPERSEDED, 1), (Ending.STRANDED, 1)],
)
def test_deploy_exits_0_only_when_the_release_was_promoted(
    conductor, shell, docs, ending, exit_code
):
    conductor.serve(docs.status())
    conductor.answer(
        "POST", "/v1/services/demo/deploy", docs.outcome("started", "started", rollout="r-1")
    )
    conductor.tell(Started(10.0, docs.plan(), "ann"), StepEntered(10.1, 0))
    if ending is not Ending.PROMOTED:
        conductor.tell(RevertOrdered(12.0, "verdict", "12 of 240 requests failed", "engine"))
    conductor.tell(Finished(13.1, ending, "because"))
    ran = shell("deploy")
    assert ran.code == exit_code, ran
    assert "after 3.1 s" in ran.out or "promoted in 3.1 s" in ran.out


@pytest.mark.parametrize(
    ("ending", "exit_code"), [(Ending.REVERTED, 0), (Ending.PROMOTED, 1), (Ending.STRANDED, 1)]
)
def test_abort_exits_0_only_when_the_release_was_taken_back(
    conductor, shell, docs, ending, exit_code
):
    conductor.serve(docs.status())
    answer = docs.outcome("accepted", "taken back", rollout="r-1")
    conductor.answer("POST", "/v1/services/demo/abort", answer)
    conductor.tell(Started(10.0, docs.plan(), "ann"), Finished(13.1, ending, "because"))
    assert shell("abort").code == exit_code


def test_a_program_without_a_terminal_is_not_asked_but_refused(conductor, shell, docs):
    conductor.serve(docs.status())
    ran = shell("down")
    assert ran.code == 2 and "say --yes" in ran.err
    assert all(method == "GET" for method, _path, _body in conductor.asked)


def test_ctrl_c_detaches_with_130_and_says_that_the_rollout_goes_on(conductor, shell, docs):
    conductor.serve(docs.status())
    conductor.answer(
        "POST", "/v1/services/demo/deploy", docs.outcome("started", "started", rollout="r-1")
    )
    conductor.tell(Started(10.0, docs.plan(), "ann"), StepEntered(10.1, 0))
    process = shell.start("deploy")
    assert process.stdout is not None
    assert "canary v1 -> v2" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, (out, err)
    assert "the rollout goes on" in err and "holdfast abort" in err
    assert not any(path.endswith("/abort") for _method, path, _body in conductor.asked)


def test_an_unexpected_error_is_70_and_the_traceback_goes_to_a_file(conductor, shell, docs):
    conductor.serve(docs.status())
    conductor.answer("GET", "/v1/services", {"services": "not a list"})
    ran = shell("status")
    assert ran.code == 70
    assert "Traceback" not in ran.err + ran.out
    logs = list(conductor.home.glob("crash-*.log"))
    assert len(logs) == 1 and str(logs[0]) in ran.err
    assert "Traceback" in logs[0].read_text()


def test_a_reader_who_leaves_is_no_error(conductor, shell, docs):
    conductor.serve(*[docs.status(f"s{number}") for number in range(2000)])
    process = shell.start("status")
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=90) == 0
    assert process.stderr.read() == ""
    process.stderr.close()


def test_the_guide_lists_every_exit_code_and_no_other():
    listed = set(re.findall(r"^\| (\d+) \|", GUIDE.read_text(), re.MULTILINE))
    assert listed == {"0", "1", "2", "3", "4", "5", "70", "130"}
    assert {str(code) for code in EXIT_OF_STATUS.values()} <= listed


def test_a_conductor_that_hangs_is_told_while_it_is_waited_for(shell):
    shell.home.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(shell.home / "conductor.sock"))
        deaf.listen(1)
        process = shell.start("status", "--json")
        began = time.monotonic()
        assert process.stderr.readline() == "waiting for the conductor ...\n"
        assert time.monotonic() - began < 10  # long before the command gives up
        process.kill()
        assert process.communicate()[0] == ""  # what programs read stays clean


def test_ctrl_c_in_the_middle_of_an_import_is_an_interruption_whatever_a_library_made_of_it():
    try:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise ValueError("a schema that cannot be built") from error
    except ValueError as wrapped:
        assert translate(wrapped).exit_code == 130
