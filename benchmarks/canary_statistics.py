"""How often a healthy canary is stopped, and how soon a bad one is: seeded, with the real verdict.

    python benchmarks/canary_statistics.py --runs 10000 --json canary-statistics.json

Every run is one canary of ten minutes, looked at every second by ``rollout.verdict``. Healthy ones
("null") include bursts, an outage that both arms share, cold starts, a service that always has
errors, and next to no traffic. Bad ones are compared with a model of Flagger's rule: success rate
below 99 % in a window of 60 s, five times, or 10 s, once; rollback at the following tick; a window
without traffic counts as failed. Times are simulated seconds, which no machine changes.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from holdfast.rollout.dispersion import Bins
from holdfast.rollout.model import Counts, JudgePolicy, Mark, Sample, Source
from holdfast.rollout.verdict import Tally, absorb, judge, restart

SECONDS = 600
RAMP = ((120, 0.01), (120, 0.05), (120, 0.25), (240, 0.5))
FLAGGER_MIN = 0.99
Second = tuple[int, int, int, int]  # requests and errors of the new release, then of the control


@dataclass(frozen=True)
class Scene:
    """What one canary lives through. Rates are requests per second and shares of requests."""

    name: str
    rate: float
    old: float
    new: float
    ladder: tuple[tuple[int, float], ...] = ((SECONDS, 0.05),)
    burst: float = 1.0  # failures come in bursts of this mean size, each on one arm
    corrected: bool = True  # the policy knows the dispersion of the ten minutes before
    outage: tuple[int, int, float] = (0, 0, 0.0)  # start, length, rate on both arms
    cold: tuple[int, float] = (0, 0.0)  # length, rate on the new release
    warm_up_s: float = 1.0


HEALTHY = (
    Scene("steady, 0.1 %, 200/s", 200, 0.001, 0.001),
    Scene("steady, 1 %, 20/s", 20, 0.01, 0.01),
    Scene("always 2 % errors, 200/s", 200, 0.02, 0.02),
    Scene("ladder 1/5/25/50 %, 200/s", 200, 0.001, 0.001, RAMP),
    Scene("2 requests/s", 2, 0.001, 0.001),
    Scene("bursts of 3", 200, 0.005, 0.005, burst=3),
    Scene("bursts of 10", 200, 0.005, 0.005, burst=10),
    Scene("bursts of 30", 200, 0.005, 0.005, burst=30),
    Scene("60 s outage of both, 30 %", 200, 0.001, 0.001, outage=(200, 60, 0.3)),
    Scene("cold start 30 s, 3 %", 200, 0.001, 0.001, cold=(30, 0.03), warm_up_s=30.0),
)
UNGUARDED = (
    Scene("bursts of 3, not corrected", 200, 0.005, 0.005, burst=3, corrected=False),
    Scene("bursts of 10, not corrected", 200, 0.005, 0.005, burst=10, corrected=False),
    Scene("bursts of 30, not corrected", 200, 0.005, 0.005, burst=30, corrected=False),
    Scene("cold start 30 s, 3 %, no warm-up", 200, 0.001, 0.001, cold=(30, 0.03), warm_up_s=0.0),
)
BAD = (
    Scene("20/s, .1 -> 5 %", 20, 0.001, 0.05),
    Scene("20/s, .1 -> 50 %", 20, 0.001, 0.5),
    Scene("200/s, .1 -> 1 %", 200, 0.001, 0.01),
    Scene("200/s, .1 -> 5 %", 200, 0.001, 0.05),
    Scene("200/s, .1 -> 50 %", 200, 0.001, 0.5),
    Scene("200/s, 1 -> 2 %", 200, 0.01, 0.02),
    Scene("2000/s, 1 % canary, .1 -> 1 %", 2000, 0.001, 0.01, ((SECONDS, 0.01),)),
    Scene("2/s, .1 -> 50 %", 2, 0.001, 0.5),
    Scene("200/s ladder 1/5/25/50 %, .1 -> 1 %", 200, 0.001, 0.01, RAMP),
    Scene("200/s, bursts of 10, .5 -> 10 %", 200, 0.005, 0.1, burst=10),
)


# ---- drawing ------------------------------------------------------------------------------------


def draw(scene: Scene, dice: np.random.Generator) -> list[Second]:
    share = np.concatenate([np.full(seconds, part) for seconds, part in scene.ladder])
    requests = dice.poisson(scene.rate, SECONDS)
    new = dice.binomial(requests, share)
    old = requests - new
    new_rate, old_rate = np.full(SECONDS, scene.new), np.full(SECONDS, scene.old)
    new_rate[: scene.cold[0]] = scene.cold[1]
    start, length, rate = scene.outage
    new_rate[start : start + length] = old_rate[start : start + length] = rate
    if scene.burst == 1:
        new_bad, old_bad = dice.binomial(new, new_rate), dice.binomial(old, old_rate)
    else:
        new_bad = bursts(scene.rate * share * new_rate, scene.burst, dice)
        old_bad = bursts(scene.rate * (1 - share) * old_rate, scene.burst, dice)
        new, old = np.maximum(new, new_bad), np.maximum(old, old_bad)
    columns = (new.tolist(), new_bad.tolist(), old.tolist(), old_bad.tolist())
    return list(zip(*columns, strict=True))


def bursts(errors: np.ndarray, size: float, dice: np.random.Generator) -> np.ndarray:
    """Bursts of geometric size; ``errors`` has the mean of each second.

    A sum of ``k`` geometric sizes is ``k`` plus a negative binomial.
    """
    count = dice.poisson(errors / size)
    return count + dice.negative_binomial(np.maximum(count, 1), 1 / size) * (count > 0)


def dispersion_before(scene: Scene, dice: np.random.Generator) -> float:
    """Of the ten minutes before, when the control had all the traffic."""
    bins = Bins()
    for bad in bursts(np.full(SECONDS, scene.rate * scene.old), scene.burst, dice).tolist():
        bins = bins.add(1.0, bad)
    return bins.dispersion


# ---- judging ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """When a run was stopped or passed (``inf``: never), and what users got until then."""

    stopped: float
    passed: float
    errors: int


def holdfast(scene: Scene, seconds: Sequence[Second], policy: JudgePolicy) -> Outcome:
    tally, passed, errors = Tally(), math.inf, 0
    edges = steps(scene)
    for at, (new, new_bad, old, old_bad) in enumerate(seconds, start=1):
        if at - 1 in edges:
            tally = restart(tally)
        sample = Sample(
            Source.OK, 1.0, (("new", Counts(new, new_bad)), ("old", Counts(old, old_bad)))
        )
        tally = absorb(tally, policy, sample, "new", "old")
        errors += new_bad
        # Only errors of the new release can raise the evidence, so the other looks cannot FAIL.
        if new_bad or passed == math.inf:
            mark = judge(tally, policy).mark
            if mark is Mark.FAIL:
                return Outcome(at, passed, errors)
            if mark is Mark.PASS:
                passed = min(passed, at)
    return Outcome(math.inf, passed, errors)


def steps(scene: Scene) -> set[int]:
    edges, at = set(), 0
    for seconds, _share in scene.ladder:
        edges.add(at)
        at += seconds
    return edges


def flagger(seconds: Sequence[Second], interval: int, threshold: int) -> float:
    failed = 0
    for start in range(0, len(seconds) - interval + 1, interval):
        window = seconds[start : start + interval]
        requests, bad = sum(second[0] for second in window), sum(second[1] for second in window)
        failed += requests == 0 or 1 - bad / requests < FLAGGER_MIN
        if failed >= threshold:
            stopped = start + 2 * interval
            return stopped if stopped <= SECONDS else math.inf
    return math.inf


@dataclass
class Row:
    """All runs of one scene."""

    scene: str
    runs: int
    holdfast: list[float]
    passed: list[float]
    errors: list[int]
    slow: list[float]
    fast: list[float]

    def as_json(self) -> dict[str, object]:
        return {
            "scene": self.scene,
            "runs": self.runs,
            "holdfast": summary(self.holdfast),
            "passed": summary(self.passed),
            "user_errors_median": float(np.median(self.errors)),
            "flagger_60s_x5": summary(self.slow),
            "flagger_10s_x1": summary(self.fast),
        }


def play(scene: Scene, runs: int, seed: int) -> Row:
    row = Row(scene.name, runs, [], [], [], [], [])
    for run in range(runs):
        dice = np.random.default_rng([seed, run])
        policy = JudgePolicy(warm_up_s=scene.warm_up_s)
        if scene.burst > 1 and scene.corrected:
            policy = replace(policy, dispersion=dispersion_before(scene, dice))
        seconds = draw(scene, dice)
        outcome = holdfast(scene, seconds, policy)
        row.holdfast.append(outcome.stopped)
        row.passed.append(outcome.passed)
        row.errors.append(outcome.errors)
        row.slow.append(flagger(seconds, 60, 5))
        row.fast.append(flagger(seconds, 10, 1))
    return row


# ---- saying it ----------------------------------------------------------------------------------


def summary(times: Sequence[float]) -> dict[str, object]:
    stopped = sum(at < math.inf for at in times)
    low, high = wilson(stopped, len(times))
    return {
        "stopped": stopped,
        "share": stopped / len(times),
        "share_low": low,
        "share_high": high,
        "median_s": finite(quantile(times, 0.5)),
        "p95_s": finite(quantile(times, 0.95)),
    }


def quantile(times: Sequence[float], share: float) -> float:
    return sorted(times)[min(len(times) - 1, math.ceil(share * len(times)) - 1)]


def finite(value: float) -> float | None:
    return value if value < math.inf else None


def wilson(stopped: int, runs: int, z: float = 1.96) -> tuple[float, float]:
    share = stopped / runs
    middle = share + z * z / (2 * runs)
    half = z * math.sqrt(share * (1 - share) / runs + z * z / (4 * runs * runs))
    return max(0.0, (middle - half) / (1 + z * z / runs)), (middle + half) / (1 + z * z / runs)


def cell(found: dict[str, object]) -> str:
    median, p95 = (found[name] for name in ("median_s", "p95_s"))
    times = "/".join("-" if at is None else f"{at:.0f}" for at in (median, p95))
    return f"{100 * float(str(found['share'])):6.2f} % {times:>8}"


def table(title: str, rows: Sequence[Row]) -> Iterator[str]:
    yield f"\n{title}"
    yield (
        f"{'':38} {'runs':>5}  {'Holdfast':>17}  {'passed':>17}"
        f"  {'Flagger 60 s x5':>17}  {'Flagger 10 s x1':>17}"
    )
    for row in rows:
        cells = (cell(summary(times)) for times in (row.holdfast, row.passed, row.slow, row.fast))
        yield f"{row.scene:38} {row.runs:5}  {'  '.join(cells)}"


def machine() -> dict[str, object]:
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=10_000, help="healthy canaries in all")
    parser.add_argument("--detections", type=int, default=400, help="bad canaries per row")
    parser.add_argument("--seed", type=int, default=20260101)
    parser.add_argument("--json", type=Path, help="write the figures here")
    asked = parser.parse_args(arguments)
    began = time.monotonic()
    each = max(1, asked.runs // len(HEALTHY))
    healthy = [play(scene, each, asked.seed + at) for at, scene in enumerate(HEALTHY)]
    few = max(1, each // 4)
    unguarded = [play(scene, few, asked.seed + 50 + at) for at, scene in enumerate(UNGUARDED)]
    bad = [play(scene, asked.detections, asked.seed + 100 + at) for at, scene in enumerate(BAD)]
    stops = summary([at for row in healthy for at in row.holdfast])
    holds = float(str(stops["share"])) <= 0.01
    for line in (
        *table("Healthy canaries: share stopped (false stops), median/p95 s", healthy),
        *table("The same without a safeguard, to show that it is needed", unguarded),
        *table("Bad canaries: share stopped, median/p95 s", bad),
    ):
        print(line)
    looks = sum(row.runs for row in (*healthy, *unguarded)) * SECONDS
    print(
        f"\nFalse stops: {stops['stopped']} of {each * len(healthy)}"
        f" ({100 * float(str(stops['share'])):.3f} %, 95 % bounds"
        f" {100 * float(str(stops['share_low'])):.3f} to"
        f" {100 * float(str(stops['share_high'])):.3f} %); at most 1 % is promised:"
        f" {'holds' if holds else 'BROKEN'}. {looks:,} looks, {time.monotonic() - began:.0f} s."
    )
    if asked.json:
        figures = {
            "machine": machine(),
            "seed": asked.seed,
            "false_stops": {**stops, "runs": each * len(healthy), "promise": 0.01, "holds": holds},
            "healthy": [row.as_json() for row in healthy],
            "unguarded": [row.as_json() for row in unguarded],
            "bad": [row.as_json() for row in bad],
        }
        asked.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
