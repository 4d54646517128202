"""The latest minutes of a service: what each release answered, interval by interval.

Made from the counters that judge rollouts, on their way to the judge: nothing is asked twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass

from holdfast.conductor.console.documents import PointDoc, PulseDoc
from holdfast.rollout.model import Counts, ReleaseId
from holdfast.runtime.clock import Clock
from holdfast.targets.base import RawCounts
from holdfast.telemetry.gauge import delta

INTERVAL_S = 0.9  # the counters of a resting service are read once a second, never quite on time
POINTS_MAX, POINTS_MIN = 600, 60
#: Of all services of a conductor together; about 20 MiB.
POINTS_IN_ALL = 60_000
SPARK_POINTS = 60

Read = Callable[[], Awaitable[Mapping[ReleaseId, RawCounts]]]
Weights = tuple[tuple[ReleaseId, int], ...]


@dataclass(frozen=True, slots=True)
class Arm:
    """One release in one interval."""

    counts: Counts
    p50_ms: float | None = None
    p99_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """One interval that ended at ``wall`` seconds since 1970."""

    wall: float
    seconds: float
    weights: Weights
    arms: tuple[tuple[ReleaseId, Arm], ...]


class Series:
    """At most ``POINTS_MAX`` intervals of one service, oldest first; fewer among many services."""

    def __init__(
        self,
        clock: Clock,
        weights: Callable[[], Weights] = tuple,
        services: Callable[[], int] = lambda: 1,
    ) -> None:
        self.points: deque[Point] = deque()
        self._clock, self._weights, self._services = clock, weights, services
        self._before: Mapping[ReleaseId, RawCounts] | None = None
        self._at = 0.0

    def tapping(self, read: Read) -> Read:
        """The same reading; what it answers is noted here."""

        async def tapped() -> Mapping[ReleaseId, RawCounts]:
            seen = await read()
            self.note(seen)
            return seen

        return tapped

    def note(self, seen: Mapping[ReleaseId, RawCounts]) -> None:
        now = self._clock.now()
        spent = now - self._at
        if self._before is not None and spent < INTERVAL_S:
            return
        if self._before is not None:
            arms = tuple(_arms(self._before, seen))
            self.points.append(Point(self._clock.wall(), spent, self._weights(), arms))
            while len(self.points) > points_kept(self._services()):
                self.points.popleft()
        self._before, self._at = {**(self._before or {}), **seen}, now

    def since(self, wall: float) -> list[Point]:
        """The points after ``wall``, oldest first."""
        newer: list[Point] = []
        for point in reversed(self.points):
            if point.wall <= wall:
                break
            newer.append(point)
        return newer[::-1]


def points_kept(services: int) -> int:
    """How many points each of so many services may keep."""
    return max(POINTS_MIN, min(POINTS_MAX, POINTS_IN_ALL // max(1, services)))


def _arms(
    before: Mapping[ReleaseId, RawCounts], now: Mapping[ReleaseId, RawCounts]
) -> Iterator[tuple[ReleaseId, Arm]]:
    for release, raw in sorted(now.items()):
        old = before.get(release, RawCounts(0, 0, 0))
        counts = delta(_counts(old), _counts(raw))
        times = added(dict(old.times), dict(raw.times))
        yield release, Arm(counts, quantile(times, 0.5), quantile(times, 0.99))


def _counts(raw: RawCounts) -> Counts:
    return Counts(raw.requests, raw.errors, raw.slow)


def added(before: Mapping[float, int], now: Mapping[float, int]) -> dict[float, int]:
    """What each bucket gained; all of it when a bucket shrank, because it began again."""
    if any(now.get(bound, 0) < count for bound, count in before.items()):
        return dict(now)
    return {bound: count - before.get(bound, 0) for bound, count in now.items()}


def quantile(buckets: Mapping[float, int], share: float) -> float | None:
    """The lower bound of the bucket in which the share is reached; None without requests."""
    total = sum(buckets.values())
    if total == 0:
        return None
    reached = 0
    for bound, count in sorted(buckets.items()):
        reached += count
        if reached >= share * total:
            return bound
    raise AssertionError("the last bucket reaches every share")


# ---- documents ----------------------------------------------------------------------------------


def point_document(point: Point) -> PointDoc:
    return {
        "wall": point.wall,
        "seconds": point.seconds,
        "weights": dict(point.weights),
        "arms": [
            {
                "release": release,
                "requests": arm.counts.requests,
                "errors": arm.counts.errors,
                "slow": arm.counts.slow,
                "p50_ms": arm.p50_ms,
                "p99_ms": arm.p99_ms,
            }
            for release, arm in point.arms
        ],
    }


def pulse_document(point: Point) -> PulseDoc:
    """All releases together; the latency is that of the slowest release that was asked."""
    counts = [arm.counts for _release, arm in point.arms]
    requests = sum(each.requests for each in counts)
    slowest = [arm.p99_ms for _release, arm in point.arms if arm.p99_ms is not None]
    return {
        "wall": point.wall,
        "rate": rate_of(point),
        "errors": sum(each.errors for each in counts) / requests if requests else 0.0,
        "slow": sum(each.slow for each in counts) / requests if requests else 0.0,
        "p99_ms": max(slowest, default=None),
    }


def rate_of(point: Point) -> float:
    """Requests per second."""
    requests = sum(arm.counts.requests for _release, arm in point.arms)
    return round(requests / point.seconds, 1) if point.seconds > 0 else 0.0
