"""``holdfast replay``: recorded counters judged again, without a conductor."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.conductor.journal import LedgerJournal
from holdfast.ledger import Ledger
from holdfast.rollout.model import Counts, Event, Measured, Release, Sample, Started, WeightReached
from holdfast.rollout.plan import plan_rollout
from holdfast.runtime.clock import LoopClock
from holdfast.spec.model import Service

OLD, NEW = Release("v1-a", "a" * 64, "v1"), Release("v2-b", "b" * 64, "v2")


def story(bad: int) -> list[Event]:
    """Thirty seconds at 10 %, ``bad`` of 40 requests per second failing on the new release."""
    spec = Service.model_validate({"service": "shop", "run": "./shop", "rollout": "canary"})
    arms = ((OLD.id, Counts(360)), (NEW.id, Counts(40, bad)))
    measured = [Measured(2.0 + second, Sample(seconds=1.0, arms=arms)) for second in range(30)]
    started = Started(0.0, plan_rollout(spec, OLD, NEW, "r1"), "ann")
    return [started, WeightReached(1.0, 0), *measured]


@pytest.fixture
def home(tmp_path: Path, request) -> Path:
    async def record() -> None:
        with Ledger.open(tmp_path / "ledger.db", "holdfast/test") as ledger:
            await LedgerJournal(ledger, LoopClock()).record("shop", story(request.param))

    tmp_path.chmod(0o700)
    asyncio.run(record())
    return tmp_path


def replayed(home: Path, *options: str) -> dict:
    command = [sys.executable, "-m", "holdfast.cli", "replay", "--home", str(home), "--json"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["shop"][0]


@pytest.mark.req("T72")
@pytest.mark.parametrize("home", [4], indirect=True)
def test_a_bad_release_is_found_again_and_later_with_less_appetite_for_false_stops(home: Path):
    as_planned, careful = replayed(home), replayed(home, "--alpha", "0.000001")
    stops = [
        next(turn["after_s"] for turn in run["turns"] if turn["verdict"]["mark"] == "fail")
        for run in (as_planned, careful)
    ]
    assert stops[0] < stops[1]
    assert as_planned["errors"] < careful["errors"]


@pytest.mark.parametrize("home", [0], indirect=True)
def test_a_clean_release_passes_again(home: Path):
    marks = [turn["verdict"]["mark"] for turn in replayed(home)["turns"]]
    assert marks[-1] == "pass"
    assert "fail" not in marks
