"""The rendered Deployment rolled out by real controllers and a real scheduler."""

from __future__ import annotations

import copy
from collections import Counter

import kube_cluster
import pytest
from kube_api import Refused
from kube_cluster import NodeAgent, is_ready, until
from kube_objects import the
from test_server import prepared

pytestmark = pytest.mark.live
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
NAMESPACE = "trading-engine"


@pytest.fixture(scope="module")
def agent(server, reference, tmp_path_factory):
    """A cluster of six nodes in three zones that runs the reference service."""
    prepared(server, reference)
    folder = tmp_path_factory.mktemp("controllers")
    with kube_cluster.controllers(folder, server), NodeAgent(server, NAMESPACE) as running:
        for index in range(6):
            kube_cluster.add_node(server, f"node-{index}", ZONES[index % 3])
        kube_cluster.add_node(server, "node-odd", ZONES[0], architecture="s390x")
        for kind in ("PodDisruptionBudget", "Deployment"):
            server.apply(the(reference, kind, NAMESPACE), dry=False)
        until(lambda: ready(running) == 10, "ten instances are ready")
        yield running


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
    agent.broken = lambda pod: True  # what is taken away does not come back yet
    try:
        evict(server, first)
        with pytest.raises(Refused) as refused:
            evict(server, second)
    finally:
        agent.broken = lambda pod: False
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
def test_a_rolling_update_never_has_fewer_than_ten_or_more_than_twelve(agent, server, reference):
    agent.seen.clear()
    deployed(server, reference, "1.5.0")
    until(lambda: ready(agent, "1.5.0") == 10 == len(agent.pods()), "the new release serves alone")
    looks = copy.copy(agent.seen)
    assert len(looks) > 3
    assert min(serving for serving, _ in looks) >= 10
    assert max(wanted for _, wanted in looks) == 12


@pytest.mark.req("T36")
def test_a_release_that_never_gets_ready_takes_nothing_away(agent, server, reference):
    agent.broken = lambda pod: pod["metadata"]["labels"]["holdfast.dev/release"] == "6.6.6"
    agent.seen.clear()
    deployed(server, reference, "6.6.6")
    until(lambda: len(agent.pods()) == 12, "the surge is tried")
    until(lambda: len(agent.seen) > 20, "a while passes")
    assert min(serving for serving, _ in agent.seen) >= 10
    deployed(server, reference, "1.5.0")
    until(lambda: len(agent.pods()) == 10 and ready(agent) == 10, "back, at no cost")
