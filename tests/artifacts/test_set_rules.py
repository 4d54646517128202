"""Rules over the whole set: a sound set has no findings, and each contradiction has one."""

from __future__ import annotations

import copy

import pytest
import yaml

from holdfast.artifacts.bundle import MANIFEST
from holdfast.artifacts.check import rules
from holdfast.artifacts.check.whole import Whole
from holdfast.artifacts.check.written import read
from holdfast.spec.load import load_text

SPEC = """
service: shop
version: 1.2.3
run: python shop.py
regions: [{name: us-east-1, primary: true}, {name: eu-west-1}]
observability: {metrics: [{name: sales_total, kind: counter}]}
"""
LABELS = {"app.kubernetes.io/name": "shop"}
DIGEST = "sha256:" + "a" * 64
CONTAINER = {
    "name": "shop",
    "image": f"registry.test/shop@{DIGEST}",
    "ports": [{"name": "http", "containerPort": 8080}],
    "env": [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "shop-secrets", "key": "k"}}}],
    "envFrom": [{"configMapRef": {"name": "shop"}}],
    "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}},
    "resources": {
        "requests": {"cpu": "500m", "memory": "1Gi"},
        "limits": {"cpu": 1, "memory": "1Gi"},
    },
}


def obj(kind, version="v1", name="shop", **rest):
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **rest}


def kustomization(*resources, **rest):
    head = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
    return {**head, "resources": list(resources), **rest}


def put(tree, way, value):
    """The tree with one value changed, at the keys and indexes of ``way``."""
    inner = tree
    for part in way[:-1]:
        inner = inner[part]
    inner[way[-1]] = value
    return tree


def sound():
    """Path -> documents."""
    template = {
        "metadata": {"labels": LABELS},
        "spec": {
            "serviceAccountName": "shop",
            "priorityClassName": "shop",
            "containers": [CONTAINER],
        },
    }
    spec = {"replicas": 3, "selector": {"matchLabels": LABELS}, "template": template}
    service = {"selector": LABELS, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]}
    scale = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"},
        "minReplicas": 3, "maxReplicas": 9,
    }  # fmt: skip
    backend = {"service": {"name": "shop", "port": {"number": 80}}}
    rule = {"host": "shop.test", "http": {"paths": [{"path": "/", "backend": backend}]}}
    url = "https://git.test/blob/main/resilience/runbooks/slow.md"
    alert = {"alert": "Slow", "expr": "rate(sales_total[5m]) > 1 and shop:x:rate > 0"}
    record = {"record": "shop:x:rate", "expr": "sum(rate(sales_total[5m]))"}
    overlay = kustomization("../../base", namespace="shop")
    budget = {"maxUnavailable": 1, "selector": {"matchLabels": LABELS}}
    base = "kubernetes/base"
    resources = [
        "deployment", "service", "config", "hpa", "pdb", "ingress", "secret", "account", "policy",
    ]  # fmt: skip
    return {
        f"{base}/kustomization.yaml": [
            kustomization(*(f"{name}.yaml" for name in resources), namespace="shop")
        ],
        f"{base}/deployment.yaml": [obj("Deployment", "apps/v1", spec=spec)],
        f"{base}/service.yaml": [obj("Service", spec=service)],
        f"{base}/config.yaml": [obj("ConfigMap", data={"a": "b"})],
        f"{base}/hpa.yaml": [obj("HorizontalPodAutoscaler", "autoscaling/v2", spec=scale)],
        f"{base}/pdb.yaml": [obj("PodDisruptionBudget", "policy/v1", spec=budget)],
        f"{base}/ingress.yaml": [
            obj("Ingress", "networking.k8s.io/v1",
                spec={"rules": [rule], "tls": [{"secretName": "shop-tls"}]})
        ],
        f"{base}/secret.yaml": [
            obj("ExternalSecret", "external-secrets.io/v1", name="shop-secrets", spec={}),
            obj("Certificate", "cert-manager.io/v1", "shop-tls", spec={"secretName": "shop-tls"}),
        ],
        f"{base}/account.yaml": [obj("ServiceAccount")],
        f"{base}/policy.yaml": [
            obj("NetworkPolicy", "networking.k8s.io/v1", spec={"podSelector": {}})
        ],
        "kubernetes/overlays/us-east-1/kustomization.yaml": [overlay],
        "kubernetes/overlays/eu-west-1/kustomization.yaml": [overlay],
        "kubernetes/platform/all.yaml": [
            obj("Namespace"), obj("PriorityClass", "scheduling.k8s.io/v1", value=1),
        ],
        "observability/prometheus/rules/a.yml": [
            {"groups": [{"name": "a", "rules": [
                {**alert, "annotations": {"runbook_url": url}}, record]}]}
        ],
        "observability/alertmanager/alertmanager.yml": [
            {"route": {"receiver": "all", "routes": [{"receiver": "page"}]},
             "receivers": [{"name": "all"}, {"name": "page"}]}
        ],
        "resilience/runbooks/slow.md": "# Slow\n",
    }  # fmt: skip


