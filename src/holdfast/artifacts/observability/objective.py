"""Objectives and how fast their budgets burn: the numbers of Google's SRE Workbook, chapter 5.

Four windows: 2 % of a month's budget in an hour or 5 % in six hours pages, 10 % in a day or in
three days is a ticket; each with a short window beside it so that an alert ends when the trouble
ends. All numbers are exact decimals: 0.001 and not 0.0010000000000000009.

The rules divide sums of recorded rates, so busy minutes weigh what they carried. A threshold
stays below one: an outage of everything is noticed whatever was promised. A single failed request
is no evidence: two in the long window are the least.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from math import floor
from typing import Final, Literal

from holdfast.artifacts.signals import RECORDED, Place, source
from holdfast.spec.model import Service

MONTH: Final = 30 * 86400.0
_HIGHEST: Final = Decimal("0.99")
_P99: Final = Decimal("0.01")
_LEAST_FAILURES: Final = 2


@dataclass(frozen=True, slots=True)
class Burn:
    """A pair of windows and the burn rate above which somebody is called."""

    long: str
    short: str
    rate: Decimal
    severity: Literal["page", "ticket"]


BURNS: Final = (
    Burn("1h", "5m", Decimal("14.4"), "page"),
    Burn("6h", "30m", Decimal(6), "page"),
    Burn("1d", "2h", Decimal(3), "ticket"),
    Burn("3d", "6h", Decimal(1), "ticket"),
)
WINDOWS: Final = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
SECONDS: Final = {"5m": 300, "30m": 1800, "1h": 3600, "2h": 7200, "6h": 21600, "1d": 86400,
                  "3d": 259200}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Objective:
    """What part of which recorded rate may be bad."""

    name: Literal["availability", "latency"]
    budget: Decimal  # the part that may be bad: 0.001 of 99.9 %
    bad: str  # recorded rates
    total: str
    about: str

    @property
    def target(self) -> Decimal:
        return 1 - self.budget

    def threshold(self, burn: Burn) -> Decimal:
        return min(burn.rate * self.budget, _HIGHEST)

    def ratio(self, window: str) -> str:
        """The name of the recorded ratio over a window."""
        return f"{RECORDED.error_ratio}{window}"

    def fires(self, burn: Burn, service: Service) -> str:
        """The expression of one pair of windows."""
        chosen = f'{{service="{service.service}",slo="{self.name}"}}'
        threshold, seconds = plain(self.threshold(burn)), SECONDS[burn.long]
        failures = f'avg_over_time({self.bad}{{service="{service.service}"}}[{burn.long}])'
        return (
            f"({self.ratio(burn.long)}{chosen} > {threshold}"
            f" and {self.ratio(burn.short)}{chosen} > {threshold})"
            f" and on (service, region) {failures} * {seconds} >= {_LEAST_FAILURES}"
        )

    @property
    def least_requests(self) -> int:
        """Requests an hour below which one failure alone exceeds the first pair's threshold."""
        threshold = self.threshold(BURNS[0])
        return floor(1 / threshold) + 1 if threshold else 0


def plain(number: Decimal) -> str:
    """A decimal as it is, never with an exponent."""
    said = format(number, "f")
    return said.rstrip("0").rstrip(".") if "." in said else said


def objectives(service: Service, place: Place = "kubernetes") -> Iterator[Objective]:
    """Availability, and the 99th percentile of latency where it is measured."""
    promised = Decimal(str(service.promises.availability)) / 100
    about = f"{service.promises.availability:g} % of requests succeed"
    yield Objective("availability", 1 - promised, RECORDED.errors, RECORDED.requests, about)
    measured = source(service, place)
    if measured.measures_latency:
        bound = measured.bound(service.promises.p99)
        about = f"99 % of requests are answered within {plain(Decimal(str(bound)))} s"
        yield Objective("latency", _P99, RECORDED.slow, RECORDED.timed, about)


def period(service: Service) -> float:
    """The time over which the budget is counted: a month, or as long as metrics are kept."""
    return min(MONTH, service.observability.keep_metrics)
