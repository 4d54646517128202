"""Controllers, nodes and a gateway over the simulated API server: enough to roll out on.

Deployments make pods, pods get ready by their fate, EndpointSlices follow, a gateway programs
routes. Everything happens in the event loop of the test, a moment after what causes it.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from kubernetes_simulated.server import Server, serving
from kubernetes_simulated.store import Object, Store

CRASHES = {
    "restartCount": 3,
    "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
    "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}},
}
NO_IMAGE = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}}
Fate = Callable[[Object], Object | None]  # a pod -> the status of its container; None: ready


@dataclass
class Cluster:
    """What its parts do, changeable at any time."""

    server: Server = field(default_factory=Server)
    fate: Fate = lambda pod: None
    ready_s: float = 0.03
    end_s: float = 0.03  # from a pod's deletion to its end
    program_s: float | None = 0.02  # from a route to its acknowledgement; None: never
    refuses: str = ""  # why the gateway refuses routes
    pods_max: int = 1000  # a quota
    _names: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _due: bool = False

    @property
    def store(self) -> Store:
        return self.server.store

    def all(self, plural: str) -> list[tuple[str, Object]]:
        return [
            (at, each) for at, each in self.store.objects.items() if at.split("/")[-2] == plural
        ]

    def one(self, plural: str, name: str) -> Object:
        return next(each for _, each in self.all(plural) if each["metadata"]["name"] == name)

    def told(self) -> None:
        """Something changed: all controllers look, once, a moment later."""
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        self._due = False
        for at, deployment in self.all("deployments"):
            self._scale(at, deployment)
        for at, pod in self.all("pods"):
            self._tend(at, pod)
        for at, service in self.all("services"):
            self._slice(at, service)
        for at, route in self.all("httproutes"):
            self._program(at, route)

    # ---- controllers

    def _scale(self, at: str, deployment: Object) -> None:
        wanted = deployment["spec"].get("replicas", 1)
        owner = deployment["metadata"]["uid"]
        place = at.replace("/apis/apps/v1/", "/api/v1/").rpartition("/deployments/")[0] + "/pods"
        mine = [
            (where, pod) for where, pod in self.all("pods")
            if _owner(pod) == owner and not _leaves(pod)
        ]  # fmt: skip
        for where, pod in sorted(mine, key=lambda e: _is_ready(e[1]))[: max(0, len(mine) - wanted)]:
            self._end(where, pod)
        for _ in range(wanted - len(mine)):
            if len(self.all("pods")) >= self.pods_max:
                return self._starve(at, deployment)
            self._make(place, deployment)

    def _starve(self, at: str, deployment: Object) -> None:
        said = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
                "message": 'pods "x" is forbidden: exceeded quota: pods'}  # fmt: skip
        self.store.put(at, {**deployment, "status": {"conditions": [said]}})

    def _make(self, place: str, deployment: Object) -> None:
        template = deployment["spec"]["template"]
        name = f"{deployment['metadata']['name']}-rs-{next(self._names)}"
        metadata = {**template["metadata"], "name": name, "ownerReferences": [
            {"kind": "Deployment", "uid": deployment["metadata"]["uid"]}]}  # fmt: skip
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
        self.store.put(f"{place}/{name}", {**pod, "status": {"phase": "Pending"}})

    def _tend(self, at: str, pod: Object) -> None:
        owners = {each["metadata"]["uid"] for _, each in self.all("deployments")}
        if _leaves(pod):
            self._later(("end", at), self.end_s, lambda: self._gone(at))
        elif _owner(pod) not in owners:
            self._end(at, pod)
        elif (sick := self.fate(pod)) is not None:
            status = {"phase": "Running", "containerStatuses": [{"name": "app", **sick}]}
            self.store.put(at, {**pod, "status": status})
        elif not _is_ready(pod):
            self._later(("ready", at), self.ready_s, lambda: self._ready(at))

    def _ready(self, at: str) -> None:
        pod = self.store.objects.get(at)
        if pod is not None and not _leaves(pod):
            said = [{"type": "Ready", "status": "True"}]
            self.store.put(at, {**pod, "status": {"phase": "Running", "conditions": said}})

    def _end(self, at: str, pod: Object) -> None:
        metadata = pod["metadata"] | {"deletionTimestamp": "2026-01-01T00:00:00Z"}
        self.store.put(at, {**pod, "metadata": metadata})

    def _gone(self, at: str) -> None:
        if at in self.store.objects:
            self.store.remove(at)

    def _slice(self, at: str, service: Object) -> None:
        chosen = service["spec"]["selector"].items()
        endpoints = [
            {"targetRef": {"kind": "Pod", "name": pod["metadata"]["name"]},
             "conditions": {"ready": _is_ready(pod) and not _leaves(pod)}}
            for _, pod in self.all("pods") if chosen <= pod["metadata"]["labels"].items()
        ]  # fmt: skip
        name = f"{service['metadata']['name']}-slice"
        where = at.replace("/api/v1/", "/apis/discovery.k8s.io/v1/")
        where = where.rpartition("/services/")[0] + f"/endpointslices/{name}"
        labels = {**service["metadata"].get("labels", {}),
                  "kubernetes.io/service-name": service["metadata"]["name"]}  # fmt: skip
        self.store.put(where, {"kind": "EndpointSlice", "endpoints": endpoints,
                               "metadata": {"name": name, "labels": labels}})  # fmt: skip

    def _program(self, at: str, route: Object) -> None:
        generation = route["metadata"]["generation"]
        if self.program_s is not None:
            key = ("program", at, generation)
            self._later(key, self.program_s, lambda: self._programmed(at, generation))

    def _programmed(self, at: str, generation: int) -> None:
        route = self.store.objects.get(at)
        if route is None or route["metadata"]["generation"] != generation:
            return
        accepted = "False" if self.refuses else "True"
        said = [
            {"type": kind, "status": status, "observedGeneration": generation,
             "reason": self.refuses or kind}
            for kind, status in (("Accepted", accepted), ("ResolvedRefs", "True"))
        ]  # fmt: skip
        parents = [{"parentRef": each, "conditions": said} for each in route["spec"]["parentRefs"]]
        self.store.put(at, {**route, "status": {"parents": parents}})

    def _later(self, key: tuple[object, ...], after: float, act: Callable[[], None]) -> None:
        """Once for each key, however often it is asked for meanwhile."""
        name = repr(key)
        if any(task.get_name() == name for task in self._tasks):
            return

        async def wait() -> None:
            await asyncio.sleep(after)
            act()

        task = asyncio.create_task(wait(), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        self.store.told = lambda: None
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def running(cluster: Cluster) -> AsyncIterator[Cluster]:
    cluster.store.told = cluster.told
    async with serving(cluster.server):
        try:
            yield cluster
        finally:
            await cluster.stop()


def _owner(pod: Object) -> str:
    return pod["metadata"].get("ownerReferences", [{"uid": ""}])[0]["uid"]


def _leaves(pod: Object) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def _is_ready(pod: Object) -> bool:
    said = pod.get("status", {}).get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in said)
