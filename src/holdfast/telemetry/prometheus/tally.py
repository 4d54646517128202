"""From the series of many instances to counters that only rise, by release. Pure.

Each series is followed by itself: an instance that goes away takes nothing from the sum, one whose
counter starts again adds what it counted since, one born between two looks adds all of it. A sum
made by the server (``sum(rate(...))``) could do none of this without guessing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from holdfast.rollout.model import Counts, ReleaseId
from holdfast.telemetry.prometheus.answer import Outdated, Point, Series

FORGET_AFTER_S = 3600.0  # a series unseen for so long is that of an instance long gone


@dataclass(slots=True)
class Tally:
    """One metric over all looks. Series come with enough of their past to overlap the last look."""

    label: str  # by which releases differ
    totals: dict[str, float] = field(default_factory=dict)  # by the label's value
    newest: float = 0.0  # time of the newest sample ever seen
    _last: dict[tuple[tuple[str, str], ...], Point] = field(default_factory=dict, init=False)
    _begun: bool = field(default=False, init=False)

    def take(self, series: Iterable[Series]) -> None:
        """The first look only says where counting starts."""
        for each in series:
            end = each.points[-1]
            self.newest = max(self.newest, end.at)
            if self._begun:
                key = each.label(self.label)
                self.totals[key] = self.totals.get(key, 0.0) + self._grown(each)
            before = self._last.get(each.labels)
            if before is None or end.at >= before.at:
                self._last[each.labels] = end
        self._begun = True
        self._forget()

    def _grown(self, series: Series) -> float:
        last = self._last.get(series.labels)
        since, value = (last.at, last.value) if last else (float("-inf"), 0.0)
        grown = 0.0
        for point in series.points:
            if point.at > since:
                grown += point.value - value if point.value >= value else point.value
                value = point.value
        return grown

    def _forget(self) -> None:
        oldest = self.newest - FORGET_AFTER_S
        for key in [key for key, point in self._last.items() if point.at < oldest]:
            del self._last[key]


@dataclass(slots=True)
class Tallies:
    """The four metrics that requests, errors and slow answers are made of."""

    requests: Tally
    errors: Tally
    timed: Tally | None = None  # requests whose latency is known
    within: Tally | None = None  # those that were fast enough
    _slow: dict[str, int] = field(default_factory=dict, init=False)

    def counts(self, releases: Mapping[str, ReleaseId]) -> dict[ReleaseId, Counts]:
        """Cumulative counts of each release; ``releases`` names them by the label's value.

        Metrics are asked one after the other, so a scrape may lie between them: errors are no more
        than requests, and what was slow once stays so.
        """
        found: dict[ReleaseId, Counts] = {}
        for value, release in releases.items():
            requests = int(self.requests.totals.get(value, 0.0))
            errors = min(int(self.errors.totals.get(value, 0.0)), requests)
            more = found.get(release, Counts())
            slow = min(self._slow_of(value), requests)
            found[release] = Counts(
                more.requests + requests, more.errors + errors, more.slow + slow
            )
        return found

    def _slow_of(self, value: str) -> int:
        if self.timed is None or self.within is None:
            return 0
        now = self.timed.totals.get(value, 0.0) - self.within.totals.get(value, 0.0)
        self._slow[value] = max(self._slow.get(value, 0), int(now))
        return self._slow[value]

    def assert_fresh(self, now: float, stale_after: float) -> None:
        """Raises ``Outdated`` when there were samples and the newest is older than that.

        A service nobody ever counted has none: that is no traffic, not a silent source.
        """
        age = now - self.requests.newest
        if self.requests.newest and age > stale_after:
            raise Outdated(f"the newest sample is {age:.0f}s old, more than {stale_after:g}s")
