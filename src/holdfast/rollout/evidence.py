"""The statistics under the verdicts: likelihood ratios, e-processes, what clean requests show.

An e-value is a bet against a claim: if the claim is true, it reaches ``k`` with a chance of at most
``1/k``, however often one looks. See ``rollout/verdict.py`` for the test that is built of these.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, exp, lgamma, log, log1p, sqrt

RATIOS = (1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0, 1000.0)
LATER = 0.1  # mass given to faults that begin later than the first bin
PASS_PRIOR = 8.43  # Beta(1, PASS_PRIOR/p): reproduces 65/332/664/3,327 clean requests
LOG_E_MAX = 500.0
Z = 1.6449  # one-sided 95 %


@dataclass(frozen=True, slots=True)
class Arms:
    """Requests and bad requests of both arms, of one metric or of one interval."""

    new_requests: int = 0
    new_bad: int = 0
    old_requests: int = 0
    old_bad: int = 0

    def __add__(self, more: Arms) -> Arms:
        return Arms(
            self.new_requests + more.new_requests,
            self.new_bad + more.new_bad,
            self.old_requests + more.old_requests,
            self.old_bad + more.old_bad,
        )


NONE = Arms()


@dataclass(frozen=True, slots=True)
class Process:
    """An e-process per ratio, mixed over the moment the fault begins. All logs."""

    logs: tuple[float, ...] = ()
    starts: int = 0

    @property
    def value(self) -> float:
        if not self.logs:
            return 1.0
        return sum(map(exp, self.logs)) / len(self.logs) + LATER / (self.starts + 1)

    def grow(self, logs: list[float], start: bool) -> Process:
        """One bin more: ``logs`` has the log likelihood ratio of each ratio.

        ``start``: faults that begin after this bin get their share of ``LATER``. It must not depend
        on the new release's bad requests, so that one more of them can never lower E.
        """
        before = self.logs or (log(1 - LATER),) * len(logs)
        grown = [min(b + more, LOG_E_MAX) for b, more in zip(before, logs, strict=True)]
        if not start:
            return Process(tuple(grown), self.starts)
        starts = self.starts + 1
        mass = LATER / (starts * (starts + 1))
        return Process(tuple(log(exp(value) + mass) for value in grown), starts)


def compare(tolerated: float, phi: float, seen: Arms) -> list[float]:
    """log LR of each ratio against the tolerated one, for one bin with both arms."""
    share = seen.new_requests / (seen.new_requests + seen.old_requests)
    bad = (seen.new_bad + seen.old_bad) / phi
    floor = bad * log1p((tolerated - 1) * share)
    new_bad = seen.new_bad / phi
    return [new_bad * gain - bad * log1p(r1 * share) + floor for gain, r1 in _grid(tolerated)]


@lru_cache(maxsize=64)
def _grid(tolerated: float) -> tuple[tuple[float, float], ...]:
    return tuple((log(r / tolerated), r - 1) for r in RATIOS if r > tolerated)


def alone(limit: float, phi: float, requests: int, bad: int) -> list[float]:
    """log LR of rates above ``limit`` against ``limit``."""
    good, bad_ = (requests - bad) / phi, bad / phi
    return [bad_ * up + good * down for up, down in _steps_above(limit)]


def fixed(logs: list[float]) -> float:
    """E of one look at totals: the mean over the ratios."""
    return sum(exp(min(value, LOG_E_MAX)) for value in logs) / len(logs)


@lru_cache(maxsize=256)
def _steps_above(limit: float) -> tuple[tuple[float, float], ...]:
    highest = max(0.9, (1 + limit) / 2)
    rates = (min(r * limit, highest) for r in RATIOS)
    return tuple((log(q / limit), log1p(-q) - log1p(-limit)) for q in rates)


def clean_requests_needed(
    rate: float, confidence: float, requests: int = 0, bad: int = 0, phi: float = 1.0
) -> int:
    """How many more requests, all clean, show "fewer than ``rate`` are bad". 0: shown already."""
    wanted = -log1p(-confidence)
    if _shown(rate, requests / phi, bad / phi) >= wanted and requests:
        return 0
    b = PASS_PRIOR / rate
    n, x = max(requests / phi, bad / phi / rate), bad / phi
    for _ in range(60):  # Newton on a convex curve: it comes down to the root from the right
        slope = log((b + n - x) / (1 + b + n)) - log1p(-rate)
        step = (wanted - _shown(rate, n, x)) / max(slope, 1e-12)
        n = max(n + step, x / rate)
        if abs(step) < 0.01:
            break
    more = max(ceil(n * phi) - requests, 1)
    while more > 1 and _shown(rate, (requests + more - 1) / phi, x) >= wanted:
        more -= 1
    while _shown(rate, (requests + more) / phi, x) < wanted:
        more += 1
    return more


def _shown(rate: float, n: float, x: float) -> float:
    """log E of the Beta mixture against every rate at or above ``rate``."""
    if x >= n * rate:
        return 0.0
    b = PASS_PRIOR / rate
    mixture = log(b) + lgamma(1 + x) + lgamma(b + n - x) - lgamma(1 + b + n)
    return mixture - x * log(rate) - (n - x) * log1p(-rate)


def wilson(x: float, n: float) -> tuple[float, float]:
    z2 = Z * Z
    middle, half = x + z2 / 2, Z * sqrt(x * (n - x) / n + z2 / 4)
    return max(0.0, (middle - half) / (n + z2)), (middle + half) / (n + z2)
