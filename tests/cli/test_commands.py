"""What each command asks of the conductor, and what it prints."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from dataclasses import asdict

import pytest

from holdfast.cli.logs import news
from holdfast.rollout.model import Ending, Finished, RevertOrdered, Started, StepEntered
from holdfast.rollout.plan import forecast
from holdfast.runtime.codec import encode
from holdfast.spec.load import load_text


def deployed(conductor, docs, *events):
    conductor.serve(docs.status())
    outcome = docs.outcome("started", "v2 started", rollout="r-1", release=docs.release(docs.v2))
    conductor.answer("POST", "/v1/services/demo/deploy", outcome)
    conductor.tell(Started(10.0, docs.plan(), "ann"), *events)


def body_of(conductor, verb):
    return next(body for _m, path, body in conductor.asked if path.endswith(f"/{verb}"))


# ---- status -------------------------------------------------------------------------------------


def test_status_names_the_release_the_traffic_and_the_reason_for_the_wait(conductor, shell, docs):
    rollout = {
        "id": "r-1", "phase": "shifting", "strategy": "canary", "step": 1, "steps": 2,
        "new": docs.release(docs.v2), "old": docs.release(docs.v1), "rollback": False,
        "paused": False, "weights": {}, "holds": [], "started_at": 88.0, "approvals": [],
        "verdict": None, "reason": "",
    }  # fmt: skip
    conductor.serve(
        docs.status(
            state={"rollout": rollout, "previous": docs.release(docs.v1)},
            fleets=[docs.fleet(docs.v1, ready=2), docs.fleet(docs.v2, ready=1, starting=1)],
            weights={docs.v1.id: 75, docs.v2.id: 25},
            holds=[{"code": "needs-samples", "detail": "31 of 332 seen"}],
        )
    )
    out = shell("status").out
    assert "v1 is live (v1-aaaa)" in out and "holdfast rollback" in out
    assert "canary v1 -> v2: step 1 of 2, shifting, 12 s" in out
    assert "v2 (v2-bbbb)  25 %     1/2" in out
    assert "waiting for more requests to judge by (needs-samples): 31 of 332 seen" in out
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("ready", "words"), [(2, "v1 is kept warm"), (0, "v1 can be started again")]
)
def test_only_a_release_that_runs_is_called_warm(conductor, shell, docs, ready, words):
    old = [docs.fleet(docs.v1, ready=ready)] if ready else []
    state = {"stable": docs.release(docs.v2), "previous": docs.release(docs.v1)}
    conductor.serve(docs.status(state=state, fleets=[docs.fleet(docs.v2, ready=2), *old]))
    assert words in shell("status").out


def test_what_a_replica_printed_has_no_power_over_the_terminal(conductor, shell, docs):
    tail = ["\x1b]0;owned\x07\x1b[2J harmless \u00e9"]
    failure = {"code": "crash-loop", "detail": "\x1b[31mred", "log_tail": tail, "hopeless": True}
    sick = docs.status(
        fleets=[docs.fleet(docs.v2, failed=1, failure=failure)],
        holds=[{"code": "starting", "detail": "\r\x1b[K"}],
    )
    deployed(
        conductor, docs, RevertOrdered(12.0, "crash-loop", "\x1b[2J", "engine"),
        Finished(13.1, Ending.REVERTED, ""),
    )  # fmt: skip
    conductor.serve(sick)
    shown = shell("status").out + shell("deploy").out
    assert "harmless \u00e9" in shown and "\x1b" not in shown and "\r" not in shown


def test_status_of_an_empty_home_says_how_to_begin(conductor, shell):
    conductor.serve()
    assert shell("status").out == "nothing is deployed here; begin with: holdfast up\n"


def test_status_json_is_the_document_of_the_api(conductor, shell, docs):
    conductor.serve(docs.status())
    assert shell("status", "--json").json() == docs.status()
    conductor.serve(docs.status("one"), docs.status("two"))
    assert [s["service"] for s in shell("status", "--json").json()["services"]] == ["one", "two"]


def test_watching_the_status_prints_json_lines_until_ctrl_c(conductor, shell, docs):
    conductor.serve(docs.status())
    process = shell.start("status", "--watch", "--json")
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["service"] == "demo"
    process.send_signal(signal.SIGINT)
    _out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")


# ---- deploy -------------------------------------------------------------------------------------


def test_deploy_sends_the_spec_with_the_settings_laid_over_it(conductor, shell, docs):
    deployed(conductor, docs, Finished(10.5, Ending.PROMOTED, ""))
    ran = shell("deploy", "--version", "v2", "--set", "run.env.N=3", "--set", "replicas=3")
    assert ran.code == 0, ran
    body = body_of(conductor, "deploy")
    assert body["version"] == "v2" and body["force"] is False
    assert body["spec_path"] == str(shell.directory / "holdfast.yaml")
    spec = load_text(body["spec_text"])
    assert (spec.run.command, spec.run.env, spec.replicas) == ("python engine.py", {"N": "3"}, 3)


def test_without_settings_the_spec_is_sent_as_it_is_written(conductor, shell, docs):
    deployed(conductor, docs, Finished(10.5, Ending.PROMOTED, ""))
    shell("deploy")
    written = (shell.directory / "holdfast.yaml").read_text()
    assert body_of(conductor, "deploy")["spec_text"] == written


def test_a_pipe_gets_one_stamped_line_per_fact_and_one_sentence_at_the_end(conductor, shell, docs):
    deployed(conductor, docs, StepEntered(10.25, 0), Finished(14.2, Ending.PROMOTED, ""))
    assert shell("deploy").out.splitlines() == [
        "+  0.00s  canary v1 -> v2: 25 % -> 100 % of the traffic, 2 replicas",
        "+  0.25s  step 1 of 2: 25 % to v2",
        "v2 promoted in 4.2 s",
    ]


def test_the_reason_for_a_wait_is_told_while_it_lasts(conductor, shell, docs):
    deployed(conductor, docs, StepEntered(10.0, 0))
    conductor.tell_holds(("needs-samples", "31 of 332 seen"))
    process = shell.start("deploy")
    assert process.stdout is not None
    lines = [process.stdout.readline() for _line in range(3)]
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert lines[2].endswith(
        "waiting for more requests to judge by (needs-samples): 31 of 332 seen\n"
    )


def test_a_reverted_deploy_shows_what_the_new_instances_printed_last(conductor, shell, docs):
    deployed(
        conductor, docs, RevertOrdered(12.0, "never-ready", "v2 never-ready: 503", "engine"),
        Finished(13.1, Ending.REVERTED, ""),
    )  # fmt: skip
    log = {"release": docs.v2.id, "replica": "0", "lines": ["Traceback", "KeyError: 'DB'"]}
    conductor.answer("GET", "/v1/services/demo/logs", {"logs": [log]})
    ran = shell("deploy")
    assert ran.code == 1
    assert ran.out.splitlines()[-4:] == [
        "last lines of v2:",
        "  | Traceback",
        "  | KeyError: 'DB'",
        "v2 reverted after 3.1 s: never-ready: 503; traffic is back on v1; the service is fine",
    ]


def test_deploy_json_is_one_document_with_the_ending(conductor, shell, docs):
    deployed(
        conductor, docs, RevertOrdered(12.0, "verdict", "bad", "engine"),
        Finished(13.1, Ending.REVERTED, "bad"),
    )  # fmt: skip
    ran = shell("deploy", "--json")
    found = ran.json()
    assert ran.code == 1 and ran.err == ""
    assert (found["ending"], found["code"], found["seconds"]) == ("reverted", "verdict", 3.1)
    assert (found["old"], found["new"], found["service"]) == ("v1", "v2", "demo")


def test_detached_deploy_returns_at_once(conductor, shell, docs):
    deployed(conductor, docs)
    ran = shell("deploy", "--detach")
    assert (ran.code, ran.out) == (0, "demo: v2 started\n")


def test_nothing_to_do_is_said_and_is_no_failure(conductor, shell, docs):
    conductor.serve(docs.status())
    outcome = docs.outcome("nothing-to-do", "v1 serves already")
    conductor.answer("POST", "/v1/services/demo/deploy", outcome)
    ran = shell("deploy")
    assert (ran.code, ran.out) == (0, "demo: v1 serves already\n")


def test_an_invalid_spec_is_told_with_every_problem(conductor, shell, docs):
    conductor.serve(docs.status())
    problems = "holdfast.yaml:2:1 runn: found 'runn', wanted run\nholdfast.yaml:3:1 x: found"
    conductor.answer("POST", "/v1/services/demo/deploy", docs.error("invalid-spec", problems), 422)
    ran = shell("deploy")
    assert ran.code == 2 and problems in ran.err


# ---- plan ---------------------------------------------------------------------------------------


def plan_doc(docs, plan, **parts):
    base = {"service": "demo", "outcome": "started", "detail": "", "gate": None, "rollback": None}
    steps = [asdict(step) for step in forecast(plan, 0.0)]
    return {**base, "plan": encode(plan), "forecast": steps, "release": None, **parts}


@pytest.mark.parametrize("words", [("plan",), ("deploy", "--dry-run")], ids=" ".join)
def test_a_plan_shows_steps_gates_duration_and_both_ways_back(conductor, shell, docs, words):
    conductor.serve(docs.status())
    conductor.answer("POST", "/v1/services/demo/plan", plan_doc(docs, docs.plan()))
    out = shell(*words).out
    assert out.splitlines()[0] == "demo: canary v1 -> v2: 25 % -> 100 % of the traffic, 2 replicas"
    assert "PASS verdict" in out and "data plane acknowledges 25 %" in out
    assert "step 1 depends on people or on the present traffic (try --rate)" in out
    assert "on failure: all traffic goes back to v1" in out
    assert "a rollback afterwards: one route write to v1 for 15 m 0 s" in out
    assert not any(path.endswith("/deploy") for _m, path, _b in conductor.asked)


def test_a_plan_reckons_with_the_traffic_it_is_told(conductor, shell, docs):
    conductor.serve(docs.status())
    conductor.answer("POST", "/v1/services/demo/plan", plan_doc(docs, docs.plan()))
    assert "expected duration: " in shell("plan", "--rate", "2000/s").out
    assert "depends on" not in shell("plan", "--rate", "2000/s").out


def test_the_plan_of_a_first_deploy_admits_that_there_is_no_way_back(conductor, shell, docs):
    conductor.serve()
    conductor.answer("POST", "/v1/services/demo/plan", plan_doc(docs, docs.plan(old=None)))
    out = shell("plan").out
    assert "on failure: nothing was deployed before, so nothing serves" in out
    assert "there is nothing older to go back to" in out


def test_a_closed_window_is_part_of_the_plan(conductor, shell, docs):
    document = plan_doc(docs, docs.plan(), gate="freeze until Monday")
    conductor.serve(docs.status())
    conductor.answer("POST", "/v1/services/demo/plan", document)
    assert "it would wait to start: freeze until Monday" in shell("plan").out


# ---- the others ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "verb", "expected"),
    [
        (("promote",), "promote", {}),
        (("approve",), "approve", {}),
        (("pause", "-m", "lunch"), "pause", {"reason": "lunch"}),
        (("resume",), "resume", {}),
        (("abort", "--reason", "bad"), "abort", {"reason": "bad"}),
        (("scale", "5"), "scale", {"replicas": 5}),
        (("rollback", "--to", "v0", "-d"), "rollback", {"to": "v0", "force": False}),
        (("restart", "-d"), "restart", {}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_each_verb_gives_its_order_in_the_name_of_the_person(
    conductor, shell, docs, words, verb, expected
):
    conductor.serve(docs.status())
    conductor.answer("POST", f"/v1/services/demo/{verb}", docs.outcome(detail=f"{verb} it is"))
    ran = shell(*words, "--json")
    assert ran.code == 0 and ran.json()["detail"] == f"{verb} it is"
    body = body_of(conductor, verb)
    assert body.pop("by")
    assert body == expected


def test_down_can_say_what_it_would_do(conductor, shell, docs):
    conductor.serve(docs.status())
    ran = shell("down", "--dry-run", "--json")
    assert ran.json() == {"would_stop": ["demo"], "would_stop_conductor": True}
    conductor.serve(docs.status(), docs.status("other"))
    assert shell("down", "--dry-run").out == "would stop demo\n"
    assert {method for method, _path, _body in conductor.asked} == {"GET"}


def test_logs_name_their_release_and_replica(conductor, shell, docs):
    conductor.serve(docs.status())
    logs = [{"release": "v1-aaaa", "replica": "0", "lines": ["hello", "there"]}]
    conductor.answer("GET", "/v1/services/demo/logs", {"logs": logs})
    assert shell("logs").out == "v1-aaaa/0  hello\nv1-aaaa/0  there\n"
    assert shell("logs", "--json").json() == {"service": "demo", "logs": logs}
    shell("logs", "--release", "v1", "-n", "7", "--replica", "0")
    query = conductor.asked[-1][1]
    assert "release=v1-aaaa" in query and "lines=7" in query and "replica=0" in query


def test_followed_logs_go_on_with_new_lines_until_ctrl_c(conductor, shell, docs):
    conductor.serve(docs.status())
    log = {"release": "v1-aaaa", "replica": "0", "lines": ["one"]}
    conductor.answer("GET", "/v1/services/demo/logs", {"logs": [log]})
    process = shell.start("logs", "--follow")
    assert process.stdout is not None
    assert process.stdout.readline() == "v1-aaaa/0  one\n"
    more = [{**log, "lines": ["one", "two"]}, {**log, "replica": "1", "lines": ["new replica"]}]
    conductor.answer("GET", "/v1/services/demo/logs", {"logs": more})
    lines = {process.stdout.readline() for _line in range(2)}
    assert lines == {"v1-aaaa/0  two\n", "v1-aaaa/1  new replica\n"}
    process.send_signal(signal.SIGINT)
    _out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ([], ["a"], ["a"]),
        (["a"], ["a"], []),
        (["a", "b"], ["a", "b", "c"], ["c"]),
        (["a", "b", "c"], ["b", "c", "d", "e"], ["d", "e"]),
        (["x", "x"], ["x", "x", "x"], ["x"]),
        (["a", "b"], ["m", "n"], ["m", "n"]),
        (["a", "b"], [], []),
    ],
)
def test_following_a_log_prints_each_line_once(before, now, expected):
    assert news(before, now) == expected


def test_tokens_are_made_listed_and_revoked_without_a_conductor(shell):
    text = shell("token", "create", "ann", "--role", "deployer").out.strip()
    assert text.startswith("hf_")
    file = shell.home / "tokens.json"
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
    assert text not in file.read_text()
    assert "ann   deployer" in shell("token", "list").out
    assert shell("token", "create", "ann").code == 2
    assert shell("token", "revoke", "ann").out == "ann is revoked\n"
    assert shell("token", "list", "--json").json() == {"tokens": []}


def test_a_home_that_others_may_write_to_is_refused(shell):
    shell.home.mkdir()
    shell.home.chmod(0o777)
    ran = shell("token", "create", "ann")
    assert ran.code == 4 and "others may write to it" in ran.err and "chmod 700" in ran.err


# ---- doctor -------------------------------------------------------------------------------------


def test_doctor_gives_every_lack_a_cost_and_a_remedy(shell):
    found = shell("doctor", "--json").json()["findings"]
    assert {"python", "open files", "disk", "home", "conductor"} <= {f["subject"] for f in found}
    for finding in found:
        assert finding["mark"] in ("ok", "warn", "fail"), finding
        if finding["mark"] == "fail":
            assert finding["costs"] and finding["fix"], finding


def test_doctor_says_what_a_low_limit_of_open_files_costs_and_how_to_raise_it(shell):
    words = f"ulimit -Sn 512; exec {sys.executable} -m holdfast.cli doctor --json"
    done = subprocess.run(
        ["sh", "-c", words], cwd=shell.directory, env=shell.env(), capture_output=True, timeout=60
    )
    found = {f["subject"]: f for f in json.loads(done.stdout)["findings"]}["open files"]
    assert found["mark"] == "warn" and "limit 512" in found["says"]
    assert "256 connections" in found["costs"] and "16384" in found["fix"]


def test_doctor_exits_1_exactly_when_something_fails(conductor, shell, docs):
    conductor.serve(docs.status(trouble="disk full"))
    ran = shell("doctor", "--json")
    failed = [f["subject"] for f in ran.json()["findings"] if f["mark"] == "fail"]
    assert "demo" in failed and ran.code == 1 and ran.json()["ok"] is False
    assert "fail  demo: disk full" in shell("doctor").out


def test_doctor_finds_the_port_taken_by_another_program(shell, tmp_path):
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        (shell.directory / "holdfast.yaml").write_text(f"service: demo\nrun: x\ntraffic: {port}\n")
        found = {f["subject"]: f for f in shell("doctor", "--json").json()["findings"]}
    assert found["port"]["mark"] == "fail" and str(port) in found["port"]["fix"]


def test_doctor_survives_a_damaged_ledger_and_a_dead_socket(shell):
    shell.home.mkdir(mode=0o700)
    (shell.home / "ledger.db").write_bytes(b"not a database")
    (shell.home / "conductor.sock").touch()
    ran = shell("doctor", "--json")
    found = {f["subject"]: f["mark"] for f in ran.json()["findings"]}
    assert found["conductor"] == "fail" and found["ledger"] != "ok"
    assert "Traceback" not in ran.out + ran.err


@pytest.mark.parametrize("variable", ["NO_COLOR", "TERM"])
def test_no_colour_reaches_a_pipe_or_a_person_who_said_no(conductor, shell, docs, variable):
    conductor.serve(docs.status())
    shell.environment[variable] = {"NO_COLOR": "1", "TERM": "dumb"}[variable]
    assert "\x1b" not in shell("status").out


def test_down_says_what_it_waits_for_while_replicas_finish_their_requests(conductor, shell, docs):
    conductor.serve(docs.status(fleets=[docs.fleet(docs.v1, draining=2)]))
    conductor.answer("DELETE", "/v1/services/demo", docs.outcome())
    process = shell.start("down", "--yes")
    said = process.stdout.readline()
    process.kill()
    process.communicate()
    assert said == "waiting for 2 replicas of demo to finish their requests\n"


def test_an_idle_conductor_is_stopped_by_down_all_and_the_hint_says_so(conductor, shell):
    conductor.serve()
    assert "holdfast down --all" in shell("down", "--yes").err
    assert "error: the conductor would stop and nobody can be asked" in shell("down", "--all").err
