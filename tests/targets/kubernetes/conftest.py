"""A real control plane with controllers, and a service of its own for each test."""

from __future__ import annotations

import itertools

import pytest

from kubernetes_rig.controllers import controllers
from kubernetes_rig.nodes import nodes
from kubernetes_rig.stage import NODES, stage

_COUNT = itertools.count(1)


@pytest.fixture(scope="package")
def cluster(api_server, tmp_path_factory):
    """Skips where there is no control plane."""
    folder = tmp_path_factory.mktemp("controllers")
    with nodes(api_server, *NODES), controllers(folder, api_server, scheduler=False):
        yield api_server


@pytest.fixture
def shop(cluster, tmp_path):
    with stage(cluster, tmp_path, f"shop-{next(_COUNT)}") as shop:
        yield shop
