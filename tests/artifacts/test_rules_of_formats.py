"""Formats without a schema: collectors, dashboards, experiments, requests to Harbor."""

from __future__ import annotations

import copy

import pytest
from test_set_rules import findings, kustomization, obj, put, sound

COLLECTOR = {
    "receivers": {"otlp": {}},
    "processors": {"batch": {}},
    "connectors": {"spanmetrics": {}},
    "exporters": {"jaeger": {}, "prometheus": {}},
    "extensions": {"health_check": {}},
    "service": {
        "extensions": ["health_check"],
        "pipelines": {
            "traces": {
                "receivers": ["otlp"],
                "processors": ["batch"],
                "exporters": ["jaeger", "spanmetrics"],
            },
            "metrics/counted": {"receivers": ["spanmetrics"], "exporters": ["prometheus"]},
        },
    },
}
DASHBOARD = {
    "title": "a",
    "panels": [{"type": "stat", "title": "b", "gridPos": {"h": 1, "w": 1, "x": 0, "y": 0},
                "datasource": {"type": "prometheus", "uid": "c"},
                "fieldConfig": {"defaults": {"custom": {"anyWord": 1}}}}],
    "time": {"from": "now-1h", "to": "now"},
}  # fmt: skip
ACTIVITY = {
    "type": "action", "name": "kill",
    "provider": {"type": "process", "path": "kubectl", "arguments": {"anyWord": "x"}},
}  # fmt: skip
EXPERIMENT = {
    "title": "a",
    "configuration": {"context": {"type": "env", "key": "KUBE_CONTEXT"}},
    "steady-state-hypothesis": {"title": "b", "probes": []},
    "method": [ACTIVITY],
}
RETENTION = {
    "algorithm": "or",
    "rules": [{"action": "retain", "template": "latestPushedK", "params": {"latestPushedK": 3},
               "tag_selectors": [{"kind": "doublestar", "decoration": "matches"}]}],
}  # fmt: skip
KAFKA = {"kafka": {"listeners": [{
    "name": "regions", "port": 9094, "type": "loadbalancer",
    "configuration": {"bootstrap": {"alternativeNames": ["queue.shop.test"]},
                      "brokers": [{"broker": 0, "advertisedPort": 9094}]},
}]}}  # fmt: skip
MIRROR = {"clusters": [{"bootstrapServers": "queue.shop.test:9094"}]}
PATHS = {
    "collector": ("observability/a/collector.yaml", 0),
    "operated": ("observability/a/operated.yaml", 0, "spec", "config"),
    "dashboard": ("observability/a/dashboard.json", 0),
    "experiment": ("resilience/a/experiment.json", 0),
    "retention": ("containers/harbor/retention.json", 0),
    "kafka": ("resilience/a/kafka.yaml", 0, "spec", "kafka", "listeners", 0),
    "mirror": ("resilience/a/mirror.yaml", 0, "spec", "clusters", 0),
}


def more():
    operated = obj("OpenTelemetryCollector", "opentelemetry.io/v1beta1", spec={"config": COLLECTOR})
    files = {
        "collector": COLLECTOR,
        "operated": operated,
        "dashboard": DASHBOARD,
        "experiment": EXPERIMENT,
        "retention": RETENTION,
        "kafka": obj("Kafka", "kafka.strimzi.io/v1", spec=KAFKA),
        "mirror": obj("KafkaMirrorMaker2", "kafka.strimzi.io/v1", "m", spec=MIRROR),
    }
    own = {PATHS[name][0]: [body] for name, body in files.items()}
    return copy.deepcopy(sound() | own)


def others(tree):
    """Objects of this test are listed nowhere; that is not what it is about."""
    return [each for each in findings(tree) if each.rule != "holdfast/unlisted"]


def test_what_each_format_has_is_no_finding():
    assert others(more()) == []


PIPELINES = ("service", "pipelines")


