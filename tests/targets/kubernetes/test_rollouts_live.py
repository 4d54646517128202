"""Rollouts on a real API server with real controllers, by a real conductor."""

from __future__ import annotations

import itertools

import pytest

from kubernetes_rig.controllers import controllers
from kubernetes_rig.nodes import nodes
from kubernetes_rig.stage import NODES, held, stage

pytestmark = pytest.mark.live
_COUNT = itertools.count(1)


@pytest.fixture(scope="module")
def cluster(api_server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("controllers")
    with nodes(api_server, *NODES), controllers(folder, api_server, scheduler=False):
        yield api_server


@pytest.fixture
def shop(cluster, tmp_path):
    with stage(cluster, tmp_path, f"shop-{next(_COUNT)}") as shop:
        yield shop


def test_ten_instances_are_replaced_with_never_fewer_than_ten_ready_nor_more_than_twelve(shop):
    shop.replicas, shop.rollout = 10, "{strategy: rolling, max_surge: 2, max_unavailable: 0}"

    async def story(conductor):
        station = await shop.deployed(conductor, "1.0.0")
        shop.observer.begin()
        assert shop.observer.moments[-1].ready == 10, held(station)
        await shop.deployed(conductor, "2.0.0")

    shop.run(story)
    assert shop.observer.fewest_ready >= 10
    assert shop.observer.most_wanted <= 12
