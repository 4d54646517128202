"""Orders, performed: each states an end, is fenced, and is written over the state it was read from.

What was ordered already is not written again: the turn that repeats an order costs no request.
"""

from __future__ import annotations

import contextlib
import copy
import logging
from collections.abc import Awaitable, Callable

from holdfast.artifacts.names import MANAGER
from holdfast.rollout.model import ReleaseId, Route, Scale
from holdfast.spec.model import Service
from holdfast.targets.base import Bundle, Refused
from holdfast.targets.kubernetes import drift, routes, wanted
from holdfast.targets.kubernetes.answers import Changed, Clashes
from holdfast.targets.kubernetes.client import Client
from holdfast.targets.kubernetes.kinds import DEPLOYMENT, DESTINATION_RULE, SERVICE, Object, name_of
from holdfast.targets.kubernetes.marks import (
    BEFORE,
    HASH,
    WEIGHTS,
    Weights,
    generation_of,
    hashed,
    object_name,
    read,
    release_of,
    size_of,
)
from holdfast.targets.kubernetes.ownership import applied
from holdfast.targets.kubernetes.routes import Stamp, Way
from holdfast.targets.kubernetes.scaler import following, freeze, grown, in_proportion, kind_for
from holdfast.targets.kubernetes.seen import fleets
from holdfast.targets.kubernetes.shares import Acknowledged, carried
from holdfast.targets.kubernetes.sight import Seen, Sight

TRIES = 5  # of a write over a state that others change as well
log = logging.getLogger("holdfast.targets.kubernetes")


