"""The rig itself: what it says about pods and routes is what a cluster would say."""

from __future__ import annotations

import pytest

from kubernetes_rig.controllers import until
from kubernetes_rig.crds import serve
from kubernetes_rig.gateway import GatewayController
from kubernetes_rig.nodes import CRASHES, EVICTED, NEVER_READY, NO_IMAGE, READY, Fate, NodeAgent

pytestmark = pytest.mark.live
SPACE = "rig"
FATES = {
    "good": READY,
    "image": NO_IMAGE,
    "crash": CRASHES,
    "never": NEVER_READY,
    "evicted": EVICTED,
    "slow-end": Fate(ends_after=60),
}


@pytest.fixture(scope="module")
def space(api_server):
    """A namespace of its own, and routes that the server knows."""
    serve(api_server, {"gateway.networking.k8s.io/v1/HTTPRoute": True})
    for kind, name in (("Namespace", SPACE), ("ServiceAccount", "default")):
        place = {"namespace": SPACE} if kind == "ServiceAccount" else {}
        body = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, **place}}
        api_server.apply(body, dry=False)
    return api_server


@pytest.fixture
def agent(space):
    with NodeAgent(space, SPACE, places=("a", "b")) as agent:
        agent.rule = lambda pod: FATES[pod["metadata"]["name"]]
        yield agent


def pod(name, grace=30):
    container = {"name": "main", "image": "registry.example.com/a:1"}
    spec = {"containers": [container], "terminationGracePeriodSeconds": grace}
    metadata = {"name": name, "namespace": SPACE}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def story(agent, name):
    """The phase of a pod, whether it is ready, and why it waits or failed."""
    status = agent.server.ask("GET", f"/api/v1/namespaces/{SPACE}/pods/{name}")["status"]
    (container,) = status.get("containerStatuses", [{}])
    waiting = container.get("state", {}).get("waiting", {}).get("reason", "")
    return status["phase"], container.get("ready", False), waiting or status.get("reason", "")


def test_each_fate_reads_as_it_does_in_a_cluster_and_outlives_the_api_server(agent):
    told = {
        "good": ("Running", True, ""),
        "image": ("Pending", False, "ErrImagePull"),
        "crash": ("Running", False, "CrashLoopBackOff"),
        "never": ("Running", False, ""),
        "evicted": ("Failed", False, "Evicted"),
    }
    agent.server.restart()
    for name in told:
        agent.server.apply(pod(name), dry=False)
    until(lambda: {n: story(agent, n) for n in told} == told, "every pod has its story", within=20)
    agent.rule = lambda pod: READY
    until(lambda: agent.ready() >= 4, "who only waited is ready once the reason is gone", within=20)


def test_an_end_takes_its_time_but_no_more_than_the_grace_period(agent):
    path = f"/api/v1/namespaces/{SPACE}/pods/slow-end"
    agent.server.apply(pod("slow-end", grace=1), dry=False)
    until(lambda: story(agent, "slow-end")[1], "it runs", within=20)
    agent.server.ask("DELETE", path)
    assert "deletionTimestamp" in agent.server.ask("GET", path)["metadata"]
    until(lambda: not any(p["metadata"]["name"] == "slow-end" for p in everyone(agent)), "gone", 20)


def everyone(agent):
    return agent.server.ask("GET", f"/api/v1/namespaces/{SPACE}/pods")["items"]


def test_a_route_is_programmed_when_the_controller_says_so_and_not_before(space):
    path = f"/apis/gateway.networking.k8s.io/v1/namespaces/{SPACE}/httproutes/shop"
    with GatewayController(space, SPACE) as gateway:
        space.apply(route(90, 10), dry=False)
        until(lambda: gateway.weights() == {"old": 90, "new": 10}, "it is programmed", within=20)
        until(lambda: "parents" in space.ask("GET", path).get("status", {}), "and says so", 20)
        gateway.after = None
        space.apply(route(0, 100), dry=False)
        conditions = space.ask("GET", path)["status"]["parents"][0]["conditions"]
        assert {each["observedGeneration"] for each in conditions} == {1}
        assert gateway.weights() == {"old": 90, "new": 10}


def route(old, new):
    backends = [
        {"name": "old", "port": 80, "weight": old},
        {"name": "new", "port": 80, "weight": new},
    ]
    spec = {"parentRefs": [{"name": "entrance"}], "rules": [{"backendRefs": backends}]}
    metadata = {"name": "shop", "namespace": SPACE}
    kind = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute"}
    return {**kind, "metadata": metadata, "spec": spec}
