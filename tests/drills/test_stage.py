"""The stage is real: a conductor, Envoy, engines; and nothing of it is left afterwards."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from holdfast.drills.catalog import Ground, LoadPlan, lost_requests, refusals, rollback_time, run
from holdfast.drills.promises import catalogue
from holdfast.drills.scenes import Director, Scene
from holdfast.drills.session import ENGINE_PROMISES
from holdfast.drills.stage import STAGE_MARK, marked_processes, processes_naming

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]
PROMISES = catalogue(ENGINE_PROMISES)


def left_over() -> list[str]:
    """Replicas, conductors and Envoys of stages that this process set up."""
    mine = [p for p in psutil.process_iter() if p.pid != os.getpid()]
    names = []
    for process in mine:
        try:
            if process.environ().get(STAGE_MARK, "").startswith(f"{os.getpid()}-"):
                names.append(" ".join(process.cmdline()))
        except (psutil.Error, OSError):
            continue
    return names


@pytest.mark.req("P1", "P2", "P3", "T45", "T76", "T77")
def test_good_versions_arrive_bad_ones_go_back_and_no_request_is_lost() -> None:
    said: list[str] = []
    ground = Ground(said.append, PROMISES, quick=True, replicas=3)

    def story(director: Director) -> list[Scene]:
        return [
            director.rolling(),
            director.bad("errors-5pct"),
            director.bad("err500", "rolling"),
            director.bad("crashing"),
            director.rollback(),
            director.kill_conductor(),
            director.kill_replicas(1),
        ]

    load = LoadPlan(port=0, rate=300, rows=50)
    record, scenes, noise = run(ground, load, story)
    endings = [s.outcome.ending if s.outcome else "-" for s in scenes]
    good, bad = ["promoted"] * 2, ["reverted"] * 3
    assert endings == [*good, *bad, *good, "-"]
    assert lost_requests(PROMISES["P3"], "t", record, scenes, noise).measured == 0
    assert record.requests() > 1500
    back = [s for s in scenes if s.name == "rollback" or s.expected == "reverted"]
    assert rollback_time(PROMISES["P2"], "t", record, back, noise).measured < 5
    assert refusals(PROMISES["T76"], "t", back, noise).evidence["let in"] == []
    assert any("err500" in line and "smoke" in line for line in said)
    assert left_over() == []


def test_the_stage_finds_processes_by_their_mark_and_not_by_their_name(tmp_path: Path) -> None:
    import subprocess

    env = {**os.environ, STAGE_MARK: "mark-of-this-test"}
    marked = subprocess.Popen(["sleep", "30"], env=env)
    other = subprocess.Popen(["sleep", "31"])
    try:
        assert [p.pid for p in marked_processes("mark-of-this-test")] == [marked.pid]
        assert list(processes_naming(str(tmp_path))) == []
    finally:
        for process in (marked, other):
            process.kill()
            process.wait()
