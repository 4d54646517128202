"""Programs that never heard of Holdfast: deployed, updated and rolled back under load."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from holdfast.drills.meters import Load, LoadPlan
from holdfast.drills.scenes import wait_until
from holdfast.drills.stage import STAGE_MARK, Edition, Stage
from holdfast.spec.model import Service

pytestmark = [pytest.mark.live, pytest.mark.timeout(150)]
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SPECS = sorted(EXAMPLES.glob("0[2-9]-*/holdfast.yaml"))


@dataclass(frozen=True)
class Program:
    """One example: what it needs to run, and what its users send."""

    name: str
    needs: str | None = None
    load: dict[str, Any] = field(default_factory=lambda: {"method": "GET", "path": "/"})
    lost_max: int = 0


CONNECTIONS = 4
#: Plain TCP: what is sent at the very moment at which the other side closes is lost. Each of the
#: connections is closed at most once by each of the two moves.
LOST_TCP = 2 * CONNECTIONS
LINE = {"protocol": "tcp", "body": base64.b64encode(b"who\n").decode()}
PING = {"protocol": "tcp", "body": base64.b64encode(b"PING\r\n").decode()}
PROGRAMS = (
    Program("02-fastapi", load={"method": "GET", "path": "/quote/ACME"}),
    Program("03-node", "node"),
    Program("04-static-binary", "gcc"),
    Program("05-tcp", load=LINE, lost_max=LOST_TCP),
    Program("06-nginx", "nginx"),
    Program("07-redis", "redis-server", PING, lost_max=LOST_TCP),
)


class ExampleStage(Stage):
    """The example's own spec, with a free port, this Python, and the mark of the stage."""

    def __init__(self, directory: Path) -> None:
        super().__init__(lambda _line: None, spec_path=directory / "holdfast.yaml")
        self.service = yaml.safe_load(self.spec_path.read_text())["service"]

    def spec_text(self, edition: Edition) -> str:
        text = self.spec_path.read_text().replace("v1", edition.version)
        spec = yaml.safe_load(text)
        run = spec["run"] if isinstance(spec["run"], dict) else {"command": spec["run"]}
        words = run["command"].split(" ", 1)
        if words[0] == "python":
            run["command"] = f"{sys.executable} {words[1]}"
        run["env"] = {**run.get("env", {}), STAGE_MARK: self.mark}
        spec["run"], spec["traffic"]["port"] = run, self.port
        return json.dumps(spec)


def staged(program: Program, tmp_path: Path) -> Path:
    """A copy of the example, built where it needs building."""
    if program.needs and not shutil.which(program.needs):
        pytest.skip(f"{program.needs} is not installed on this machine")
    directory = tmp_path / program.name
    shutil.copytree(EXAMPLES / program.name, directory)
    if program.needs == "gcc":
        build = ["gcc", "-O2", "-static", "-pthread", "-o", "server", "server.c"]
        subprocess.run(build, cwd=directory, check=True, timeout=60)
    return directory


@pytest.mark.req("P3", "T45", "T71", "T77")
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.name)
def test_it_is_deployed_updated_and_rolled_back_under_load(
    program: Program, tmp_path: Path
) -> None:
    directory = staged(program, tmp_path)
    with ExampleStage(directory) as stage:
        assert stage.deploy(Edition("v1")).ending == "promoted"
        plan = LoadPlan(stage.port, rate=100, rows=0, connections=CONNECTIONS, **program.load)
        with Load(plan, tmp_path / "load.npz", None) as load:
            load.wait_until_flowing(60)
            update = stage.deploy(Edition("v2"))
            # Clients of plain TCP stay where they are until the drain closes their connections.
            moved = wait_until(lambda: bool({"v2", "+PONG"} & set(load.latest["versions"])), 60)
            back = stage.rollback()
            gone = wait_until(lambda: "v2" not in load.latest["versions"], 60)
            record = load.stop()
    assert (update.ending, back.ending) == ("promoted", "promoted"), (update.reason, back.reason)
    assert record.failed() <= program.lost_max, record.failures()
    assert set(record.failures()) <= {"reset"}, "nobody may be refused, left waiting or told wrong"
    assert moved, "clients of v1 must end up on v2"
    assert gone, "clients of v2 must end up on v1 again"
    # Redis does not say its version, so of it we know only that it answered all the time.
    assert set(record.answered_by()) in ({"v1", "v2"}, {"+PONG"})


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.parent.name)
def test_every_example_has_a_valid_spec_and_says_how_to_use_it(path: Path) -> None:
    assert Service.model_validate(yaml.safe_load(path.read_text())).version == "v1"
    assert "holdfast up" in (path.parent / "README.md").read_text()
