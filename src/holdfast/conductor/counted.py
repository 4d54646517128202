"""Where a target meets its source of metrics: neither knows the other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from holdfast.rollout.model import ReleaseId
from holdfast.runtime.clock import Clock
from holdfast.spec.model import Service
from holdfast.targets.base import Bundle, RawCounts, Unreachable
from holdfast.telemetry.prometheus.answer import SourceError
from holdfast.telemetry.prometheus.source import Counting, opened


class Counted:
    """Requests of one service, from the Prometheus that its newest release names."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._of: tuple[Service, str] | None = None
        self._counting: Counting | None = None

    async def counters(
        self, bundle: Bundle, releases: Mapping[str, ReleaseId]
    ) -> Mapping[ReleaseId, RawCounts]:
        """Raises ``Unreachable`` with what keeps the source from answering."""
        try:
            counting = await self._open(bundle)
            found = await counting.counters(releases)
        except SourceError as error:
            raise Unreachable(f"observability.prometheus: {error}") from error
        return {
            release: RawCounts(counts.requests, counts.errors, counts.slow)
            for release, counts in found.items()
        }

    async def _open(self, bundle: Bundle) -> Counting:
        """Another spec may mean another server, and counting begins anew."""
        wanted = (bundle.service.model_copy(update={"version": None}), bundle.base_dir)
        if self._counting is None or wanted != self._of:
            await self.aclose()
            self._counting = opened(bundle.service, self._clock, Path(bundle.base_dir))
            self._of = wanted
        if self._counting is None:
            detail = f"no source of metrics is known for {bundle.service.service}"
            raise Unreachable(f"{detail}: set observability.prometheus")
        return self._counting

    async def aclose(self) -> None:
        counting, self._counting = self._counting, None
        if counting is not None:
            await counting.aclose()
