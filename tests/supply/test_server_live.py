"""``holdfast check --server``: a real API server judges, and what keeps it from that is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from holdfast.artifacts.catalog import render
from holdfast.artifacts.check.written import of_bundle, read
from holdfast.spec.load import load
from holdfast.supply.checkers import run, server
from holdfast.supply.checkers.job import Outcome
from kubernetes_rig.crds import install

pytestmark = pytest.mark.live

EXAMPLE = Path(__file__).parents[2] / "examples" / "10-production"
SOUND = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default"}}


@pytest.fixture
def asked(api_server, tmp_path, monkeypatch):
    """Ask the server about documents, as its administrator or as somebody else."""

    def ask(*documents, **caller):
        monkeypatch.setenv("KUBECONFIG", str(api_server.kubeconfig(tmp_path, **caller)))
        text = yaml.safe_dump_all(documents, sort_keys=False)
        (tmp_path / "a.yaml").write_text(text)
        return judged(tmp_path, [read("a.yaml", text)])

    return ask


def judged(root, files):
    planned = server.jobs(files)
    if isinstance(planned, Outcome):
        pytest.skip(planned.detail)
    (outcome,) = run.check(root, files, planned, table=())
    return list(outcome.findings)


def test_what_the_server_takes_is_no_finding(asked):
    assert asked(SOUND) == []


@pytest.mark.parametrize(
    ("document", "rule", "words"),
    [
        (SOUND | {"dta": {}}, "refused", "dta"),
        (SOUND | {"data": {"a": 1}}, "refused", "data"),
        (SOUND | {"metadata": {"name": "A_", "namespace": "default"}}, "refused", "A_"),
        (SOUND | {"kind": "Widget", "apiVersion": "test.example/v1"}, "unknown-kind",
         "the definition of Widget (test.example/v1)"),
        (SOUND | {"metadata": {"name": "a", "namespace": "gone"}}, "no-namespace",
         "kubectl create namespace gone"),
    ],
)  # fmt: skip
def test_what_it_refuses_is_told_by_name_with_what_to_do(asked, document, rule, words):
    (found,) = asked(document)
    assert found.rule == f"server/{rule}" and found.artifact == "a.yaml", found
    assert words in f"{found.found} {found.wanted}"


def test_every_complaint_about_a_file_is_told(asked):
    wrong = [SOUND | {"kind": kind, "apiVersion": "test.example/v1"} for kind in ("Ab", "Cd")]
    assert {each.rule for each in asked(*wrong)} == {"server/unknown-kind"}
    assert len(asked(*wrong)) == 2


def test_a_server_that_is_away_does_not_look_like_a_bad_file(asked):
    (found,) = asked(SOUND, url="https://127.0.0.1:1")
    assert found.rule == "server/away" and "kubectl cluster-info" in found.wanted, found


def test_a_caller_who_is_not_known_is_told_so(asked):
    (found,) = asked(SOUND, token="nobody")
    assert found.rule == "server/unknown-caller", found


def test_a_caller_who_may_not_is_told_which_right_is_missing(api_server, tmp_path, monkeypatch):
    path = api_server.kubeconfig(tmp_path)
    config = json.loads(path.read_text())
    config["users"][0]["user"]["as"] = "eve"  # the administrator as a person without any role
    path.write_text(json.dumps(config))
    monkeypatch.setenv("KUBECONFIG", str(path))
    (tmp_path / "a.yaml").write_text(json.dumps(SOUND))
    (found,) = judged(tmp_path, [read("a.yaml", json.dumps(SOUND))])
    assert found.rule == "server/forbidden" and "configmaps" in found.wanted, found


@pytest.mark.parametrize("name", ["holdfast", "web-app", "worker", "stateful"])
def test_a_real_server_takes_what_is_applied_as_it_is(api_server, tmp_path, monkeypatch, name):
    """Of the platform and of delivery; overlays are asked by the tests of their family."""
    monkeypatch.setenv("KUBECONFIG", str(api_server.kubeconfig(tmp_path)))
    files = [each for each in of_bundle(render(load(EXAMPLE / f"{name}.yaml")))
             if each.path.startswith(("kubernetes/platform/", "delivery/flagger/"))]  # fmt: skip
    documents = [
        d
        for f in files
        for d in f.objects
        if "metadata" in d and f.path[-18:] != "kustomization.yaml"
    ]
    install(api_server, documents)
    for space in {d["metadata"].get("namespace", "default") for d in documents}:
        api_server.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}}, dry=False
        )
    for each in files:
        (tmp_path / each.path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / each.path).write_text(each.text)
    assert judged(tmp_path, files) == []
