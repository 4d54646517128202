"""How long a rolling update of ten takes at a million decisions a second, started cold and warm.

python benchmarks/rolling_update.py --json benchmarks/results/rolling_update.json

Cold and warm take turns on one stage, so that both see the same machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from holdfast.drills.catalog import A_MILLION
from holdfast.drills.meters import Load, MachineMeter, machine_facts
from holdfast.drills.record import Record, Window
from holdfast.drills.stage import Edition, Stage, end_like_ctrl_c

STEADY_S = 2.0
HOLD_S, REACH_S = 60.0, 0.5


@dataclass(frozen=True)
class Run:
    start: str
    steady: Window
    deploying: Window
    foreign: float  # share of the machine that was taken by others meanwhile


def update(stage: Stage, start: str, version: str) -> Run:
    began = time.monotonic()
    time.sleep(STEADY_S)
    steady = Window(began, time.monotonic())
    meter = MachineMeter(stage.roots)
    outcome = stage.deploy(Edition(version, start=start))
    if outcome.ending != "promoted":
        raise SystemExit(f"{version} was {outcome.ending}: {outcome.reason}")
    deploying = Window(outcome.asked, outcome.ended)
    time.sleep(0.5)
    return Run(start, steady, deploying, meter.noise().foreign)


def played(runs: int) -> tuple[Record, list[Run]]:
    with Stage(lambda said: print(said, file=sys.stderr)) as stage:
        stage.deploy(Edition("v0"))
        plan = replace(A_MILLION, port=stage.port)
        with Load(plan, stage.directory / "load.npz", None) as load:
            load.wait_until_flowing()
            turns = [(start, f"v{n}-{start}") for n in range(1, runs + 1) for start in ORDER]
            done = [update(stage, start, version) for start, version in turns]
            return load.stop(), done


ORDER = ("cold", "warm")


@dataclass(frozen=True)
class Result:
    seconds: float
    seconds_worst: float
    p99_before_ms: float
    p99_during_ms: float
    failed: int
    foreign: float


def results(record: Record, runs: list[Run]) -> Iterator[tuple[str, Result]]:
    """Medians over the runs of each kind."""
    for start in ORDER:
        mine = [run for run in runs if run.start == start]
        took = [run.deploying.end - run.deploying.start for run in mine]
        yield (
            start,
            Result(
                round(statistics.median(took), 3),
                round(max(took), 3),
                round(statistics.median(record.percentile_ms(99, r.steady) for r in mine), 2),
                round(statistics.median(record.percentile_ms(99, r.deploying) for r in mine), 2),
                sum(sum(record.failures(run.deploying).values()) for run in mine),
                round(statistics.median(run.foreign for run in mine), 2),
            ),
        )


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--runs", type=int, default=5, help="of each kind")
    asked = parser.parse_args(argv)
    end_like_ctrl_c()
    record, runs = played(asked.runs)
    found = dict(results(record, runs))
    holds = record.failed() == 0 and max(r.seconds_worst for r in found.values()) < HOLD_S
    document = {
        "machine": machine_facts(),
        "results": {name: asdict(result) for name, result in found.items()},
        "ratios": {"cold / warm": round(found["cold"].seconds / found["warm"].seconds, 2)},
        "hold_s": HOLD_S, "reach_s": REACH_S, "holds": holds,
    }  # fmt: skip
    text = json.dumps(document, indent=1)
    if asked.json:
        asked.json.parent.mkdir(parents=True, exist_ok=True)
        asked.json.write_text(text + "\n")
    print(text)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