class Performer:
    """Writes Deployments and routes of one service."""

    def __init__(self, client: Client, sight: Sight, shares: Acknowledged, way: Way) -> None:
        self._client, self._sight, self._shares, self._way = client, sight, shares, way
        self._addressed: set[ReleaseId] = set()  # whose Services are known to be there
        self._routed: tuple[Route, int, Service] | None = None  # the last one written
        self._pointed: Object = {}  # the plain Service as it was written last
        self._newest = 0

    # ---- sizes

    async def scale(
        self, order: Scale, fence: int, there: Seen, bundle: Bundle | None, known_drift: bool
    ) -> None:
        self._admit(fence)
        name = object_name(self._way.service, order.release)
        known = there.deployments.get(name)
        if known is None and order.size and bundle is None:
            raise Refused("unprepared", f"{order.release} was not prepared")
        if order.size == 0:
            await self._retire(order, fence, there)
        elif not _stands(known, order.size, fence, there):
            await self._resize(order, fence, bundle, known_drift, there)

    async def _resize(
        self, order: Scale, fence: int, bundle: Bundle | None, known_drift: bool, there: Seen
    ) -> None:
        name = object_name(self._way.service, order.release)
        if bundle is not None:
            await freeze(self._client, bundle.service, self._space, name, there)
            await self._address(bundle)

        async def write() -> Object:
            found = await self._client.get(DEPLOYMENT, self._space, name)
            body, ours = self._sized(order, fence, bundle, found, there)
            return await self._client.apply(body, force=known_drift or ours)

        self._sight.deployments.put(await _again(write))

    def _sized(
        self, order: Scale, fence: int, bundle: Bundle | None, found: Object | None, there: Seen
    ) -> tuple[Object, bool]:
        """The Deployment to apply, and whether nobody else changed what is there."""
        size = in_proportion(order.size, object_name(self._way.service, order.release), there)
        if found is None:
            if bundle is None:
                raise Refused("unprepared", f"{order.release} was not prepared")
            return wanted.deployment(bundle, order.size, fence, size), False
        self._check_fence(found, fence)
        size = max(size, grown(found, there))
        body = _over(found, wanted.sized(applied(found, MANAGER), order.size, fence, size))
        return body, not drift.of_deployments([found], there.autoscalers.values())

    async def _address(self, bundle: Bundle) -> None:
        if bundle.release.id not in self._addressed:
            for part in wanted.address_parts(bundle):
                await self._client.apply(part)
            self._addressed.add(bundle.release.id)

    async def _retire(self, order: Scale, fence: int, there: Seen) -> None:
        """Deletes the Deployment: its pods end with their grace, and nothing starts others."""
        route = await self._client.get(self._way.kind, self._space, self._way.service)
        if order.idle:
            last = self._shares.weights(there, {})
            if share := carried(order.release, self._way, route, last):
                raise Refused("carries-traffic", f"{order.release} has {share} % of the traffic")
        name = object_name(self._way.service, order.release)
        found = await self._client.get(DEPLOYMENT, self._space, name)
        if found is not None:
            self._check_fence(found, fence)
            await self._client.delete(DEPLOYMENT, self._space, name)
            self._sight.deployments.drop(name)
        await self._close(order.release, route, there)
        if self._way.name == "istio":
            await self._client.delete(DESTINATION_RULE, self._space, name)
        await self._client.delete(SERVICE, self._space, name)
        self._addressed.discard(order.release)

    async def _close(self, gone: ReleaseId, route: Object | None, there: Seen) -> None:
        """Nobody is left to answer: let nobody in. The Service itself stays for its callers."""
        if route is None or self._way.kind is SERVICE:
            return
        left = {release_of(each) for each in there.deployments.values()} - {gone, None}
        routed = {release for release, weight in read(route, WEIGHTS) if weight}
        if routed and not routed & left:
            await self._client.delete(self._way.kind, self._space, self._way.service)
            self._sight.route.drop(self._way.service)
            self._routed = None

    # ---- weights

    async def route(
        self, order: Route, fence: int, there: Seen, bundles: list[Bundle], known_drift: bool
    ) -> None:
        self._admit(fence)
        if sum(weight for _, weight in order.weights) != 100:
            raise Refused("bad-weights", f"{dict(order.weights)} do not add up to 100")
        self._check_ready(order, there)
        spec = _shaping(order.weights, bundles)
        if self._routed == (order, fence, spec) and not known_drift and there.route is not None:
            return

        async def write() -> Object:
            found = await self._client.get(self._way.kind, self._space, self._way.service)
            body = self._body(order, fence, there, found, spec)
            return await self._client.apply(body, force=known_drift or self._is_ours(found))

        self._sight.route.put(await _again(write))
        if self._way.kind is not SERVICE:
            await self._point(spec, order.weights)
        await self._follow(spec, order.weights)
        self._routed = (order, fence, spec)

    def _body(
        self, order: Route, fence: int, there: Seen, found: Object | None, spec: Service
    ) -> Object:
        before: Weights = ()
        if found is not None:
            self._check_fence(found, fence)
            same = dict(read(found, WEIGHTS)) == {r: w for r, w in order.weights if w}
            before = read(found, BEFORE) if same else self._shares.weights(there, {})
        body = routes.route(spec, order.weights, Stamp(fence, before))
        return body if found is None else _over(found, body)

    def _is_ours(self, found: Object | None) -> bool:
        """Whether nobody changed it since: then writing takes nothing from anybody."""
        return found is not None and not drift.of_route(found, routes.shares(self._way, found))

    def _check_ready(self, order: Route, there: Seen) -> None:
        seen = fleets(there.pods.values(), (), there.slices.values(), {})
        ready = {fleet.release: fleet.ready for fleet in seen}
        for release, needed in order.needs:
            if ready.get(release, 0) < needed:
                detail = f"{release} has {ready.get(release, 0)} ready, {needed} are needed"
                raise Refused("not-ready", detail)

    async def _point(self, spec: Service, weights: Weights) -> None:
        """Callers inside the cluster that no mesh shares out go to the release with most traffic.

        A Service that others keep, such as GitOps, stays as they want it.
        """
        made = wanted.main_address(spec)
        made["spec"]["selector"] |= {HASH: hashed(routes.heaviest(weights))}
        if made == self._pointed:
            return
        try:
            await self._client.apply(made)
            self._pointed = made
        except Clashes as clashes:
            log.warning("the plain Service was left alone: %s", clashes.detail)

    async def _follow(self, spec: Service, weights: Weights) -> None:
        """The release that has all the traffic is the one that is scaled by it."""
        alone = [release for release, weight in weights if weight == 100]
        if alone and kind_for(spec) is not None:
            await self._client.apply(following(spec, alone[0]), force=True)

    # ---- fencing

    @property
    def _space(self) -> str:
        return self._sight.namespace

    def _admit(self, fence: int) -> None:
        """Newer orders were performed here already: an older one is somebody's who was replaced."""
        if fence < self._newest:
            raise Refused("stale-generation", f"{fence} is older than {self._newest}")
        self._newest = fence

    def _check_fence(self, found: Object, fence: int) -> None:
        newest = generation_of(found)
        if newest > fence:
            detail = f"{found['kind']} {name_of(found)} was written by {newest}, newer than {fence}"
            raise Refused("stale-generation", detail)


async def _again(write: Callable[[], Awaitable[Object]]) -> Object:
    """Controllers write to the same objects: what changed under us is read and written again."""
    for _ in range(TRIES - 1):
        with contextlib.suppress(Changed):
            return await write()
    return await write()


def _over(found: Object, body: Object) -> Object:
    """Only over the state that was read: whoever writes between makes us read again."""
    made = copy.deepcopy(body)
    made["metadata"]["resourceVersion"] = found["metadata"]["resourceVersion"]
    return made


def _stands(known: Object | None, size: int, fence: int, there: Seen) -> bool:
    """Whether it was ordered already, and is so."""
    if known is None or generation_of(known) != fence or size_of(known) != size:
        return False
    now = int(known.get("spec", {}).get("replicas") or 0)
    if grown(known, there):
        return now >= size
    return now == in_proportion(size, name_of(known), there)


def _shaping(weights: Weights, bundles: list[Bundle]) -> Service:
    """The release with the most traffic says how requests are treated."""
    most = routes.heaviest(weights)
    return next(bundle.service for bundle in bundles if bundle.release.id == most)
