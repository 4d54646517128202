"""``holdfast install`` and ``uninstall``, on a real API server and without one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from kubernetes_rig.api_server import Refused, Server

Run = Callable[..., SimpleNamespace]
IMAGE = "registry.example.com/holdfast@sha256:" + "7" * 64


def test_without_a_cluster_a_file_is_written(run, tmp_path):
    done = run("install", "--image", IMAGE, "-o", str(tmp_path / "out"))
    assert done.code == 0 and "kubectl apply --server-side" in done.out
    made = list(yaml.safe_load_all((tmp_path / "out" / "holdfast.yaml").read_text()))
    assert [each["kind"] for each in made][:2] == ["Namespace", "CustomResourceDefinition"]
    assert made[-1]["kind"] == "NetworkPolicy"


def test_an_image_without_a_digest_is_refused(run):
    done = run("install", "--image", "holdfast:latest", "-o", "out")
    assert done.code == 2 and "sha256" in done.err


def test_where_no_cluster_is_named_the_file_is_said_that_would_name_it(run, monkeypatch, tmp_path):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nothing"))
    done = run("install", "--image", IMAGE, "--dry-run")
    assert done.code == 1 and "nothing" in done.err and "Traceback" not in done.err


def test_new_keys_are_private_and_never_overwritten(run, tmp_path):
    from holdfast.ledger.keys import load

    path = tmp_path / "log.pem"
    assert run("audit", "new-keys", str(path)).code == 0
    assert path.stat().st_mode & 0o777 == 0o600
    assert load(tmp_path, "log", "any/origin").public
    before = path.read_bytes()
    assert run("audit", "new-keys", str(path)).code == 2 and path.read_bytes() == before


@pytest.fixture
def cluster(api_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setenv("KUBECONFIG", str(api_server.kubeconfig(tmp_path)))
    return api_server


@pytest.mark.live
def test_an_installation_is_shown_made_changed_and_taken_out_again(cluster: Server, run):
    space = ("--namespace", "hf-install")

    def install(*words: str) -> dict[str, str]:
        done = run("install", "--image", IMAGE, *space, "--json", *words)
        assert done.code in (0, 1), done.err
        return {o["kind"]: o["change"] for o in json.loads(done.out)["objects"]}

    # What is cluster-wide may be there already from other tests of this session.
    own = ("Namespace", "ServiceAccount", "Deployment", "PodDisruptionBudget", "NetworkPolicy")
    assert {install("--dry-run")[kind] for kind in own} == {"new"}
    with pytest.raises(Refused, match="not found"):
        cluster.ask("GET", "/api/v1/namespaces/hf-install")
    made = install()
    assert {kind: made[kind] for kind in own} == dict.fromkeys(own, "new")
    assert set(install("--diff").values()) == {"unchanged"}
    changed = run("install", "--image", IMAGE, *space, "--replicas", "3", "--diff")
    assert changed.code == 1 and "+  replicas: 3" in changed.out and "-  replicas: 2" in changed.out
    gone = run("uninstall", *space, "--json")
    told = {o["kind"]: o["change"] for o in json.loads(gone.out)["objects"]}
    assert told.pop("Namespace") == told.pop("CustomResourceDefinition") == "kept"
    assert set(told.values()) == {"removed"}
    with pytest.raises(Refused, match="not found"):
        cluster.ask("GET", "/apis/apps/v1/namespaces/hf-install/deployments/holdfast-conductor")
    cluster.ask("GET", "/api/v1/namespaces/hf-install")
    assert run("uninstall", *space).code == 0, "a second time it is as before"


@pytest.mark.live
def test_a_field_that_somebody_else_manages_is_left_and_its_manager_named(cluster: Server, run):
    words = ("install", "--image", IMAGE, "--namespace", "hf-clash")
    assert run(*words).code == 0
    path = "/apis/apps/v1/namespaces/hf-clash/deployments/holdfast-conductor"
    patch = {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 4}}
    cluster.ask("PATCH", f"{path}?fieldManager=anna&force=true", patch, "apply-patch+yaml")
    refused = run(*words)
    assert refused.code == 4 and "anna" in refused.err and "--force" in refused.err
    assert cluster.ask("GET", path)["spec"]["replicas"] == 4
    assert run(*words, "--force").code == 0
    assert cluster.ask("GET", path)["spec"]["replicas"] == 2
