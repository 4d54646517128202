"""The service's one entrance: which release gets which share, and how requests are treated."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path

from holdfast.rollout.model import ReleaseId
from holdfast.spec.model import Traffic
from holdfast.targets.base import Bundle, Refused
from holdfast.targets.local import envoy_config
from holdfast.targets.local.envoy import Envoy, Files, files_of_kind
from holdfast.targets.local.envoy_config import Weights


class Edge:
    """Writes routes and listener. The release with the most traffic shapes the entrance."""

    def __init__(self, envoy: Envoy) -> None:
        self._envoy = envoy
        self.traffic: Traffic | None = None  # as acknowledged; None: nobody is let in
        self.unsure: Weights = ()  # a route whose acknowledgement did not come

    async def route(self, weights: Weights, bundles: Sequence[Bundle]) -> None:
        """Done when Envoy acknowledged. Idempotent."""
        if sum(weight for _, weight in weights) != 100:
            raise Refused("bad-weights", f"{dict(weights)} do not add up to 100")
        traffic = shaping(weights, bundles)
        self.unsure = weights
        try:
            await self._envoy.publish(*self._files(weights, traffic))
        except Refused:
            self.unsure = ()
            raise
        self.traffic, self.unsure = traffic, ()

    def resume(self, weights: Weights, bundles: Sequence[Bundle]) -> None:
        """The same without asking Envoy, which reads the files when it comes up."""
        self.traffic = shaping(weights, bundles)
        self._envoy.write(*self._files(weights, self.traffic))

    async def close(self) -> None:
        """Nobody new is let in: the service goes away."""
        places = self._envoy.places
        await self._envoy.publish(files_of_kind("lds", places, ()))
        self.traffic = None

    def _files(self, weights: Weights, traffic: Traffic) -> list[Files]:
        places = self._envoy.places
        shares = [(name, weight) for name, weight in weights if weight]
        if traffic.protocol == "tcp":
            listener = envoy_config.listener(shares, traffic, places)
            return [files_of_kind("lds", places, [listener])]
        routes = envoy_config.routes(shares, traffic)
        listener = envoy_config.listener((), traffic, places)
        return [files_of_kind("rds", places, [routes]), files_of_kind("lds", places, [listener])]

    def weights_on_disk(self) -> tuple[tuple[ReleaseId, int], ...]:
        """What the files say now, whoever wrote them. Empty when they cannot be understood."""
        for kind in ("lds", "rds"):  # the listener has weights of its own only for TCP
            path = Path(self._envoy.places.file(kind))
            with contextlib.suppress(OSError, ValueError, KeyError, IndexError, TypeError):
                (resource,) = json.loads(path.read_text())["resources"]
                if kind == "lds":
                    holder = resource["filter_chains"][0]["filters"][0]["typed_config"]
                else:
                    holder = resource["virtual_hosts"][0]["routes"][0]["route"]
                clusters = holder["weighted_clusters"]["clusters"]
                return tuple(
                    (envoy_config.release_of(each["name"]), int(each["weight"]))
                    for each in clusters
                )
        return ()


def shaping(weights: Weights, bundles: Sequence[Bundle]) -> Traffic:
    share = dict(weights)
    return max(bundles, key=lambda bundle: share.get(bundle.release.id, 0)).service.traffic
