"""A Gateway controller without a gateway: it says when a route is programmed, late, or never."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kubernetes_rig.api_server import Server
from kubernetes_rig.following import Api, Object, Resident

CONTROLLER = "holdfast.dev/tests-only"
_PATH = "/apis/gateway.networking.k8s.io/v1"


@dataclass(frozen=True)
class Programmed:
    """A route as the data plane would have it from now on."""

    at: float  # monotonic seconds
    route: str
    generation: int
    weights: tuple[tuple[str, int], ...]  # by backend, of the first rule with backends


class GatewayController(Resident):
    """Programs the HTTPRoutes of a namespace ``after`` seconds; None: never. ``refuses`` says no.

    Both may be changed at any time and hold for what is written from then on.
    """

    def __init__(self, server: Server, namespace: str, after: float | None = 0.02) -> None:
        super().__init__(server)
        self.after, self.refuses = after, ""
        self.programmed: list[Programmed] = []
        self._path = f"{_PATH}/namespaces/{namespace}/httproutes"
        self._seen: dict[str, Object] = {}
        self._done: dict[str, int] = {}

    def weights(self, route: str = "") -> dict[str, int]:
        """What the data plane has now, of the last route that has backends."""
        found = [e for e in self.programmed if route in ("", e.route) and e.weights]
        return dict(found[-1].weights) if found else {}

    def lives(self, api: Api) -> Iterator[Any]:
        yield self._watch(api)

    async def _watch(self, api: Api) -> None:
        async with asyncio.TaskGroup() as tasks:
            async for _ in api.follow(self._path, self._seen):
                for uid, route in self._seen.items():
                    generation = route["metadata"]["generation"]
                    if self._done.get(uid) != generation:
                        self._done[uid] = generation
                        tasks.create_task(self._program(api, route))

    async def _program(self, api: Api, route: Object) -> None:
        if self.after is None:
            return
        await asyncio.sleep(self.after)
        metadata = route["metadata"]
        if self._done[metadata["uid"]] != metadata["generation"]:
            return  # a newer one is on its way
        if not self.refuses:
            found = Programmed(
                time.monotonic(), metadata["name"], metadata["generation"], weights_of(route)
            )
            self.programmed.append(found)
        body = {"status": {"parents": [self._parent(each, route) for each in _parents(route)]}}
        name = f"{self._path}/{metadata['name']}/status"
        await api.told("PATCH", name, body, "merge-patch+json")

    def _parent(self, parent: Object, route: Object) -> Object:
        accepted = ("False", self.refuses) if self.refuses else ("True", "Accepted")
        said = {"Accepted": accepted, "ResolvedRefs": ("True", "ResolvedRefs")}
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        conditions = [
            {
                "type": kind,
                "status": status,
                "reason": reason,
                "message": "",
                "observedGeneration": route["metadata"]["generation"],
                "lastTransitionTime": now,
            }
            for kind, (status, reason) in said.items()
        ]
        return {"parentRef": parent, "controllerName": CONTROLLER, "conditions": conditions}


def _parents(route: Object) -> list[Object]:
    return list(route["spec"].get("parentRefs", ()))


def weights_of(route: Object) -> tuple[tuple[str, int], ...]:
    """Backends and weights of the first rule that has two, else of the first that has any."""
    rules = [rule.get("backendRefs", ()) for rule in route["spec"].get("rules", ())]
    backends = max(rules, key=len, default=())
    return tuple((each["name"], each.get("weight", 1)) for each in backends)
