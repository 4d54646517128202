"""A conductor on a person's machine and services in a cluster: deploy, take back, go on, take down.

The cluster is a simulated API server with controllers of its own; what is said to it is real.
"""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest

from holdfast.conductor.clusters import logs_command
from holdfast.conductor.station import Ask
from holdfast.conductor.wiring import Conductor
from holdfast.rollout.commands import TakeDown
from holdfast.rollout.model import HoldCode
from holdfast.runtime.home import Home
from holdfast.spec.load import load_text
from holdfast.targets.base import Refused
from kubernetes_simulated.cluster import CRASHES, Cluster, running
from kubernetes_simulated.store import Object

SPEC = """
service: shop
target: kubernetes
run: serve
image: registry.test/shop
replicas: 4
version: "{version}"
traffic: {{ protocol: http1 }}
kubernetes: {{ steer: {steer}, mesh: none }}
rollout: {{ strategy: {strategy}, max_surge: 2, keep_warm: {warm} }}
"""


def tell(story, tmp_path, monkeypatch):
    """Runs ``story(stage)`` beside a simulated cluster."""

    async def run():
        async with running(Cluster()) as cluster:
            point(tmp_path / "kubeconfig", cluster)
            monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
            stage = Stage(tmp_path, cluster)
            try:
                async with asyncio.timeout(60):
                    return await story(stage)
            finally:
                await stage.close()

    return asyncio.run(run())


def point(path, cluster):
    path.write_text(json.dumps({
        "clusters": [{"name": "c", "cluster": {"server": cluster.server.url}}],
        "contexts": [{"name": "tests", "context": {"cluster": "c"}}],
        "current-context": "tests",
    }))  # fmt: skip


class Stage:
    """A conductor, what it is told, and what became of the cluster."""

    def __init__(self, tmp_path, cluster):
        self.tmp_path, self.cluster = tmp_path, cluster
        self.conductor: Conductor | None = None

    async def open(self, home="home"):
        self.conductor = await Conductor.open(Home(self.tmp_path / home))
        return self.conductor

    async def close(self):
        if self.conductor is not None:
            await self.conductor.close()
            self.conductor = None

    @property
    def station(self):
        return self.conductor.stations["shop"]

    async def deploy(self, version, strategy="rolling", steer="gateway", warm="0s"):
        if self.conductor is None:
            await self.open()
        text = SPEC.format(version=version, strategy=strategy, steer=steer, warm=warm)
        service = load_text(text, "holdfast.yaml")
        station = await self.conductor.station_for(service, "jane")
        path = str(self.tmp_path / "holdfast.yaml")
        return await station.deploy(Ask(service, text, path, "jane"))

    async def until(self, holds):
        while not holds():
            await asyncio.sleep(0.02)

    async def serves(self, version):
        """That release is stable and alone has the traffic, as the gateway says."""

        def alone():
            stable, seen = self.station.state.stable, self.station.post.seen
            resting = self.station.state.running is None
            named = stable is not None and stable.version == version and resting
            return named and seen is not None and dict(seen.weights) == {stable.id: 100}

        await self.until(alone)

    def ready(self):
        pods = [pod for _, pod in self.cluster.all("pods") if not leaves(pod)]
        return sum(is_ready(pod) for pod in pods), len(pods)

    def versions(self) -> set[str]:
        return {
            pod["metadata"]["labels"]["holdfast.dev/release"]
            for _, pod in self.cluster.all("pods")
            if not leaves(pod)
        }


def leaves(pod: Object) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def is_ready(pod: Object) -> bool:
    said = pod.get("status", {}).get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in said)


@contextlib.contextmanager
def watched(stage):
    """Ready and present pods after every change in the cluster."""
    seen, before = [], stage.cluster.store.told

    def told():
        seen.append(stage.ready())
        before()

    stage.cluster.store.told = told
    yield seen
    stage.cluster.store.told = before


@pytest.mark.parametrize("steer", ["gateway", "service"])
def test_a_rolling_update_never_has_fewer_than_wanted_or_more_than_the_surge(
    steer, tmp_path, monkeypatch
):
    async def story(stage):
        await stage.deploy("v1", steer=steer)
        await stage.serves("v1")
        with watched(stage) as seen:
            await stage.deploy("v2", steer=steer)
            await stage.serves("v2")
            await stage.until(lambda: stage.versions() == {"v2"})
        return seen

    seen = tell(story, tmp_path, monkeypatch)
    assert min(ready for ready, _ in seen) >= 4
    assert max(size for _, size in seen) <= 6


