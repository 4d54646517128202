"""An independent witness: it watches pods and their owners, and nobody else's word counts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kubernetes_rig.api_server import Server
from kubernetes_rig.following import Api, Object, Resident
from kubernetes_rig.nodes import is_ready, staying


@dataclass(frozen=True)
class Moment:
    """The pods of a namespace after one change."""

    at: float  # monotonic seconds
    ready: int
    pods: int  # those that are not on their way out
    wanted: int  # over all replica sets: what a controller bounds


class Observer(Resident):
    """Every moment since ``begin``. A pod that shall go may be seen beside its successor for a
    moment, because two controllers work at the same time; ``wanted`` has no such lag."""

    def __init__(self, server: Server, namespace: str) -> None:
        super().__init__(server)
        self.moments: list[Moment] = []
        self._pods_path = f"/api/v1/namespaces/{namespace}/pods"
        self._sets_path = f"/apis/apps/v1/namespaces/{namespace}/replicasets"
        self._pods: dict[str, Object] = {}
        self._sets: dict[str, Object] = {}

    def begin(self) -> None:
        """Forget what was before: the next moment is the first."""
        self.moments = self.moments[-1:]

    @property
    def fewest_ready(self) -> int:
        return min(each.ready for each in self.moments)

    @property
    def most_wanted(self) -> int:
        return max(each.wanted for each in self.moments)

    @property
    def most_pods(self) -> int:
        return max(each.pods for each in self.moments)

    def lives(self, api: Api) -> Iterator[Any]:
        yield self._follow(api, self._pods_path, self._pods)
        yield self._follow(api, self._sets_path, self._sets)

    async def _follow(self, api: Api, path: str, seen: dict[str, Object]) -> None:
        async for _ in api.follow(path, seen):
            self._note()

    def _note(self) -> None:
        there = [pod for pod in self._pods.values() if staying(pod)]
        wanted = sum(each["spec"]["replicas"] for each in self._sets.values())
        ready = sum(map(is_ready, there))
        self.moments.append(Moment(time.monotonic(), ready, len(there), wanted))