@pytest.mark.parametrize(
    ("what", "place", "value", "rule"),
    [
        ("collector", ("exporters",), {"jaegr": {}, "prometheus": {}}, "pipeline"),
        ("operated", ("exporters",), {"jaegr": {}, "prometheus": {}}, "pipeline"),
        ("operated", (*PIPELINES, "traces", "processors"), ["btch"], "pipeline"),
        ("operated", (*PIPELINES, "traces", "processors"), [], "pipeline"),
        ("operated", (*PIPELINES, "traces", "exporters"), [], "pipeline"),
        ("operated", (*PIPELINES, "traces", "procesors"), ["batch"], "pipeline"),
        ("operated", (*PIPELINES, "metrics/counted", "receivers"), ["otlp"], "pipeline"),
        ("operated", (*PIPELINES, "metrcs"),
         {"receivers": ["spanmetrics"], "exporters": ["prometheus"]}, "pipeline"),
        ("operated", ("service", "extensions"), [], "pipeline"),
        ("operated", ("exportrs",), {}, "pipeline"),
        ("dashboard", ("tme",), {}, "key"),
        ("dashboard", ("panels", 0, "gridPs"), {}, "key"),
        ("dashboard", ("panels", 0, "gridPos", "heigth"), 1, "key"),
        ("experiment", ("mthod",), [], "key"),
        ("experiment", ("method", 0, "provider", "pth"), "x", "key"),
        ("experiment", ("method", 0, "provider", "type"), "proces", "word"),
        ("experiment", ("method", 0, "type"), "actin", "word"),
        ("retention", ("algorithm",), "on", "word"),
        ("retention", ("rules", 0, "action"), "retan", "word"),
        ("retention", ("rules", 0, "template"), "latestPushdK", "word"),
        ("retention", ("rules", 0, "tag_selectors", 0, "decoration"), "matchs", "word"),
        ("retention", ("rules", 0, "tag_selectors", 0, "knd"), "doublestar", "key"),
        ("kafka", ("port",), 9095, "port"),
        ("kafka", ("configuration", "brokers", 0, "advertisedPort"), 9095, "port"),
        ("mirror", ("bootstrapServers",), "queue.shop.test:9095", "port"),
    ],
)  # fmt: skip
def test_what_a_format_does_not_have_is_found_with_its_line(what, place, value, rule):
    tree = put(more(), (*PATHS[what], *place), value)
    found = [each for each in others(tree) if each.rule == f"holdfast/{rule}"]
    assert found and all(each.line for each in found), others(tree)


def test_a_reference_in_a_patch_is_followed_as_in_an_object():
    tree = more()
    folder = "kubernetes/overlays/us-east-1"
    spec = {"secretStoreRef": {"kind": "ClusterSecretStore", "name": "vlt"}}
    store = obj("ClusterSecretStore", "external-secrets.io/v1", "vault", spec={})
    tree[f"{folder}/store.yaml"] = [store]
    tree[f"{folder}/patch.yaml"] = [obj("ExternalSecret", "external-secrets.io/v1", spec=spec)]
    tree[f"{folder}/kustomization.yaml"] = [
        kustomization("../../base", "store.yaml", namespace="shop",
                      patches=[{"path": "patch.yaml"}])
    ]  # fmt: skip
    found = [each for each in others(tree) if each.rule == "holdfast/reference"]
    assert [each.artifact for each in found] == [f"{folder}/patch.yaml"]


def test_a_selector_of_pods_that_an_operator_makes_names_what_the_set_knows():
    tree = more()
    labels = {"app.kubernetes.io/part-of": "shop", "app.kubernetes.io/component": "cockroachdb"}
    door = obj("Service", name="shop-db", spec={"selector": labels, "ports": [{"port": 26257}]})
    tree["resilience/a/database.yaml"] = [door]
    tree["resilience/a/helm/cockroach.yaml"] = [{"repository": "docker.io/cockroachdb/cockroach"}]
    assert others(tree) == []
    for key in labels:
        tree["resilience/a/database.yaml"] = [
            door | {"spec": door["spec"] | {"selector": labels | {key: "cockrchdb"}}}
        ]
        (found,) = others(tree)
        assert (found.rule, found.line > 0) == ("holdfast/selector", True)