def findings(tree, spec=SPEC):
    files = [
        read(path, body if isinstance(body, str) else yaml.safe_dump_all(body), ("service",))
        for path, body in tree.items()
    ]
    return rules.check(Whole(files, load_text(spec)))


def test_a_sound_set_has_no_findings():
    assert findings(sound()) == []


DEPLOYMENT, BASE = "kubernetes/base/deployment.yaml", "kubernetes/base/kustomization.yaml"
POD = (DEPLOYMENT, 0, "spec", "template", "spec")
FIRST = (*POD, "containers", 0)
SERVICE = ("kubernetes/base/service.yaml", 0)
RULE = ("observability/prometheus/rules/a.yml", 0, "groups", 0, "rules", 0)
CONFIG = ("kubernetes/base/config.yaml", 0)
BUDGET = ("kubernetes/base/pdb.yaml", 0, "spec")
ALERTS = ("observability/alertmanager/alertmanager.yml",)
INGRESS = ("kubernetes/base/ingress.yaml", 0, "spec")
BACKEND = (*INGRESS, "rules", 0, "http", "paths", 0, "backend", "service")


@pytest.mark.parametrize(
    ("place", "value", "rule"),
    [
        ((*SERVICE, "spec", "selector"), {"app.kubernetes.io/name": "shp"}, "selector"),
        ((DEPLOYMENT, 0, "spec", "selector", "matchLabels"), {"app": "x"}, "selector"),
        ((*BUDGET, "selector"), {"matchLabels": {"a": "b"}}, "selector"),
        (("kubernetes/base/hpa.yaml", 0, "spec", "scaleTargetRef", "name"), "shp", "target"),
        ((*SERVICE, "spec", "ports", 0, "targetPort"), "htp", "port"),
        ((*SERVICE, "spec", "ports", 0, "targetPort"), 8081, "port"),
        ((*FIRST, "readinessProbe", "httpGet", "port"), 8081, "port"),
        ((*BACKEND, "port", "number"), 81, "port"),
        ((*BACKEND, "name"), "shp", "backend"),
        ((*INGRESS, "tls", 0, "secretName"), "shp-tls", "reference"),
        ((*FIRST, "env", 0, "valueFrom", "secretKeyRef", "name"), "shop-secret", "reference"),
        ((*FIRST, "envFrom", 0, "configMapRef", "name"), "shp", "reference"),
        ((*POD, "serviceAccountName"), "shp", "reference"),
        ((*POD, "priorityClassName"), "shp", "reference"),
        ((*POD, "runtimeClassName"), "nvidia", "reference"),
        ((*POD, "volumes"), [{"persistentVolumeClaim": {"claimName": "a"}}], "reference"),
        ((*FIRST, "image"), "registry.test/shop:latest", "image-tag"),
        ((*FIRST, "image"), "registry.test/shop", "image-tag"),
        ((*FIRST, "image"), "registry.test/shop:1", "image-tag"),
        ((*FIRST, "image"), "registry.test/shop:1.2.3", "image-digest"),
        ((*FIRST, "resources", "requests", "cpu"), 2, "resources"),
        ((*FIRST, "resources", "requests", "memory"), "1025Mi", "resources"),
        ((*FIRST, "resources", "requests", "memory"), "1Gib", "quantity"),
        ((*BUDGET, "maxUnavailable"), 0, "budget"),
        (("kubernetes/base/hpa.yaml", 0, "spec", "minReplicas"), 10, "bounds"),
        (("kubernetes/base/hpa.yaml", 0, "spec", "minReplicas"), 4, "bounds"),
        ((BASE, 0, "resources", 0), "deploymnt.yaml", "kustomization"),
        ((BASE, 0, "patches"), [{"path": "patch.yaml"}], "kustomization"),
        ((BASE, 0, "patches"), [{"target": {"kind": "Role", "name": "a"}}], "kustomization"),
        ((BASE, 0, "namespace"), "shp", "namespace"),
        ((DEPLOYMENT, 0, "metadata", "name"), "Shop", "name"),
        ((DEPLOYMENT, 0, "metadata", "labels"), {"a": "x" * 64}, "label"),
        ((*SERVICE, "metadata", "name"), "shop.one", "name"),
        ((*RULE, "expr"), "rate(sale_total[5m])", "metric"),
        ((*RULE, "expr"), "shop:y:rate", "metric"),
        ((*RULE, "annotations", "runbook_url"), "/resilience/runbooks/s.md", "runbook"),
        ((*ALERTS, 0, "route", "routes", 0, "receiver"), "pge", "receiver"),
        ((*CONFIG, "data", "a"), "shop.example.com", "placeholder"),
    ],
)  # fmt: skip
def test_each_contradiction_is_found(place, value, rule):
    tree = copy.deepcopy(sound())
    inner = tree
    for part in place[:-1]:
        inner = inner[part]
    inner[place[-1]] = value
    found = findings(tree)
    assert f"holdfast/{rule}" in {each.rule for each in found}, found
    assert all(each.line for each in found if each.rule == f"holdfast/{rule}"), found


