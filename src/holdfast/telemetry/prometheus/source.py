"""Cumulative request counters of a service's releases, as a gauge reads them.

``Counting.counters`` is what a target that has no counters of its own hands to
``telemetry.gauge.Gauge``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from holdfast.artifacts import signals
from holdfast.rollout.model import Counts, ReleaseId
from holdfast.runtime.clock import Clock
from holdfast.spec.model import Service
from holdfast.telemetry.prometheus.connection import Answer, Connection
from holdfast.telemetry.prometheus.tally import Tallies, Tally

LOOKBACK = 3  # scrapes: one may fail without the source being called silent


class Counting:
    """The counters of one service. Between two looks no more than ``window`` seconds may pass
    without losing what instances counted before they went away."""

    def __init__(self, service: Service, connection: Connection) -> None:
        of, metrics = service.observability.prometheus, service.observability
        self.window = max(of.stale_after, LOOKBACK * metrics.scrape)
        self._stale_after = of.stale_after
        self._connection = connection
        self._selectors = selectors(service)
        label = of.release_label or _label(service)
        timed, within = (
            Tally(label) if part in self._selectors else None for part in ("timed", "within")
        )
        self._tallies = Tallies(Tally(label), Tally(label), timed, within)

    async def counters(self, releases: Mapping[str, ReleaseId]) -> Mapping[ReleaseId, Counts]:
        """Counts since the first look. ``releases``: by every value the label may have for them.

        Raises ``SourceError``; then nothing is taken, and the next look has it all.
        """
        asked = [self._connection.select(each, self.window) for each in self._selectors.values()]
        self._take(await asyncio.gather(*asked, return_exceptions=True))
        return self._tallies.counts(releases)

    def _take(self, found: Sequence[Answer | BaseException]) -> None:
        answers: list[Answer] = []
        for each in found:
            if isinstance(each, BaseException):
                raise each
            answers.append(each)
        for name, answer in zip(self._selectors, answers, strict=True):
            tally: Tally | None = getattr(self._tallies, name)
            if tally is not None:
                tally.take(answer.series)
        self._tallies.assert_fresh(max(each.at for each in answers), self._stale_after)

    async def aclose(self) -> None:
        await self._connection.aclose()


def opened(service: Service, clock: Clock, base: Path = Path()) -> Counting | None:
    """The counters that the spec names, or None where it names no server.

    Raises ``Denied`` for certificates that cannot be read. ``base``: where its paths begin.
    """
    settings = service.observability.prometheus
    return Counting(service, Connection(settings, clock.wall, base)) if settings.url else None


def _label(service: Service) -> str:
    """A release has a Service of its own, by which the callers' sidecars tell it from others."""
    of = signals.release_source(service)
    return "destination_service_name" if of.name == "istio" else of.release


def selectors(service: Service) -> dict[str, str]:
    """What is asked, by the name of the tally that takes it."""
    of, given = signals.release_source(service), service.observability.prometheus
    found = {
        "requests": given.requests or str(of.counted),
        "errors": given.errors or str(of.failed),
    }
    if given.timed and given.within:
        return found | {"timed": given.timed, "within": given.within}
    if of.measures_latency and not given.requests:
        count = of.histogram.named(f"{of.histogram.metric}_count")
        found |= {"timed": str(count), "within": str(of.within(service.promises.p99))}
    return found
