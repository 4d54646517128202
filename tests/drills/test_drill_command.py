"""``holdfast drill`` lists, refuses what it does not know, and records what it found."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from holdfast.cli.drill import command
from holdfast.conductor.wiring import ledger_origin
from holdfast.drills import session
from holdfast.drills.catalog import DRILLS, Act, Drill, choose
from holdfast.drills.keeping import STREAM, remember
from holdfast.drills.promises import Promise, find
from holdfast.drills.report import Report
from holdfast.drills.stage import NoStage
from holdfast.drills.telling import Teller
from holdfast.ledger import Ledger
from holdfast.runtime.home import Home


def test_list_names_every_drill_and_what_it_measures() -> None:
    said = CliRunner().invoke(command, ["--list"]).output
    for drill in DRILLS:
        assert drill.name in said and drill.says in said


def test_an_unknown_drill_is_a_usage_error_that_names_the_known_ones() -> None:
    result = CliRunner().invoke(command, ["P99"])
    assert result.exit_code == 2
    assert "P99" in result.output and "zero-downtime" in result.output


@pytest.mark.req("P1", "P2", "P3", "P6", "P7", "P8")
@pytest.mark.parametrize("promise", ["P1", "P2", "P3", "P6", "P7", "P8"])
def test_every_promise_has_a_drill(promise: str) -> None:
    assert choose([promise])


def test_drills_can_be_chosen_by_name() -> None:
    assert [d.name for d in choose(["rollback"])] == ["rollback"]
    assert choose([]) == DRILLS


def a_drill(name: str, play) -> Drill:
    return Drill(name, ("P1",), "a test", play)


def test_a_drill_without_a_stage_keeps_what_the_others_found(monkeypatch) -> None:
    def no_stage(_ground):
        raise NoStage("port 1 is taken")

    monkeypatch.setattr(session, "find_example", lambda: Path("/nowhere"))
    act = Act("good", "Good", None, (), (find(Promise("P1", "says", "s", 5.0), "good", 0.1, 3),))
    drills = [a_drill("good", lambda _ground: act), a_drill("bad", no_stage)]
    told = io.StringIO()
    report = session.run_drills(drills, Teller(told), True, 2, "holdfast drill")
    assert [finding.drill for finding in report.findings] == ["good"]
    assert report.unplayed == (("bad", "port 1 is taken"),) and report.code == 5
    assert "port 1 is taken" in told.getvalue()
    with pytest.raises(NoStage):
        session.run_drills(drills[1:], Teller(told), True, 2, "holdfast drill")


class Findings(Report):
    """A report that has findings and no drawing."""

    @property
    def findings(self):  # type: ignore[no-untyped-def]
        promise = Promise("P2", "says", "s", 5.0)
        return (find(promise, "d", 0.1, 3), find(promise, "d", 9.0, 3))


def test_findings_are_entries_of_the_ledger_and_it_still_verifies(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    told = Teller(io.StringIO())
    kept = remember(Findings((), {}, "holdfast drill", 1.0), told, home)
    assert kept == 2
    with_ledger = Ledger.open(home.ledger, ledger_origin(home))
    try:
        bodies = [json.loads(entry.body) for entry in with_ledger.replay(STREAM)]
        assert [body["mark"] for body in bodies] == ["holds", "broken"]
    finally:
        with_ledger.close()


def test_beside_a_running_conductor_nothing_is_recorded_and_that_is_said(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.ensure()
    holder = Ledger.open(home.ledger, "somebody")
    out = io.StringIO()
    try:
        assert remember(Findings((), {}, "holdfast drill", 1.0), Teller(out), home) == 0
    finally:
        holder.close()
    assert "not recorded" in out.getvalue()