def test_an_object_that_is_there_twice_is_found_but_not_one_in_each_region():
    tree = sound()
    extra = obj("ConfigMap", name="zone")
    for region in ("us-east-1", "eu-west-1"):
        tree[f"kubernetes/cluster/{region}/zone.yaml"] = [extra]
    assert findings(tree) == []
    tree["kubernetes/cluster/zone.yaml"] = [extra]
    assert {each.rule for each in findings(tree)} == {"holdfast/twice"}


@pytest.mark.parametrize("path", [p for p in sound() if "config" in p or "overlays" in p])
def test_a_file_that_is_gone_is_found(path):
    tree = sound()
    del tree[path]
    assert findings(tree)


def test_a_file_of_one_region_only_is_found():
    tree = sound()
    tree["resilience/aws/us-east-1.yaml"] = [{"a": 1}]
    tree["resilience/aws/eu-west-1.yaml"] = [{"a": 1}]
    assert findings(tree) == []
    three = SPEC.replace("{name: eu-west-1}", "{name: eu-west-1}, {name: ap-southeast-1}")
    assert {each.rule for each in findings(tree, three)} == {"holdfast/region"}


def test_a_file_that_no_kustomization_names_is_found():
    tree = sound()
    tree["kubernetes/base/forgotten.yaml"] = [obj("ConfigMap", name="forgotten")]
    assert {each.rule for each in findings(tree)} == {"holdfast/unlisted"}


def test_what_the_manifest_lists_must_be_there():
    tree = sound()
    tree[MANIFEST] = '{"artifacts": [{"path": "gone.yaml"}]}'
    (found,) = findings(tree)
    assert (found.rule, found.artifact) == ("holdfast/missing", "gone.yaml")


def test_what_others_bring_can_be_declared():
    tree = copy.deepcopy(sound())
    tree[DEPLOYMENT][0]["spec"]["template"]["spec"]["serviceAccountName"] = "other"
    tree[DEPLOYMENT][0]["metadata"]["annotations"] = {
        "holdfast.dev/external": "ServiceAccount/other, Secret/x"
    }
    assert findings(tree) == []


def test_base_images_of_a_dockerfile_are_pinned_and_its_own_stages_need_not_be():
    text = f"FROM rust:1.90.0@{DIGEST} AS build\nFROM build AS test\nFROM debian:stable\n"
    (found,) = findings({"containers/Dockerfile": text})
    assert (found.rule, found.line) == ("holdfast/image-tag", 3)


def policy(version, selector):
    field = {"networking.k8s.io/v1": "podSelector", "cilium.io/v2": "endpointSelector"}
    spec = {field.get(version, "selector"): selector}
    return [obj("CiliumNetworkPolicy" if "cilium" in version else "NetworkPolicy", version,
                spec=spec)]  # fmt: skip


@pytest.mark.req("T33", "T57")
@pytest.mark.parametrize(
    ("version", "fits", "misses"),
    [
        ("networking.k8s.io/v1", {"matchLabels": LABELS}, {"matchLabels": {"a": "b"}}),
        ("cilium.io/v2", {}, {"matchLabels": {"a": "b"}}),
        ("projectcalico.org/v3", "all()", "a == 'b'"),
        ("projectcalico.org/v3", " && ".join(f"{k} == '{v}'" for k, v in LABELS.items()),
         "has(a)"),
    ],
)  # fmt: skip
def test_a_pod_that_no_network_policy_chooses_is_found(version, fits, misses):
    path = "kubernetes/base/policy.yaml"
    assert findings(sound() | {path: policy(version, fits)}) == []
    open_pods = findings(sound() | {path: policy(version, misses)})
    assert "holdfast/open-pod" in {each.rule for each in open_pods}


def test_a_placeholder_is_said_once_for_its_key_and_an_image_once_for_all_its_places():
    tree = sound()
    tree["a.txt"] = "https://shop.example.com\nregistry.example.com/shop\n"
    tree["b.txt"] = "# x.example.com\nhttps://eu.shop.example.com\n"
    found = {each.key: each for each in findings(tree)}
    assert found.keys() == {"kubernetes.host", "image.repository"}
    assert found["kubernetes.host"].found.endswith("in 2 files: a.txt, b.txt")
    for name in ("a", "b"):
        tree[f"containers/{name}.Dockerfile"] = "FROM registry.test/shop:1.2.3\n"
    (image,) = (each for each in findings(tree) if each.rule == "holdfast/image-digest")
    assert "at 2 places" in image.found


def test_a_selector_names_programs_that_exist_and_operators_that_kubernetes_knows():
    peer = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "shop"}}}
    path = "kubernetes/base/policy.yaml"
    policy_of = [obj("NetworkPolicy", "networking.k8s.io/v1",
                     spec={"podSelector": {}, "ingress": [{"from": [peer]}]})]  # fmt: skip
    tree = sound() | {path: policy_of}
    tree[DEPLOYMENT][0]["metadata"]["labels"] = {"app.kubernetes.io/name": "shop"}
    assert findings(tree) == []
    peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"] = "shpo"
    assert [each.rule for each in findings(tree)] == ["holdfast/selector"]
    peer["podSelector"] = {"matchExpressions": [{"key": "a", "operator": "Exist"}]}
    assert [each.rule for each in findings(tree)] == ["holdfast/selector"]
