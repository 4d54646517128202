"""Names, words, amounts and ports that only fit together when files are read side by side."""

from __future__ import annotations

import copy

import pytest
from test_set_rules import LABELS, findings, kustomization, obj, put, sound

TOWN = "resilience/town"


def stack(**resources):
    return {"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}


def bucket(**properties):
    return {"Type": "AWS::S3::Bucket", "Properties": properties}


def more():
    """The sound set, and objects that name each other."""
    store = {"provider": {"vault": {"auth": {"serviceAccountRef": {"name": "shop"}}}}}
    secret = {"secretStoreRef": {"kind": "SecretStore", "name": "vault"}}
    policy = {"podSelector": {"matchLabels": LABELS}, "ingress": [{"ports": [{"port": 8080}]}]}
    cloud = stack(Key={"Type": "AWS::KMS::Key"}, Data=bucket(BucketName={"Ref": "Key"}))
    exports = stack(Data=bucket()) | {"Outputs": {"A": {"Value": {"Ref": "Data"},
                                                        "Export": {"Name": "shop-A"}}}}  # fmt: skip
    probe = obj("Probe", "monitoring.coreos.com/v1",
                spec={"prober": {"url": "shop.shop.svc:80"}, "interval": "30s"})  # fmt: skip
    synced = {"project": "shop", "source": {"path": "out/kubernetes/base"}}
    application = obj("Application", "argoproj.io/v1alpha1", spec=synced)
    schedule = obj("Schedule", "velero.io/v1", spec={"template": {"metadata": {"labels": LABELS}}})
    schedule["metadata"]["labels"] = LABELS
    doors = obj("NetworkPolicy", "networking.k8s.io/v1", "p", spec=policy)
    doors["metadata"]["namespace"] = "shop"
    return copy.deepcopy(sound()) | {
        f"{TOWN}/store.yaml": [obj("SecretStore", "external-secrets.io/v1", "vault", spec=store)],
        f"{TOWN}/secret.yaml": [obj("ExternalSecret", "external-secrets.io/v1", "b", spec=secret)],
        f"{TOWN}/policy.yaml": [doors],
        f"{TOWN}/probe.yaml": [probe],
        f"{TOWN}/schedule.yaml": [schedule],
        f"{TOWN}/project.yaml": [obj("AppProject", "argoproj.io/v1alpha1", spec={})],
        f"{TOWN}/application.yaml": [application],
        "resilience/aws/us-east-1/a.yaml": [cloud],
        "resilience/aws/eu-west-1/a.yaml": [copy.deepcopy(cloud)],
        "resilience/aws/global/b.yaml": [exports],
        "resilience/aws/global/c.yaml": [
            stack(Data=bucket(BucketName={"Fn::ImportValue": "shop-A"}))
        ],
    }  # fmt: skip


def others(tree):
    """Objects of this test are in no namespace of the sound set; that is not what it is about."""
    return [each for each in findings(tree) if each.rule != "holdfast/unlisted"]


def test_what_fits_together_has_no_findings():
    assert others(more()) == []


STACK = ("resilience/aws/us-east-1/a.yaml", 0)


@pytest.mark.parametrize(
    ("place", "value", "rule"),
    [
        ((f"{TOWN}/secret.yaml", 0, "spec", "secretStoreRef", "name"), "vlt", "reference"),
        ((f"{TOWN}/secret.yaml", 0, "spec", "secretStoreRef", "kind"), "SecretStor", "reference"),
        ((f"{TOWN}/store.yaml", 0, "spec", "provider", "vault", "auth", "serviceAccountRef",
          "name"), "shp", "reference"),
        ((f"{TOWN}/policy.yaml", 0, "spec", "ingress", 0, "ports", 0, "port"), 8081, "port"),
        ((f"{TOWN}/probe.yaml", 0, "spec", "prober", "url"), "shop.shop.svc:81", "port"),
        ((f"{TOWN}/probe.yaml", 0, "spec", "interval"), "30sec", "unit"),
        ((f"{TOWN}/schedule.yaml", 0, "spec", "template", "metadata", "labels"),
         {"app.kubernetes.io/name": "shp"}, "label"),
        ((f"{TOWN}/application.yaml", 0, "spec", "project"), "shp", "reference"),
        ((f"{TOWN}/application.yaml", 0, "spec", "source", "path"), "out/kubernetes/bse", "path"),
        ((*STACK, "Resources", "Data", "Properties"), {"BucketNme": "x"}, "spelling"),
        ((*STACK, "Resources", "Data", "Properties", "BucketName"), {"Ref": "Ky"}, "stack"),
        ((*STACK, "Resources", "Data", "Properties", "BucketName"), {"Fn::Sub": "${Ky}"}, "stack"),
        ((*STACK, "Resources", "Data", "DependsOn"), "Ky", "stack"),
        ((*STACK, "Resources", "Data", "Condition"), "Never", "stack"),
        ((*STACK, "Resources", "Data", "Type"), "AWS:S3::Bucket", "stack"),
        ((*STACK, "Resources", "Data", "Propertes"), {}, "stack"),
        ((*STACK, "Parameters"), {"Unread": {"Type": "String"}}, "stack"),
        (("resilience/aws/global/c.yaml", 0, "Resources", "Data", "Properties", "BucketName"),
         {"Fn::ImportValue": "shop-B"}, "stack"),
        (("observability/prometheus/rules/a.yml", 0, "groups", 0, "rules", 0, "expr"),
         'sales_total{service="shp"}', "series"),
        (("kubernetes/base/secret.yaml", 1, "spec", "secretName"), "shop-unread", "reference"),
    ],
)  # fmt: skip
def test_what_fits_nothing_is_found_with_its_line(place, value, rule):
    tree = put(more(), place, value)
    found = [each for each in others(tree) if each.rule == f"holdfast/{rule}"]
    assert found and all(each.line for each in found), others(tree)


def test_patches_are_held_against_the_same_rules_as_objects():
    tree = more()
    folder = "kubernetes/overlays/us-east-1"
    spec = {"resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}}
    patch = obj("Cluster", "postgresql.cnpg.io/v1", "SHOP_", spec=spec)
    patch["metadata"]["namespace"] = "gone"
    tree[f"{folder}/patch.yaml"] = [patch]
    tree[f"{folder}/kustomization.yaml"] = [
        kustomization("../../base", namespace="shop", patches=[{"path": "patch.yaml"}])
    ]
    rules = {each.rule for each in others(tree)}
    assert {"holdfast/name", "holdfast/namespace", "holdfast/resources"} <= rules


def test_singular_and_plural_and_rows_are_no_misspellings():
    tree = more()
    keys = {"hosts": 1, "subnet1": 1}
    tree["resilience/edge/a.json"] = [{"host": 1, "subnet0": 1}]
    for name in "bc":
        tree[f"resilience/edge/{name}.json"] = [keys]
    assert others(tree) == []
