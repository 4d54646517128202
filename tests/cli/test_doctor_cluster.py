"""``holdfast doctor`` of a service on Kubernetes: is the cluster there, and may we act?"""

from __future__ import annotations

import asyncio
import json

from holdfast.cli.cluster_checks import cluster
from holdfast.spec.model import Service
from holdfast.targets.kubernetes.rights import rights
from kubernetes_simulated.server import Server, serving


def spec(steer="gateway"):
    return Service.model_validate({
        "service": "shop", "run": "serve", "target": "kubernetes",
        "image": "registry.test/shop", "kubernetes": {"steer": steer},
    })  # fmt: skip


def examined(tmp_path, monkeypatch, **server):
    """Findings by subject, with everything the server heard."""

    async def run():
        async with serving(Server(**server)) as api:
            path = tmp_path / "kubeconfig"
            path.write_text(json.dumps({
                "clusters": [{"name": "c", "cluster": {"server": api.url}}],
                "contexts": [{"name": "work", "context": {"cluster": "c"}}],
                "current-context": "work",
            }))  # fmt: skip
            monkeypatch.setenv("KUBECONFIG", str(path))
            found = await asyncio.to_thread(lambda: list(cluster(spec())))
            return {each.subject: each for each in found}, api.heard

    return asyncio.run(run())


def test_a_cluster_where_everything_is_allowed_is_named_and_nothing_is_changed(
    tmp_path, monkeypatch
):
    found, heard = examined(tmp_path, monkeypatch)
    assert {each.mark for each in found.values()} == {"ok"}
    assert "context work" in found["cluster"].says
    written = [each for each in heard if each.method not in ("GET", "POST")]
    reviews = [each for each in heard if each.method == "POST"]
    assert not written and all(each.path.endswith("accessreviews") for each in reviews)


def test_a_missing_verb_is_named_with_its_resource(tmp_path, monkeypatch):
    lacking = {("patch", "deployments"), ("watch", "httproutes")}
    found, _ = examined(tmp_path, monkeypatch, forbidden=lacking)
    said = found["rights"]
    assert said.mark == "fail"
    assert "patch deployments.apps" in said.says
    assert "watch httproutes.gateway.networking.k8s.io" in said.says


def test_rights_that_others_may_have_instead_are_a_warning(tmp_path, monkeypatch):
    found, _ = examined(tmp_path, monkeypatch, forbidden={("create", "namespaces")})
    assert (found["rights"].mark, found["surroundings"].mark) == ("ok", "warn")


def test_a_cluster_without_the_gateway_api_is_a_failure_that_says_so(tmp_path, monkeypatch):
    found, _ = examined(tmp_path, monkeypatch, unserved={"httproutes"})
    assert found["cluster"].mark == "fail" and "install its CRDs" in found["cluster"].says


def test_without_a_kubeconfig_the_file_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "gone"))
    (found,) = cluster(spec())
    assert found.mark == "fail" and str(tmp_path / "gone") in found.says


def test_only_kinds_that_the_service_uses_are_asked_for():
    for steer, plural in (("gateway", "httproutes"), ("istio", "virtualservices")):
        named = {right.kind.plural for right in rights(spec(steer))}
        assert plural in named
    assert "httproutes" not in {right.kind.plural for right in rights(spec("service"))}
