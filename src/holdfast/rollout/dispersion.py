"""How bursty a service's failures are: phi, the variance of its bad counts over their mean.

Independent failures make Poisson counts, phi = 1. One client's retry storm makes bursts: a test
that takes 30 failures of one cause for 30 failures stops healthy releases (27 to 38 % of them,
measured), so the verdict divides its counts by phi. Phi comes from the control *before* the
rollout, so it never looks ahead; what it sees includes changes of traffic, which errs towards
caution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite

BIN_S = 5.0
BINS_MIN = 12  # one minute; with fewer phi would be noise
BINS_MAX = 120  # ten minutes
DISPERSION_MAX = 60.0  # bursts of 30; an outage in the last minutes must not blind the verdict


@dataclass(frozen=True, slots=True)
class Bins:
    """Bad counts of the control in bins of ``BIN_S``; the newest ``BINS_MAX``."""

    full: tuple[int, ...] = ()
    bad: int = 0  # of the bin that is still open
    seconds: float = 0.0

    def add(self, seconds: float, bad: int) -> Bins:
        """One interval more. An interval longer than a bin is one bin of its own."""
        assert isfinite(seconds) and seconds >= 0 and bad >= 0, (seconds, bad)
        grown = replace(self, bad=self.bad + bad, seconds=self.seconds + seconds)
        if grown.seconds < BIN_S - 1e-6:
            return grown
        return Bins((*grown.full[-(BINS_MAX - 1) :], grown.bad))

    @property
    def dispersion(self) -> float:
        return dispersion(self.full)


def dispersion(bad: Sequence[int]) -> float:
    """Variance over mean, at least 1 (also when too little is known) and at most the maximum."""
    if len(bad) < BINS_MIN or not any(bad):
        return 1.0
    mean = sum(bad) / len(bad)
    variance = sum((count - mean) ** 2 for count in bad) / (len(bad) - 1)
    return min(max(1.0, variance / mean), DISPERSION_MAX)
