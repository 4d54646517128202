"""A rollout on Kubernetes with the rights of the installed conductor, and no others."""

from __future__ import annotations

import os

import pytest

from holdfast.artifacts.installation import access
from kubernetes_rig.controllers import controllers
from kubernetes_rig.nodes import nodes
from kubernetes_rig.stage import NODES, stage

pytestmark = pytest.mark.live


def test_a_blue_green_rollout_and_its_rollback_need_no_more_than_the_role(
    api_server, tmp_path, tmp_path_factory, monkeypatch
):
    folder = tmp_path_factory.mktemp("rights")
    for made in access.objects("default"):
        api_server.apply(made, dry=False)
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    path = f"/api/v1/namespaces/default/serviceaccounts/{access.ACCOUNT}/token"
    token = api_server.ask("POST", path, asked)["status"]["token"]
    with (
        nodes(api_server, *NODES),
        controllers(folder, api_server, scheduler=False),
        stage(api_server, tmp_path, "rights-shop") as shop,
    ):
        access_file = api_server.kubeconfig(folder, shop.proxy.url, token=token)
        monkeypatch.setitem(os.environ, "KUBECONFIG", str(access_file))
        shop.rollout = "blue-green"

        async def story(conductor):
            station = await shop.deployed(conductor, "1.0.0")
            await shop.deployed(conductor, "2.0.0")
            await station.rollback(None, "tests", False)
            await shop.comes(lambda: station.state.stable.version == "1.0.0", lambda: "back")

        shop.run(story)
        users = {call.path for call in shop.proxy.calls if call.method in ("PATCH", "POST")}
        assert any("httproutes" in path for path in users)
