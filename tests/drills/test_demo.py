"""The demo's ending: strict about what is broken, plain about what a busy machine cannot tell."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from test_report import PROMISES, report_of

from holdfast.cli.complaint import wants_json
from holdfast.cli.drill import command
from holdfast.drills import catalog, demo, session
from holdfast.drills.catalog import Drill
from holdfast.drills.meters import GeneratorFailed
from holdfast.drills.promises import Noise
from holdfast.drills.telling import Teller

BUSY = Noise(foreign=0.7, held_rate=0.5)


KEPT, VOID, LOST = (0, Noise(), 0, "The proof"), (0, BUSY, 0, "Void, "), (3, Noise(), 1, "broken")


def test_a_demo_that_lost_requests_never_ends_0_however_busy_the_machine_was() -> None:
    report = report_of(lost=3, noise=BUSY)
    late = replace(report.acts[0].record, kinds=("ok", "timeout"))
    found = catalog.lost_requests(PROMISES["P3"], "d", late, [], BUSY)
    act = replace(report.acts[0], record=late, findings=(found,))
    assert found.mark == "void"
    assert demo.code_of(replace(report, acts=(act,))) == 5


@pytest.mark.parametrize("case", [KEPT, VOID, LOST], ids=["kept", "busy machine", "lost requests"])
def test_the_demo_ends_0_unless_a_promise_was_broken(
    tmp_path: Path, monkeypatch, capsys, case: tuple[int, Noise, int, str]
) -> None:
    lost, noise, code, says = case
    act = report_of(lost, noise).acts[0]
    monkeypatch.setattr(demo, "play", lambda _ground: act)
    assert (
        demo.main(["--html", str(tmp_path / "r.html"), "--json", str(tmp_path / "r.json")]) == code
    )
    assert says in capsys.readouterr().out
    assert (tmp_path / "r.html").stat().st_size > 10_000


def test_a_place_where_no_report_can_be_written_is_told_before_anything_starts(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.setattr(demo, "play", lambda _ground: pytest.fail("it must not start"))
    assert demo.main(["--html", str(tmp_path / "nowhere" / "r.html")]) == 2
    assert "there is no directory" in capsys.readouterr().out
    told = CliRunner().invoke(command, ["deploy", "--html", str(tmp_path / "nowhere" / "r.html")])
    assert told.exit_code == 2 and "there is no directory" in told.output


def test_a_full_disk_costs_the_report_and_not_the_numbers(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    act = report_of().acts[0]
    monkeypatch.setattr(demo, "play", lambda _ground: act)
    if not Path("/dev/full").exists():
        pytest.skip("this machine has no /dev/full")
    assert demo.main(["--html", "/dev/full"]) == 1
    said = capsys.readouterr().out
    assert "could not be written" in said and "of 6,000 requests failed" in said


def test_a_generator_that_fails_twice_is_a_plain_word_and_no_traceback(capsys) -> None:
    def play(_ground: object) -> None:
        raise GeneratorFailed("no request was sent")

    drill = Drill("d", ("P1",), "says", play)  # type: ignore[arg-type]
    with pytest.raises(session.NoStage, match="failed twice: no request was sent"):
        session.run_drills([drill], Teller(), True, 1, "x")


def test_a_drill_that_writes_json_to_a_file_still_speaks_to_the_person_in_words() -> None:
    assert not wants_json(["holdfast", "drill", "--json", "findings.json"])
    assert wants_json(["holdfast", "drill", "--json", "-"])
    assert wants_json(["holdfast", "status", "--json"])
    assert not wants_json(["holdfast", "drill"])


def test_the_times_of_peers_are_void_in_a_noisy_run_and_lost_requests_never(monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "benchmarks"))
    import reload_peers

    def result(failed: int, **noise: float) -> dict[str, object]:
        times = {"p99_ms_reloading": 5.0, "seconds_to_last_old_answer": [0.1]}
        return {"failed": failed, "noise": noise, **times}

    busy = result(5, foreign=0.8)
    told = reload_peers.compare({"holdfast": result(0), "calm": result(0), "busy": busy})
    assert told["calm"]["void"] is None
    assert "80%" in told["busy"]["void"] and told["busy"]["failed"] == "5 against 0"
