"""Controllers and a scheduler beside the API server, and nodes that exist only as objects.

Real controllers decide; a node agent of our own says what a kubelet would: started, ready, gone.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import kube_api
import pytest
from kube_api import Refused, Server

READY_AFTER = 0.3  # seconds from a pod's placement to its readiness
_LOOK = 0.1
_CONTROLLERS = "deployment-controller,replicaset-controller,disruption-controller"


@contextmanager
def controllers(folder: Path, server: Server) -> Iterator[None]:
    """The controllers of Deployments and budgets, and the scheduler; skips without the programs."""
    programs = kube_api.assets()
    wanted = [programs / name for name in ("kube-controller-manager", "kube-scheduler")]
    if not all(program.is_file() for program in wanted):
        pytest.skip("no kube-controller-manager and kube-scheduler in $KUBEBUILDER_ASSETS")
    access = _access(folder, server)
    flags = [f"--kubeconfig={access}", "--leader-elect=false", "--secure-port=0"]
    more = {"kube-controller-manager": [f"--controllers={_CONTROLLERS}"]}
    started = []
    try:
        for program in wanted:
            command = [str(program), *flags, *more.get(program.name, [])]
            started.append(kube_api.start(folder, command))
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def _access(folder: Path, server: Server) -> Path:
    cluster = {
        "server": f"https://127.0.0.1:{server.port}",
        "certificate-authority": str(server.authority),
    }
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "tests", "cluster": cluster}],
        "users": [{"name": "tests", "user": {"token": kube_api.TOKEN}}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
        "current-context": "tests",
    }
    path = folder / "kubeconfig.json"
    path.write_text(json.dumps(config))
    return path


def add_node(server: Server, name: str, zone: str, architecture: str = "amd64") -> None:
    """A node that is ready, large, and has the labels of its zone."""
    labels = {
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": architecture,
        "kubernetes.io/hostname": name,
        "topology.kubernetes.io/zone": zone,
        "topology.kubernetes.io/region": zone[:-1],
    }
    room = {"cpu": "64", "memory": "256Gi", "pods": "110", "ephemeral-storage": "100Gi"}
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


class NodeAgent:
    """Does for all nodes what their kubelets would; remembers what it saw at each look."""

    def __init__(self, server: Server, namespace: str) -> None:
        self.server, self.pods_path = server, f"/api/v1/namespaces/{namespace}/pods"
        #: Pods that are ready, and pods that are wanted over all releases. What is wanted is what a
        #: controller bounds; a pod that shall go may be seen for a moment beside its successor.
        self.seen: list[tuple[int, int]] = []
        self._sets_path = f"/apis/apps/v1/namespaces/{namespace}/replicasets"
        self.broken: Callable[[dict[str, Any]], bool] = lambda pod: False
        self._placed: dict[str, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> NodeAgent:
        self._thread.start()
        return self

    def __exit__(self, *why: object) -> None:
        self._stop.set()
        self._thread.join(timeout=30)

    def pods(self) -> list[dict[str, Any]]:
        """All pods that are not ending."""
        listed = self.server.ask("GET", self.pods_path)["items"]
        return [pod for pod in listed if "deletionTimestamp" not in pod["metadata"]]

    def _run(self) -> None:
        while not self._stop.wait(_LOOK):
            pods = self.server.ask("GET", self.pods_path)["items"]
            staying = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
            sets = self.server.ask("GET", self._sets_path)["items"]
            wanted = sum(each["spec"]["replicas"] for each in sets)
            self.seen.append((sum(map(is_ready, staying)), wanted))
            for pod in pods:
                self._tend(pod)

    def _tend(self, pod: dict[str, Any]) -> None:
        name, now = pod["metadata"]["name"], time.monotonic()
        if "deletionTimestamp" in pod["metadata"]:
            self._ask("DELETE", name, {"gracePeriodSeconds": 0})
        elif not pod["spec"].get("nodeName") or is_ready(pod) or self.broken(pod):
            return
        elif now - self._placed.setdefault(name, now) >= READY_AFTER:
            self._ready(name)

    def _ready(self, name: str) -> None:
        conditions = [{"type": kind, "status": "True"} for kind in ("Ready", "ContainersReady")]
        status = {"status": {"phase": "Running", "conditions": conditions}}
        self._ask("PATCH", f"{name}/status", status, "strategic-merge-patch+json")

    def _ask(self, method: str, place: str, body: dict[str, Any], kind: str = "json") -> None:
        try:
            self.server.ask(method, f"{self.pods_path}/{place}", body, kind)
        except Refused as refused:
            assert refused.status == 404, refused  # the pod is gone: somebody was faster


def is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def until(true: Callable[[], bool], what: str, within: float = 120.0) -> None:
    """Waits for something that must come true. Fails with ``what`` when it does not."""
    end = time.monotonic() + within
    while not true():
        assert time.monotonic() < end, what
        time.sleep(_LOOK)
