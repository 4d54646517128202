"""The simulated data plane: acknowledged weights, requests in closed form, counters.

Between two changes of the world every rate is constant, so an interval of any length costs a few
draws. Requests that found no ready instance are counted apart: that is what a client notices.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from holdfast.rollout.model import ReleaseId
from holdfast.targets.base import RawCounts
from holdfast.targets.simulated.behaviour import Traffic
from holdfast.targets.simulated.dice import binomial, clumped
from holdfast.targets.simulated.fleet import Fleet


@dataclass(frozen=True, slots=True)
class Interval:
    """What clients saw between two changes of the world."""

    start: float
    end: float
    weights: tuple[tuple[ReleaseId, int], ...]
    ready: tuple[tuple[ReleaseId, int], ...]
    rate: float  # requests per second
    requests: int
    errors: int
    starved: int  # of the errors: no ready instance of the release the weights chose

    @property
    def anybody(self) -> bool:
        return any(count for _, count in self.ready)


@dataclass(slots=True)
class _Arm:
    requests: int = 0
    errors: int = 0
    slow: int = 0
    owed: float = 0.0  # the fraction of a request left over from the interval before


@dataclass(slots=True)
class DataPlane:
    """One route with weights, in front of all fleets of a world."""

    traffic: Traffic
    dice: random.Random
    weights: dict[ReleaseId, int] = field(default_factory=dict)
    factor: float = 1.0  # burst or no traffic
    outage: float = 0.0  # share that fails whatever release answers
    arms: dict[ReleaseId, _Arm] = field(default_factory=dict)
    since: float = 0.0

    def rate(self) -> float:
        return self.traffic.rate * self.factor

    def route(self, weights: Mapping[ReleaseId, int], fleets: Mapping[ReleaseId, Fleet]) -> None:
        self.weights = dict(weights)
        self.spread(fleets, self.since)

    def spread(self, fleets: Mapping[ReleaseId, Fleet], now: float) -> None:
        """Tell every fleet its load; a fleet that lost it stays busy with what is in flight."""
        for release, fleet in fleets.items():
            load = self.rate() * self.weights.get(release, 0) / 100
            if fleet.load > 0 and load == 0:
                fleet.idle_since = now
            fleet.load = load

    def pass_time(self, end: float, fleets: Mapping[ReleaseId, Fleet]) -> Interval | None:
        """Serve the requests from the last change until ``end``."""
        start, self.since = self.since, max(self.since, end)
        if end <= start:
            return None
        requests = errors = starved = 0
        for release, weight in self.weights.items():
            arm = self.arms.setdefault(release, _Arm())
            n = self._arrivals(arm, weight, end - start)
            bad, none_ready = self._serve(arm, fleets.get(release), n, (start, end))
            requests, errors, starved = requests + n, errors + bad, starved + none_ready
        ready = tuple((release, fleet.ready) for release, fleet in fleets.items())
        return Interval(
            start, end, tuple(self.weights.items()), ready, self.rate(), requests, errors, starved
        )

    def _arrivals(self, arm: _Arm, weight: int, seconds: float) -> int:
        mean = self.rate() * weight / 100 * seconds
        if self.traffic.noise:
            mean *= max(0.0, self.dice.gauss(1.0, self.traffic.noise))
        arm.owed += mean
        n = math.floor(arm.owed)
        arm.owed -= n
        return n

    def _serve(
        self, arm: _Arm, fleet: Fleet | None, n: int, span: tuple[float, float]
    ) -> tuple[int, int]:
        """Failed requests, and those of them that found nobody ready."""
        arm.requests += n
        if n == 0:
            return 0, 0
        ready = fleet.ready if fleet is not None else 0
        if fleet is None or ready == 0:
            arm.errors += n
            return n, n
        start, end = span
        behaviour = fleet.behaviour
        overload = self._overload(ready * behaviour.capacity, n / (end - start))
        cold = behaviour.cold_error_rate * fleet.cold_share(start) if behaviour.cold_s else 0.0
        harm = 1 - (1 - cold) * (1 - fleet.hung_share()) * (1 - self.outage) * (1 - overload)
        bad = clumped(self.dice, n, behaviour.error_rate, behaviour.error_burst)
        bad += binomial(self.dice, n - bad, harm)
        arm.errors += bad
        arm.slow += binomial(self.dice, n, behaviour.slow_rate)
        return bad, 0

    @staticmethod
    def _overload(capacity: float, rate: float) -> float:
        """The share that is shed because the ready instances cannot answer it."""
        return 0.0 if rate <= capacity * 1.05 else 1 - capacity / rate

    def counters(self) -> dict[ReleaseId, RawCounts]:
        return {
            release: RawCounts(arm.requests, arm.errors, arm.slow)
            for release, arm in self.arms.items()
        }

    def reset_counters(self) -> None:
        self.arms = {release: _Arm() for release in self.arms}
