"""The reference engine's own files, as its page says: v1, v2, back, and every bad version."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from example_project import EXAMPLES, Program, Project, project_of

from holdfast.drills.meters import Load, LoadPlan
from holdfast.drills.record import Record

pytestmark = [pytest.mark.live, pytest.mark.timeout(240)]
ENGINE = Program("01-trading-engine", "python3")
BAD = sorted(p.stem for p in (EXAMPLES / ENGINE.name / "bad").glob("*.yaml"))
REPLICAS = 3


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Project]:
    with project_of(ENGINE, tmp_path) as project:
        for path in project.folder.rglob("*.yaml"):
            spec = yaml.safe_load(path.read_text("utf-8"))
            spec["replicas"], spec["traffic"]["port"] = REPLICAS, project.port
            path.write_text(yaml.safe_dump(spec), "utf-8")
        project.holdfast("up")
        yield project


@contextmanager
def users(project: Project, out: Path, rate: float = 600.0) -> Iterator[list[Record]]:
    """Traffic until the block ends; every answer is compared with the right one."""
    seen: list[Record] = []
    with Load(LoadPlan(project.port, rate=rate, rows=50), out, None) as load:
        load.wait_until_flowing()
        yield seen
        seen.append(load.stop())


@pytest.mark.req("P3", "T45", "T77")
def test_v1_to_v2_as_a_canary_and_back_as_the_page_says_loses_no_request(
    engine: Project, tmp_path: Path
) -> None:
    with users(engine, tmp_path / "load.npz") as seen:
        engine.holdfast("deploy", "-f", "holdfast.v2.yaml")
        assert engine.stable() == "v2"
        engine.holdfast("rollback")
        assert engine.stable() == "v1"
    assert seen[0].failures() == {}
    assert set(seen[0].answered_by()) == {"v1", "v2"}


@pytest.mark.req("P3", "T76")
def test_every_bad_version_is_taken_back_and_no_user_notices(
    engine: Project, tmp_path: Path
) -> None:
    for fault in BAD:
        with users(engine, tmp_path / "load.npz") as seen:
            engine.holdfast("deploy", "-f", f"bad/{fault}.yaml", expect=1)
            assert engine.stable() == "v1", fault
        assert seen[0].failures() == {}, fault
