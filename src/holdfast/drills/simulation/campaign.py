"""Many seeds, several processes: progress, throughput, a table of endings, and every breach."""

from __future__ import annotations

import multiprocessing
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field

from holdfast.drills.simulation.checkers import Breach
from holdfast.drills.simulation.run import Outcome, play
from holdfast.drills.simulation.scenario import make_scenario

#: Seeds a worker takes at a time: few enough that progress is seen, many enough to be cheap.
CHUNK = 10
PROGRESS_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class Finding:
    """A seed that broke a rule, and the rule's breaches."""

    seed: int
    breaches: tuple[Breach, ...]


@dataclass(slots=True)
class Tally:
    """What all runs came to."""

    seeds: int = 0
    virtual_s: float = 0.0
    turns: int = 0
    crashes: int = 0
    requests: int = 0
    wall_s: float = 0.0
    endings: Counter[tuple[str, str]] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        self.seeds += 1
        self.virtual_s += outcome.virtual_s
        self.turns += outcome.turns
        self.crashes += outcome.crashes
        self.requests += outcome.requests
        self.endings[outcome.strategy.value, outcome.ending] += 1
        if outcome.breaches:
            self.findings.append(Finding(outcome.seed, tuple(outcome.breaches)))

    def as_json(self) -> dict[str, object]:
        rows = {f"{strategy} {end}": n for (strategy, end), n in sorted(self.endings.items())}
        found = [
            {"seed": f.seed, "breaches": [asdict(b) for b in f.breaches]} for f in self.findings
        ]
        return {
            "seeds": self.seeds,
            "virtual_hours": round(self.virtual_s / 3600, 2),
            "turns": self.turns,
            "crashes": self.crashes,
            "requests": self.requests,
            "wall_s": round(self.wall_s, 2),
            "rollouts_per_s": round(self.seeds / self.wall_s, 1) if self.wall_s else 0.0,
            "endings": rows,
            "breaches": found,
        }


def play_seed(seed: int) -> Outcome:
    """One seed; an exception on the way is a breach like any other, never a lost run."""
    try:
        return play(make_scenario(seed))
    except Exception:
        scenario = make_scenario(seed)
        last = traceback.format_exc().strip().splitlines()[-4:]
        outcome = Outcome.nothing(scenario)
        outcome.breaches.append(Breach(0.0, "ends", " | ".join(line.strip() for line in last)))
        return outcome


def outcomes(seeds: Iterable[int], jobs: int) -> Iterator[Outcome]:
    """The outcomes in whatever order they come."""
    if jobs <= 1:
        yield from map(play_seed, seeds)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap_unordered(play_seed, seeds, chunksize=CHUNK)


def campaign(
    seeds: Iterable[int], jobs: int = 1, progress: Callable[[Tally], None] = lambda tally: None
) -> Tally:
    """Play all seeds; ``progress`` is called every few seconds."""
    tally, began = Tally(), time.monotonic()
    told = began
    for outcome in outcomes(seeds, jobs):
        tally.add(outcome)
        now = time.monotonic()
        tally.wall_s = now - began
        if now - told > PROGRESS_EVERY_S:
            told = now
            progress(tally)
    return tally


def table(tally: Tally) -> str:
    """Endings by strategy, as text."""
    strategies = sorted({strategy for strategy, _ in tally.endings})
    endings = sorted({ending for _, ending in tally.endings})
    lines = ["  " + " " * 12 + "".join(f"{ending:>12}" for ending in endings)]
    for strategy in strategies:
        counts = "".join(f"{tally.endings[strategy, ending]:>12}" for ending in endings)
        lines.append(f"  {strategy:<12}{counts}")
    return "\n".join(lines)
