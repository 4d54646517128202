"""``holdfast history``: every fact of a rollout is told as a sentence, from the ledger alone."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.cli import main
from holdfast.cli.history import SENTENCES, fields_of, tell
from holdfast.ledger import Draft, Ledger
from holdfast.rollout import model as m
from holdfast.runtime.codec import canonical, encode

V1, V2 = m.Release("v1-aaaa", "a" * 64, "v1"), m.Release("v2-bbbb", "b" * 64, "v2")
PLAN = m.Plan("r-1", m.Strategy.CANARY, V1, V2, 10, (m.Step(5, 10), m.Step(100, 100)))
FIRST = m.Plan("r-0", m.Strategy.ROLLING, None, V1, 10, (m.Step(100, 100),))
BACK = m.Plan("r-2", m.Strategy.BLUE_GREEN, V2, V1, 10, (m.Step(100, 100),), rollback=True)
SAMPLE = m.Sample(seconds=1.0, arms=(("v2-bbbb", m.Counts(40, 2)), ("v1-aaaa", m.Counts(760))))
VERDICT = m.Verdict(m.Mark.INSUFFICIENT, "31 of 60 requests seen", 29)

STORY: list[tuple[m.Event, str]] = [
    (m.ConductorStarted(0, 7, "host:12"), "conductor took over, generation 7"),
    (m.Started(1, FIRST, "anna"), "rolling rollout v1 (first deploy) started: 1 step, 10 replicas"),
    (m.Started(2, PLAN, "bob", True),
     "canary rollout v1 -> v2 started: 2 steps, 10 replicas, forced"),
    (m.Queued(3, PLAN, "carl"), "rollout v1 -> v2 queued behind the running one"),
    (m.Dequeued(3, "r-1", "it serves already"),
     "queued rollout r-1 let go: it serves already"),
    (m.StepEntered(4, 0), "step 1 entered"),
    (m.WeightReached(5, 0), "traffic of step 1 reached the data plane"),
    (m.Measured(6, SAMPLE),
     "measured 1 s; v2-bbbb: 2 of 40 failed, v1-aaaa: 0 of 760 failed"),
    (m.Measured(6, m.Sample(m.Source.DOWN)), "metric source down"),
    (m.Progressed(7, 2), "2 new instances ready"),
    (m.Slipped(7, 1), "new release lost instances: 1 still ready"),
    (m.Judged(8, 0, VERDICT), "verdict on step 1: INSUFFICIENT: 31 of 60 requests seen"),
    (m.Approved(9, 0, "dora"), "step 1 approved"),
    (m.PromoteRequested(10, "dora"), "rest of the step's wait skipped"),
    (m.Paused(11, "emil", "lunch"), "rollout paused: lunch"),
    (m.Resumed(12, "emil"), "rollout resumed"),
    (m.SettleEntered(13), "100 % reached; baking before it is called promoted"),
    (m.AbortRequested(14, "emil", "complaints"), "abort requested: complaints"),
    (m.RevertOrdered(15, "verdict", "errors x20", "engine"),
     "rollback ordered (verdict): errors x20"),
    (m.Finished(16, m.Ending.REVERTED, "errors x20"), "rollout taken back: errors x20"),
    (m.Finished(16, m.Ending.PROMOTED, ""), "rollout finished: promoted"),
    (m.Finished(16, m.Ending.SUPERSEDED, ""), "rollout superseded by a newer one"),
    (m.Finished(16, m.Ending.STRANDED, "no one ready"),
     "rollout stranded; a person is needed: no one ready"),
    (m.Started(17, BACK, "anna"), "rollback v2 -> v1 started: 1 step, 10 replicas"),
    (m.WarmEnded(18, "v1-aaaa", "its time is over"),
     "v1-aaaa is no longer kept warm: its time is over"),
    (m.Scaled(19, 12, "anna"), "scaled to 12 replicas"),
    (m.Retired(20, "anna"), "service taken down"),
]  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Path:
    with Ledger.open(tmp_path / "home" / "ledger.db", "example.com/holdfast") as ledger:
        for n, (event, _) in enumerate(STORY):
            body = canonical(encode(event))
            kind = type(event).__name__
            ledger.append_now([Draft("quotes", kind, body, 1_764_000_000.0 + n)])
        stored = b'{"blob":"00","by":"anna","release":"v2-bbbb"}'
        ledger.append_now([Draft("quotes/releases", "ReleaseStored", stored, 1_764_000_100.0)])
        ledger.append_now([Draft("orders", "DrillRun", b"\x00\xff", 1_764_000_101.0)])
    return tmp_path / "home"  # fmt: skip


def test_every_event_of_a_rollout_has_a_sentence_and_an_example_here():
    kinds = {kind.__name__ for kind in m.Event.__args__}
    assert kinds <= set(SENTENCES)
    assert kinds == {type(event).__name__ for event, _ in STORY}


@pytest.mark.parametrize(("event", "sentence"), STORY, ids=lambda v: type(v).__name__)
def test_each_fact_reads_as_a_sentence(event, sentence):
    assert tell(type(event).__name__, fields_of(canonical(encode(event)))) == sentence


@pytest.mark.parametrize("kind", [*SENTENCES, "SomethingNew"])
@pytest.mark.parametrize("body", [b"", b"\xff", b"[]", b"{}", b'{"plan":7,"by":null}'])
def test_a_body_of_another_version_is_told_and_never_a_traceback(kind, body):
    assert tell(kind, fields_of(body))


def test_history_gives_the_words_of_replicas_no_power_over_the_terminal(tmp_path, capsys):
    body = b'{"release":"\\u001b[31mred\\u0007","by":"an\\u001bna"}'
    with Ledger.open(tmp_path / "home" / "ledger.db", "example.com/holdfast") as ledger:
        ledger.append_now([Draft("quotes", "ReleaseStored", body, 1_764_000_000.0)])
    assert main(["history", "--home", str(tmp_path / "home")]) == 0
    out = capsys.readouterr().out
    assert "[31mred" in out and "\x1b" not in out and "\x07" not in out


def test_what_the_conductor_records_beside_rollouts_reads_as_sentences_too():
    added = b'{"by":"anna","service":"web","target":"local"}'
    assert tell("ServiceAdded", fields_of(added)) == "service web added, target local"
    gate = b'{"by":"anna","gate":"freeze","rollout":"r-1"}'
    assert tell("GateOverridden", fields_of(gate)) == "freeze overridden for rollout r-1"


@pytest.mark.req("I4", "T140")
def test_history_shows_time_service_who_and_what(home, capsys):
    assert main(["history", "--home", str(home), "--service", "quotes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == ("2025-11-24 16:00:00Z  quotes  host:12  conductor took over, generation 7")
    assert re.split(" {2,}", lines[2])[1:] == [
        "quotes",
        "bob",
        "canary rollout v1 -> v2 started: 2 steps, 10 replicas, forced",
    ]
    assert not re.search("measured|new instances ready|DrillRun", "\n".join(lines))
    assert lines[-1].endswith("release v2-bbbb kept for deploy and rollback")


def test_history_of_all_services_names_each(home, capsys):
    assert main(["history", "--home", str(home), "-n", "1"]) == 0
    assert "orders  engine  DrillRun bytes=2" in capsys.readouterr().out


def test_history_as_json_has_the_recorded_fields(home, capsys):
    assert main(["history", "--home", str(home), "--json", "--all", "-n", "100"]) == 0
    entries = json.loads(capsys.readouterr().out)["entries"]
    assert [entry["index"] for entry in entries] == list(range(len(STORY) + 2))
    judged = next(entry for entry in entries if entry["kind"] == "Judged")
    assert judged["fields"]["verdict"]["needed"] == 29
    assert judged["sentence"].startswith("verdict on step 1")


def test_the_limit_counts_what_is_shown_and_takes_the_newest(home, capsys):
    assert main(["history", "--home", str(home), "-n", "3", "-s", "quotes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[-1] for line in lines] == [
        "scaled to 12 replicas",
        "service taken down",
        "release v2-bbbb kept for deploy and rollback",
    ]


def test_an_empty_ledger_and_none_at_all_are_said_in_words(tmp_path, capsys):
    Ledger.open(tmp_path / "home" / "ledger.db", "example.com/holdfast").close()
    assert main(["history", "--home", str(tmp_path / "home")]) == 0
    assert capsys.readouterr().out == "nothing has happened here yet\n"
    assert main(["history", "--home", str(tmp_path / "nowhere")]) == 1
    assert "there is no ledger" in capsys.readouterr().err


@pytest.mark.live
@pytest.mark.timeout(60)
def test_following_shows_what_another_process_appends(home):
    words = [sys.executable, "-m", "holdfast.cli", "history", "--follow", "--json", "-n", "1"]
    with subprocess.Popen(
        [*words, "--home", str(home)], stdout=subprocess.PIPE, text=True, env={**os.environ}
    ) as follower:
        assert follower.stdout is not None
        try:
            first = json.loads(follower.stdout.readline())
            with Ledger.open(home / "ledger.db", "example.com/holdfast") as ledger:
                ledger.append_now([Draft("quotes", "Retired", b'{"by":"zoe"}', 1_764_000_200.0)])
            second = json.loads(follower.stdout.readline())
        finally:
            follower.terminate()
    assert first["kind"] == "DrillRun"
    assert (second["by"], second["sentence"]) == ("zoe", "service taken down")