def test_a_policy_for_collectors_opens_ports_at_which_one_listens():
    tree = more()
    config = COLLECTOR | {"receivers": {"otlp": {"endpoint": "0.0.0.0:4317"}}}
    spec = {"config": config, "ports": [{"name": "spans", "port": 8889}]}
    pods = {"matchLabels": {"app.kubernetes.io/component": "opentelemetry-collector"}}
    rule = {"ports": [{"port": 4317}, {"port": 8889}]}
    policy = obj("NetworkPolicy", "networking.k8s.io/v1",
                 spec={"podSelector": pods, "ingress": [rule]})  # fmt: skip
    tree[PATHS["operated"][0]] = [
        obj("OpenTelemetryCollector", "opentelemetry.io/v1beta1", spec=spec)
    ]
    tree["observability/a/policy.yaml"] = [policy]
    assert others(tree) == []
    rule["ports"][1]["port"] = 8890
    (found,) = others(tree)
    assert (found.rule, found.line > 0, "8890" in found.found) == ("holdfast/port", True, True)


def test_a_host_and_a_port_beside_it_are_one_address():
    tree = more()
    search = obj("Elasticsearch", "elasticsearch.k8s.elastic.co/v1", "logs", spec={})
    search["metadata"]["namespace"] = "shop"
    output = {"es": {"host": "logs-es-http.shop.svc", "port": 9200}}
    tree["observability/a/search.yaml"] = [search]
    tree["observability/a/output.yaml"] = [
        obj("ClusterOutput", "fluentbit.fluent.io/v1alpha2", spec=output)
    ]
    assert others(tree) == []
    output["es"]["port"] = 9201
    assert [each.rule for each in others(tree)] == ["holdfast/port"]


def test_an_authority_signs_with_a_key_that_somebody_makes():
    tree = more()
    issuer = obj("Issuer", "cert-manager.io/v1", "own", spec={"ca": {"secretName": "authority"}})
    own = obj("Certificate", "cert-manager.io/v1", spec={"secretName": "authority"})
    tree["resilience/a/issuer.yaml"] = [issuer, own]
    assert others(tree) == []
    issuer["spec"]["ca"]["secretName"] = "authrity"
    assert "holdfast/reference" in {each.rule for each in others(tree) if "authrity" in each.found}


def test_a_namespace_that_argo_cd_makes_for_a_chart_is_there():
    tree = more()
    binding = obj("TargetGroupBinding", "elbv2.k8s.aws/v1beta1", "door", spec={})
    binding["metadata"]["namespace"] = "ingress-nginx"
    tree["resilience/a/door.yaml"] = [binding]
    assert {"holdfast/namespace"} == {each.rule for each in others(tree)}
    template = {"destination": {"namespace": "{{ .space }}"},
                "syncPolicy": {"syncOptions": ["CreateNamespace=true"]}}  # fmt: skip
    charts = {"list": {"elements": [{"name": "nginx", "space": "ingress-nginx"}]}}
    spec = {"generators": [charts], "template": {"spec": template}}
    tree["delivery/a/charts.yaml"] = [obj("ApplicationSet", "argoproj.io/v1alpha1", spec=spec)]
    assert others(tree) == []


def test_a_cluster_wide_store_is_missed_where_the_set_has_none_at_all():
    tree = more()
    spec = {"secretStoreRef": {"kind": "ClusterSecretStore", "name": "vault"}}
    tree["delivery/a/secret.yaml"] = [obj("ExternalSecret", "external-secrets.io/v1", spec=spec)]
    assert [each.rule for each in others(tree)] == ["holdfast/reference"]
