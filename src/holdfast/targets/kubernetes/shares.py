"""Which shares of the traffic the data plane has acknowledged."""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.rollout.model import ReleaseId
from holdfast.targets.kubernetes import routes
from holdfast.targets.kubernetes.kinds import Object
from holdfast.targets.kubernetes.marks import BEFORE, WEIGHTS, Weights, hashed, read
from holdfast.targets.kubernetes.routes import Way
from holdfast.targets.kubernetes.sight import Seen


class Acknowledged:
    """Remembers the last shares that were programmed while new ones are on their way.

    After a restart they are those that the route notes beside its own.
    """

    def __init__(self, way: Way) -> None:
        self._way = way
        self._last: Weights | None = None

    def weights(self, there: Seen, names: Mapping[str, ReleaseId]) -> Weights:
        """As the data plane has them now."""
        found = there.route
        if found is None:
            self._last = None
            return ()
        if not read(found, WEIGHTS):
            return ()  # a Service or route that was there before us carries nobody of ours
        slices = there.slices.values()
        if routes.programmed(self._way, found, slices, there.leaving):
            self._last = self._actual(found, names)
        return self._last if self._last is not None else read(found, BEFORE)

    def _actual(self, found: Object, names: Mapping[str, ReleaseId]) -> Weights:
        known = {hashed(release): release for release, _ in read(found, WEIGHTS)} | dict(names)
        shares = routes.shares(self._way, found)
        return tuple(sorted((known.get(name, name), weight) for name, weight in shares.items()))


def carried(release: ReleaseId, way: Way, found: Object | None, acknowledged: Weights) -> int:
    """Percent of the traffic that a release has, or may get by a route on its way."""
    if found is None:
        return 0
    shares = routes.shares(way, found)
    ordered = dict(read(found, WEIGHTS))
    known = dict(acknowledged)
    mine = hashed(release)
    return max(shares.get(mine, 0), ordered.get(release, 0), known.get(release, 0))
