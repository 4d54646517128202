"""A promise is a bound; a finding is what a drill measured beside it. Pure arithmetic.

A finding is *void* when the run cannot be believed: the generator did not hold its rate, or a
bound of time was missed while other programs had the processors. A run that holds in spite of
noise holds, because noise never makes anything faster. Lost requests are excused neither by noise
nor by a slow generator: what was refused, reset or wrong was so whenever it was asked. One
exception: when every one of them ran out of time on a machine that others kept busy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from holdfast.spec.model import Promises

FOREIGN_SHARE_MAX = 0.15  # of all processors: more, and times say nothing about Holdfast
STEAL_SHARE_MAX = 0.03
LAG_P99_MS_MAX = 5.0
HELD_RATE_MIN = 0.99
UNDECIDED = 5  # exit code: nothing broken, but some runs say nothing
RULE_OF_THREE = 3.0  # 0 of N seen: below 3/N with 95 % confidence


@dataclass(frozen=True, slots=True)
class Promise:
    """``measured`` must be at most ``bound`` (or at least, where more is better)."""

    id: str
    says: str
    unit: str
    bound: float
    at_least: bool = False
    timed: bool = True  # noise of the machine can void it

    def kept(self, measured: float) -> bool:
        return measured >= self.bound if self.at_least else measured <= self.bound


@dataclass(frozen=True, slots=True)
class Noise:
    """How far the machine and the generator can be believed during one run."""

    foreign: float = 0.0  # share of all processors that other programs used
    steal: float = 0.0  # share that the hypervisor took
    lag_p99_ms: float = 0.0  # how late the generator woke up
    held_rate: float = 1.0  # share of its wake-ups at which the generator was in time

    @property
    def generator_failed(self) -> str | None:
        if self.held_rate < HELD_RATE_MIN:
            return f"the generator was in time for only {self.held_rate:.1%} of its schedule"
        return None

    @property
    def disturbed(self) -> str | None:
        if self.lag_p99_ms > LAG_P99_MS_MAX:
            return f"the generator woke up {self.lag_p99_ms:.1f} ms late (p99)"
        if self.foreign > FOREIGN_SHARE_MAX:
            return f"other programs used {self.foreign:.0%} of the processors"
        if self.steal > STEAL_SHARE_MAX:
            return f"the hypervisor took {self.steal:.0%} of the processors"
        return None


QUIET = Noise()


@dataclass(frozen=True, slots=True)
class Finding:
    """One promise, measured once."""

    promise: str  # P1 ...
    drill: str
    says: str
    measured: float
    unit: str
    bound: float
    holds: bool
    void: str | None  # why the run says nothing; None: it counts
    n: int  # how many requests, rollouts or intervals it rests on
    at_least: bool = False
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @property
    def mark(self) -> str:
        if self.void:
            return "void"
        return "holds" if self.holds else "broken"

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "mark": self.mark}


def find(
    promise: Promise,
    drill: str,
    measured: float,
    n: int,
    noise: Noise = QUIET,
    evidence: Mapping[str, Any] | None = None,
) -> Finding:
    """Put the measurement beside the bound. No data (n = 0 or nan) is void, never kept."""
    kept = measured == measured and promise.kept(measured)
    void: str | None = None
    if n <= 0 or measured != measured:
        void = "nothing was measured"
    elif noise.generator_failed and (kept or promise.timed):
        void = noise.generator_failed
    elif not kept and promise.timed and noise.disturbed:
        void = noise.disturbed
    return Finding(
        promise=promise.id, drill=drill, says=promise.says, measured=measured,
        unit=promise.unit, bound=promise.bound, holds=kept and void is None, void=void, n=n,
        at_least=promise.at_least, evidence={**asdict(noise), **(evidence or {})},
    )  # fmt: skip


def availability(requests: int, failed: int) -> tuple[float, float]:
    """Percent seen, and the percent it is at least, with 95 % confidence.

    With 0 failures the rule of three; else the normal bound on top of what was seen.
    """
    if requests <= 0:
        return float("nan"), float("nan")
    seen = failed / requests
    upper = (failed + RULE_OF_THREE + 1.96 * failed**0.5) / requests if failed else 0.0
    upper = max(upper, RULE_OF_THREE / requests)
    return 100 * (1 - seen), 100 * (1 - min(1.0, upper))


def catalogue(promised: Promises) -> dict[str, Promise]:
    """Every promise a drill of this package measures, with the bounds of this service."""
    return {
        "P1": Promise("P1", "slowest full rollout", "s", min(promised.deploy, 60.0)),
        "P2": Promise(
            "P2", "slowest way back, trigger to last bad answer", "s", min(promised.rollback, 5.0)
        ),
        "P3": Promise(
            "P3", "failed requests while deploying", "requests", promised.failed, timed=False
        ),
        "P6": Promise("P6", "99th percentile of latency", "ms", promised.p99 * 1e3),
        "P7": Promise(
            "P7",
            "decisions answered each second",
            "/s",
            promised.throughput or 1e6,
            at_least=True,
        ),
        "P8": Promise(
            "P8",
            "availability, every strategy and accident",
            "%",
            promised.availability,
            True,
            timed=False,
        ),
        "T76": Promise("T76", "slowest refusal of a bad version", "s", 15.0),
    }


def exit_code(findings: Sequence[Finding]) -> int:
    """0 all kept, 1 a promise is broken, 5 nothing broken but some runs say nothing."""
    marks = {finding.mark for finding in findings}
    if "broken" in marks:
        return 1
    return UNDECIDED if "void" in marks or not findings else 0


def show(value: float, unit: str) -> str:
    """A number as people say it, with its unit."""
    if value != value:
        return "-"
    if value == float("inf"):
        return "never"
    match unit:
        case "s" if value < 1:
            return f"{value * 1e3:.1f} ms" if value < 0.1 else f"{value * 1e3:.0f} ms"
        case "s":
            return f"{value:.1f} s"
        case "ms":
            return f"{value:.2f} ms"
        case "%":
            return f"{value:.4f} %".replace("0000 %", "0 %")
        case "/s":
            return f"{value:,.0f}/s"
    return f"{value:,.0f}"


def show_bound(finding: Finding) -> str:
    if finding.bound == 0 and not finding.at_least:
        return "0"
    return f"{'>=' if finding.at_least else '<='} {show(finding.bound, finding.unit)}"


def show_bound_of_zero(n: int) -> str:
    """What ``0 of n`` really shows."""
    return f"0 of {n:,}: below {100 * RULE_OF_THREE / n:.2g} % with 95 % confidence" if n else ""
