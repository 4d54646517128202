"""The rendered Deployment rolled out by real controllers and a real scheduler."""

from __future__ import annotations

from collections import Counter

import pytest
from kube_objects import the
from test_server import prepared

from kubernetes_rig.api_server import Refused
from kubernetes_rig.controllers import controllers, until
from kubernetes_rig.nodes import NEVER_READY, READY, NodeAgent, add_node, is_ready
from kubernetes_rig.observer import Observer

pytestmark = pytest.mark.live
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
NAMESPACE = "trading-engine"


@pytest.fixture(scope="module")
def agent(server, reference, tmp_path_factory):
    """A cluster of six nodes in three zones that runs the reference service."""
    prepared(server, reference)
    folder = tmp_path_factory.mktemp("controllers")
    with controllers(folder, server), NodeAgent(server, NAMESPACE) as running:
        for index in range(6):
            add_node(server, f"node-{index}", ZONES[index % 3])
        add_node(server, "node-odd", ZONES[0], architecture="s390x")
        for kind in ("PodDisruptionBudget", "Deployment"):
            server.apply(the(reference, kind, NAMESPACE), dry=False)
        until(lambda: ready(running) == 10, "ten instances are ready")
        yield running


@pytest.fixture
def observer(server, agent):
    """A witness of one test."""
    with Observer(server, NAMESPACE) as watching:
        until(lambda: watching.moments and watching.moments[-1].ready == 10, "it sees all")
        watching.begin()
        yield watching


def ready(agent, release=""):
    """Pods that serve, of one release or of all."""
    return sum(
        is_ready(pod) and release in ("", pod["metadata"]["labels"]["holdfast.dev/release"])
        for pod in agent.pods()
    )


def deployed(server, reference, version):
    changed = the(reference.model_copy(update={"version": version}), "Deployment", NAMESPACE)
    server.apply(changed, dry=False)


@pytest.mark.req("T36", "T54")
def test_instances_are_spread_over_zones_and_run_only_where_the_image_can(agent):
    places = Counter(pod["spec"]["nodeName"] for pod in agent.pods())
    assert "node-odd" not in places
    zones = Counter()
    for node, count in places.items():
        zones[ZONES[int(node[-1]) % 3]] += count
    assert max(zones.values()) - min(zones.values()) <= 1, zones


@pytest.mark.req("T53")
def test_maintenance_takes_one_instance_at_a_time(agent, server):
    until(lambda: allowed(server) == 1, "the budget counts the instances")
    first, second = (pod["metadata"]["name"] for pod in agent.pods()[:2])
    before = {pod["metadata"]["uid"] for pod in agent.pods()}
    # what is taken away does not come back yet
    agent.rule = lambda pod: READY if pod["metadata"]["uid"] in before else NEVER_READY
    try:
        evict(server, first)
        with pytest.raises(Refused) as refused:
            evict(server, second)
    finally:
        agent.rule = lambda pod: READY
    assert refused.value.status == 429
    until(lambda: ready(agent) == 10, "the instance came back")


def allowed(server):
    path = f"/apis/policy/v1/namespaces/{NAMESPACE}/poddisruptionbudgets/{NAMESPACE}"
    return server.ask("GET", path).get("status", {}).get("disruptionsAllowed", 0)


def evict(server, name):
    place = {"name": name, "namespace": NAMESPACE}
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": place}
    server.ask("POST", f"/api/v1/namespaces/{NAMESPACE}/pods/{name}/eviction", body)


@pytest.mark.req("T36")
def test_a_rolling_update_never_has_fewer_than_ten_or_more_than_twelve(
    agent, server, observer, reference
):
    deployed(server, reference, "1.5.0")
    until(lambda: ready(agent, "1.5.0") == 10 == len(agent.pods()), "the new release serves alone")
    assert len(observer.moments) > 20
    assert observer.fewest_ready >= 10
    assert observer.most_wanted == 12


@pytest.mark.req("T36")
def test_a_release_that_never_gets_ready_takes_nothing_away(agent, server, observer, reference):
    agent.rule = lambda pod: NEVER_READY if is_bad(pod) else READY
    deployed(server, reference, "6.6.6")
    until(lambda: len(agent.pods()) == 12, "the surge is tried")
    until(lambda: observer.most_pods == 12, "the witness saw it")
    deployed(server, reference, "1.5.0")
    until(lambda: len(agent.pods()) == 10 and ready(agent) == 10, "back, at no cost")
    assert observer.fewest_ready >= 10


def is_bad(pod):
    return pod["metadata"]["labels"]["holdfast.dev/release"] == "6.6.6"
