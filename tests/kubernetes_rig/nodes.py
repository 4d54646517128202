"""A node agent without containers: it says of each pod what a kubelet would, by a rule of the test.

No container runs. What counts for whoever watches the API is what is said about pods: placed,
started, ready, waiting and why, ended. Ends honour the grace period that the deletion allows.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kubernetes_rig.api_server import Server
from kubernetes_rig.following import Api, Object, Resident

_STATUS = "strategic-merge-patch+json"


@dataclass(frozen=True)
class Fate:
    """What becomes of a pod on its node. Times in seconds."""

    ready_after: float | None = 0.3  # from its placement; None: it runs and is never ready
    waiting: str = ""  # why its containers do not run, such as ErrImagePull or CrashLoopBackOff
    said: str = ""  # the message beside the reason
    evicted: bool = False
    ends_after: float = 0.0  # from the deletion to its end, as far as its grace period allows


READY = Fate()
NEVER_READY = Fate(ready_after=None)
NO_IMAGE = Fate(waiting="ErrImagePull", said="manifest for the image not found")
CRASHES = Fate(waiting="CrashLoopBackOff", said="back-off 10s restarting failed container")
NO_CONFIG = Fate(waiting="CreateContainerConfigError", said='secret "x" not found')
EVICTED = Fate(evicted=True)
Rule = Callable[[Object], Fate]


def add_node(
    server: Server, name: str, zone: str = "tests-1a", architecture: str = "amd64"
) -> None:
    """A node that is ready, large, and has the labels of its zone."""
    labels = {
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": architecture,
        "kubernetes.io/hostname": name,
        "topology.kubernetes.io/zone": zone,
        "topology.kubernetes.io/region": zone[:-1],
    }
    room = {"cpu": "64", "memory": "256Gi", "pods": "1000", "ephemeral-storage": "100Gi"}
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}
    server.ask("POST", "/api/v1/nodes", node)
    status = {
        "capacity": room,
        "allocatable": room,
        "conditions": [{"type": "Ready", "status": "True", "reason": "Tests", "message": ""}],
    }
    merge = "merge-patch+json"
    server.ask("PATCH", f"/api/v1/nodes/{name}/status", {"status": status}, merge)
    server.ask("PATCH", f"/api/v1/nodes/{name}", {"spec": {"taints": None}}, merge)


@contextmanager
def nodes(server: Server, *names: str) -> Iterator[None]:
    """Nodes for one block: endpoints of pods on nodes that do not exist are left out."""
    for name in names:
        add_node(server, name)
    try:
        yield
    finally:
        for name in names:
            server.ask("DELETE", f"/api/v1/nodes/{name}")


def is_ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def staying(pod: Object) -> bool:
    """Not on its way out."""
    return "deletionTimestamp" not in pod["metadata"]


class NodeAgent(Resident):
    """The kubelets of all nodes, for the pods of one namespace.

    ``rule`` may be replaced at any time: it is asked again for every pod.
    ``places``: nodes to bind pods to where no scheduler runs.
    """

    def __init__(self, server: Server, namespace: str, places: tuple[str, ...] = ()) -> None:
        super().__init__(server)
        self._path = f"/api/v1/namespaces/{namespace}/pods"
        self._rule: Rule = lambda pod: READY
        self._places = itertools.cycle(places) if places else None
        self._addresses = itertools.count(1)
        self._seen: dict[str, Object] = {}
        self._applied: dict[str, object] = {}
        self._lives: dict[str, asyncio.Task[None]] = {}
        self._api: Api | None = None

    @property
    def rule(self) -> Rule:
        return self._rule

    @rule.setter
    def rule(self, rule: Rule) -> None:
        self._rule = rule
        self._soon(self._tend)

    def pods(self) -> list[Object]:
        """All pods that stay, as the server has them now."""
        return [pod for pod in self.server.ask("GET", self._path)["items"] if staying(pod)]

    def ready(self, **labels: str) -> int:
        """How many pods with these labels (``_`` for ``/``, ``.`` and ``-``) are ready now."""
        return sum(is_ready(pod) and _has(pod, labels) for pod in self.pods())

    def lives(self, api: Api) -> Iterator[Any]:
        self._api = api
        yield self._watch(api)

    async def _watch(self, api: Api) -> None:
        async with asyncio.TaskGroup() as self._tasks:
            async for _ in api.follow(self._path, self._seen):
                self._tend()

    def _tend(self) -> None:
        for uid in [uid for uid in self._applied if uid not in self._seen]:
            self._forget(uid)
        for uid, pod in self._seen.items():
            wanted = self._wanted(pod)
            if self._applied.get(uid) != wanted:
                self._forget(uid)
                self._applied[uid] = wanted
                self._lives[uid] = self._tasks.create_task(self._live(pod, *wanted))

    def _wanted(self, pod: Object) -> tuple[str, Fate]:
        fate = self._rule(pod)
        if not staying(pod):
            return "ends", fate
        return ("lives" if pod["spec"].get("nodeName") else "waits"), fate

    def _forget(self, uid: str) -> None:
        self._applied.pop(uid, None)
        if task := self._lives.pop(uid, None):
            task.cancel()

    async def _live(self, pod: Object, stage: str, fate: Fate) -> None:
        assert self._api is not None
        name = f"{self._path}/{pod['metadata']['name']}"
        if stage == "waits":
            if self._places:
                await self._bind(name, next(self._places))
        elif stage == "ends":
            allowed = pod["metadata"].get("deletionGracePeriodSeconds", 0)
            await asyncio.sleep(min(fate.ends_after, allowed))
            uid = {"uid": pod["metadata"]["uid"]}
            await self._api.told("DELETE", name, {"gracePeriodSeconds": 0, "preconditions": uid})
        else:
            await self._run_pod(pod, name, fate)

    async def _bind(self, name: str, node: str) -> None:
        assert self._api is not None
        target = {"apiVersion": "v1", "kind": "Node", "name": node}
        body = {"apiVersion": "v1", "kind": "Binding", "target": target}
        body["metadata"] = {"name": name.rpartition("/")[2]}
        await self._api.told("POST", f"{name}/binding", body)

    async def _run_pod(self, pod: Object, name: str, fate: Fate) -> None:
        assert self._api is not None
        if fate.ready_after and not fate.waiting and not fate.evicted and not is_ready(pod):
            await asyncio.sleep(fate.ready_after)
        status = self._status(pod, fate)
        await self._api.told("PATCH", f"{name}/status", {"status": status}, _STATUS)

    def _status(self, pod: Object, fate: Fate) -> Object:
        if fate.evicted:
            said = "The node was low on resource: memory."
            return {"phase": "Failed", "reason": "Evicted", "message": said,
                    "conditions": _conditions(False)}  # fmt: skip
        ready = not fate.waiting and fate.ready_after is not None
        pulls = fate.waiting and fate.waiting != "CrashLoopBackOff"
        address = pod.get("status", {}).get("podIP") or self._address()
        return {
            "phase": "Pending" if pulls else "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "startTime": pod["metadata"]["creationTimestamp"],
            "conditions": _conditions(ready),
            "containerStatuses": [
                _container(each, fate, ready) for each in pod["spec"]["containers"]
            ],
        }

    def _address(self) -> str:
        count = next(self._addresses)
        return f"10.{64 + count // 65536}.{count // 256 % 256}.{count % 256}"


def _conditions(ready: bool) -> list[Object]:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    said = "True" if ready else "False"
    return [
        {"type": kind, "status": said, "lastTransitionTime": now}
        for kind in ("Ready", "ContainersReady")
    ]


def _container(wanted: Object, fate: Fate, ready: bool) -> Object:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    state: Object = {"running": {"startedAt": now}}
    last: Object = {}
    if fate.waiting:
        state = {"waiting": {"reason": fate.waiting, "message": fate.said}, "running": None}
    if fate.waiting == "CrashLoopBackOff":
        last = {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": now}}
    return {
        "name": wanted["name"],
        "image": wanted["image"],
        "imageID": "",
        "ready": ready,
        "started": not fate.waiting,
        "restartCount": 3 if last else 0,
        "state": state,
        "lastState": last,
    }


def _has(pod: Object, labels: dict[str, str]) -> bool:
    found = {_word(key): value for key, value in pod["metadata"].get("labels", {}).items()}
    return all(found.get(_word(key)) == value for key, value in labels.items())


def _word(label: str) -> str:
    return label.translate(str.maketrans("/.-", "___"))