def test_blue_green_keeps_the_old_release_warm_and_goes_back_with_one_route_write(
    tmp_path, monkeypatch
):
    async def story(stage):
        for version in ("v1", "v2"):
            await stage.deploy(version, "blue-green", warm="60s")
            await stage.serves(version)
        assert stage.versions() == {"v1", "v2"}
        before = len(stage.cluster.server.asked("PATCH", "/httproutes/"))
        sizes = len(stage.cluster.server.asked("PATCH", "/deployments/"))
        await stage.station.rollback(None, "jane", False)
        await stage.serves("v1")
        routes = len(stage.cluster.server.asked("PATCH", "/httproutes/")) - before
        return routes, len(stage.cluster.server.asked("PATCH", "/deployments/")) - sizes

    assert tell(story, tmp_path, monkeypatch) == (1, 0)


def test_a_release_that_crashes_is_taken_back_with_its_last_words(tmp_path, monkeypatch):
    async def story(stage):
        await stage.deploy("v1", "blue-green")
        await stage.serves("v1")
        stage.cluster.fate = lambda pod: (
            CRASHES if pod["metadata"]["labels"]["holdfast.dev/release"] == "v2" else None
        )
        await stage.deploy("v2", "blue-green")
        await stage.until(lambda: stage.station.state.rollout.ending is not None)
        await stage.serves("v1")
        return stage.station.state.rollout

    run = tell(story, tmp_path, monkeypatch)
    assert run.ending == "reverted" and "crash-loop" in run.revert.reason


def test_a_person_who_scales_by_hand_pauses_the_rollout_by_name(tmp_path, monkeypatch):
    async def story(stage):
        await stage.deploy("v1", "blue-green")
        await stage.serves("v1")
        at, found = stage.cluster.all("deployments")[0]
        stage.cluster.store.update(at, {**found, "spec": {**found["spec"], "replicas": 5}}, "kate")
        await stage.until(lambda: HoldCode.DRIFT in {h.code for h in stage.station.post.holds})
        await asyncio.sleep(0.2)
        return stage.station.post.holds, stage.cluster.all("deployments")[0][1]

    holds, found = tell(story, tmp_path, monkeypatch)
    said = next(hold.detail for hold in holds if hold.code is HoldCode.DRIFT)
    assert "kate" in said and "from 4 to 5" in said
    assert found["spec"]["replicas"] == 5


def test_a_conductor_that_was_restarted_goes_on_and_changes_nothing(tmp_path, monkeypatch):
    async def story(stage):
        await stage.deploy("v1", "blue-green")
        await stage.serves("v1")
        pods = {pod["metadata"]["name"] for _, pod in stage.cluster.all("pods")}
        await stage.close()
        await stage.open()
        await stage.serves("v1")
        await stage.deploy("v2", "blue-green", warm="60s")
        await stage.serves("v2")
        return pods <= {pod["metadata"]["name"] for _, pod in stage.cluster.all("pods")}

    assert tell(story, tmp_path, monkeypatch)


def test_a_second_conductor_is_told_who_conducts_and_changes_nothing(tmp_path, monkeypatch):
    async def story(stage):
        await stage.deploy("v1")
        await stage.serves("v1")
        other = Stage(tmp_path, stage.cluster)
        await other.open("another-home")
        try:
            with pytest.raises(Refused) as refused:
                await other.deploy("v9")
        finally:
            await other.close()
        return refused.value, stage.versions()

    refused, versions = tell(story, tmp_path, monkeypatch)
    assert refused.code == "held" and "Lease holdfast-shop" in refused.detail
    assert versions == {"v1"}


def test_what_is_taken_down_leaves_no_instance_no_release_and_no_route(tmp_path, monkeypatch):
    async def story(stage):
        await stage.deploy("v1")
        await stage.serves("v1")
        await stage.station.post.command(TakeDown("jane"))
        await stage.until(lambda: not stage.cluster.all("pods"))
        await stage.until(lambda: not stage.cluster.all("deployments"))
        names = {route["metadata"]["name"] for _, route in stage.cluster.all("httproutes")}
        return names, len(stage.cluster.all("services"))

    assert tell(story, tmp_path, monkeypatch) == ({"shop-redirect"}, 1)


def test_a_service_at_rest_asks_the_api_server_for_nothing_but_its_lease(tmp_path, monkeypatch):
    async def story(stage):
        await stage.deploy("v1")
        await stage.serves("v1")
        await asyncio.sleep(0.5)
        before = len(stage.cluster.server.heard)
        await asyncio.sleep(2.5)
        return [each.path for each in stage.cluster.server.heard[before:]]

    asked = tell(story, tmp_path, monkeypatch)
    assert all("/leases/" in path for path in asked) and len(asked) <= 1, asked


def test_people_are_told_how_to_read_what_instances_print():
    text = SPEC.format(version="v1", strategy="rolling", steer="gateway", warm="0s")
    said = logs_command(load_text(text + "\n", "holdfast.yaml"))
    assert said == "kubectl logs --namespace shop --prefix -l app.kubernetes.io/name=shop"
