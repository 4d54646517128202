"""What there is of one service in the cluster, followed by watches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from holdfast.artifacts import names
from holdfast.runtime.clock import Clock
from holdfast.spec.model import Service
from holdfast.targets.kubernetes import kinds, marks
from holdfast.targets.kubernetes.client import Client
from holdfast.targets.kubernetes.kinds import Kind, Object
from holdfast.targets.kubernetes.mirror import Mirror, Selection, whole
from holdfast.targets.kubernetes.routes import Way
from holdfast.targets.kubernetes.seen import leaves


@dataclass(frozen=True, slots=True)
class Seen:
    """All objects at one moment, by name."""

    pods: Mapping[str, Object]
    deployments: Mapping[str, Object]
    slices: Mapping[str, Object]
    autoscalers: Mapping[str, Object]
    route: Object | None

    @property
    def leaving(self) -> frozenset[str]:
        return frozenset(name for name, pod in self.pods.items() if leaves(pod))


class Sight:
    """Mirrors of everything that says how a service is."""

    def __init__(
        self, client: Client, clock: Clock, spec: Service, way: Way, changed: Callable[[], None]
    ) -> None:
        space, name = names.namespace(spec), spec.service
        self._name, self.namespace = name, space

        def follow(kind: Kind, selector: str, keep: Callable[[Object], Object] = whole) -> Mirror:
            return Mirror(client, clock, Selection(kind, space, selector), changed, keep)

        self._pods = follow(kinds.POD, marks.pods_of_service(name), lean)
        self.deployments = follow(kinds.DEPLOYMENT, marks.of_service(name))
        self._slices = follow(kinds.ENDPOINTS, marks.of_service(name), lean)
        self._autoscalers = follow(kinds.AUTOSCALER, "", lean)
        self.route = follow(way.kind, f"metadata.name={name}")

    def open(self) -> None:
        for mirror in self._all():
            mirror.open()

    async def aclose(self) -> None:
        await asyncio.gather(*(mirror.aclose() for mirror in self._all()))

    async def look(self) -> Seen:
        """Raises what keeps us from seeing any part of it."""
        pods, deployments, slices, autoscalers, route = [
            await mirror.objects() for mirror in self._all()
        ]
        return Seen(pods, deployments, slices, autoscalers, route.get(self._name))

    def _all(self) -> tuple[Mirror, ...]:
        return (self._pods, self.deployments, self._slices, self._autoscalers, self.route)


def lean(found: Object) -> Object:
    """Without what nobody here reads: ten thousand pods are kept in memory."""
    metadata = {
        key: value
        for key, value in found["metadata"].items()
        if key in ("name", "labels", "annotations", "resourceVersion", "deletionTimestamp")
    }
    spec = {key: found["spec"][key] for key in _SPEC if key in found.get("spec", {})}
    kept: Object = {key: found[key] for key in ("kind", "status", "endpoints") if key in found}
    return {**kept, "metadata": metadata, "spec": spec}


_SPEC = ("scaleTargetRef", "minReplicas", "maxReplicas")
