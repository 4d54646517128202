"""Scaling, budgets, quotas, priorities and pre-warming: bounds that agree with each other."""

from __future__ import annotations

import pytest
import upstream
from kube_objects import container, objects, rendered, spec, the

QUERY = "autoscaling: {{by: {by}, metrics: [{{name: waiting, query: 'sum(w) or 0', target: 2.5}}]}}"


@pytest.mark.req("T46")
def test_the_autoscaler_moves_between_replicas_and_three_times_as_many(reference):
    scaler = the(reference, "HorizontalPodAutoscaler")["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (10, 30)
    (metric,) = scaler["metrics"]
    assert metric["resource"]["target"] == {"type": "Utilization", "averageUtilization": 65}
    assert scaler["scaleTargetRef"]["kind"] == "Deployment"
    down, up = scaler["behavior"]["scaleDown"], scaler["behavior"]["scaleUp"]
    assert down["stabilizationWindowSeconds"] == 300
    assert up["stabilizationWindowSeconds"] == 0


@pytest.mark.req("T46", "T49")
def test_one_workload_is_never_scaled_by_two(service):
    assert len(objects(service, "HorizontalPodAutoscaler") + objects(service, "ScaledObject")) == 1


@pytest.mark.req("T49")
def test_keda_asks_the_query_as_it_was_written():
    scaled = the(spec(QUERY.format(by="keda")), "ScaledObject")["spec"]
    cpu, query = scaled["triggers"]
    assert cpu["type"] == "cpu"
    assert query["metadata"]["query"] == "sum(w) or 0"
    assert query["metadata"]["threshold"] == "2.5"
    assert scaled["fallback"]["replicas"] == scaled["minReplicaCount"]


@pytest.mark.req("T49")
def test_the_adapter_serves_what_a_rule_records_and_the_autoscaler_asks_for():
    given = spec(QUERY.format(by="adapter"))
    upstream.assert_accepted(rendered(given), "kubernetes/")
    (group,) = the(given, "PrometheusRule")["spec"]["groups"]
    (rule,) = group["rules"]
    external = the(given, "HorizontalPodAutoscaler")["spec"]["metrics"][1]["external"]
    assert rule["record"] == external["metric"]["name"] == "autoscale:shop:waiting"
    assert external["target"] == {"type": "AverageValue", "averageValue": "2500m"}
    assert "^autoscale:.+" in the(given, "ConfigMap", "prometheus-adapter")["data"]["config.yaml"]


@pytest.mark.req("T47")
@pytest.mark.parametrize(
    ("vertical", "mode", "turns"),
    [("'off'", "Off", ["cpu", "memory"]), ("recreate", "Recreate", ["memory"])],
)
def test_requests_and_replicas_never_follow_the_same_thing(vertical, mode, turns):
    advice = the(spec(f"autoscaling: {{vertical: {vertical}}}"), "VerticalPodAutoscaler")["spec"]
    assert advice["updatePolicy"]["updateMode"] == mode
    assert advice["resourcePolicy"]["containerPolicies"][0]["controlledResources"] == turns


@pytest.mark.req("T53")
def test_the_disruption_budget_always_leaves_room(service):
    budget = the(service, "PodDisruptionBudget")["spec"]
    assert budget["maxUnavailable"] >= 1
    assert "minAvailable" not in budget
    assert budget["selector"] == {"matchLabels": {"app.kubernetes.io/name": service.service}}


def cores(quantity):
    return float(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity)


@pytest.mark.req("T51")
def test_the_quota_holds_the_largest_fleet_of_two_releases(service):
    hard = the(service, "ResourceQuota", f"{service.service}-pods")["spec"]["hard"]
    (scaler,) = objects(service, "HorizontalPodAutoscaler") + objects(service, "ScaledObject")
    bounds = scaler["spec"]
    most = bounds.get("maxReplicas", bounds.get("maxReplicaCount"))
    assert int(hard["pods"]) > most
    pods = int(hard["pods"])
    assert cores(hard["requests.cpu"]) >= pods * service.resources.requests.cpu
    assert the(service, "LimitRange")["spec"]["limits"][0]["default"]


@pytest.mark.req("T52")
def test_who_serves_is_more_important_than_jobs_and_jobs_than_placeholders(service):
    classes = {c["metadata"]["name"]: c for c in objects(service, "PriorityClass")}
    name = service.service
    ranks = [classes[each]["value"] for each in (name, f"{name}-jobs", f"{name}-headroom")]
    assert ranks == sorted(ranks, reverse=True) and ranks[-1] < 0
    assert all(each["globalDefault"] is False for each in classes.values())
    for kind in ("Deployment", "StatefulSet", "DaemonSet", "Job"):
        for found in objects(service, kind):
            used = found["spec"]["template"]["spec"].get("priorityClassName")
            assert used is None or used in classes


@pytest.mark.req("T145")
def test_placeholders_hold_the_room_of_the_surge_and_are_the_first_to_go(reference):
    held = the(reference, "Deployment", "trading-engine-headroom")
    assert held["spec"]["replicas"] == reference.rollout.max_surge
    assert container(held)["resources"]["requests"] == {"cpu": "2", "memory": "4Gi"}
    assert held["spec"]["template"]["spec"]["priorityClassName"] == "trading-engine-headroom"


@pytest.mark.req("T145", "T38")
def test_the_image_is_on_every_node_before_the_rollout_and_is_not_run_there(service):
    pull = the(service, "DaemonSet", f"{service.service}-prepull")
    pod = pull["spec"]["template"]["spec"]
    kind = {"stateful": "StatefulSet"}.get(service.kubernetes.workload, "Deployment")
    wanted = container(the(service, kind, service.service))["image"]
    assert pod["volumes"][0]["image"]["reference"] == wanted
    assert wanted != container(pull)["image"]
    wave = int(pull["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"])
    assert wave < 0


@pytest.mark.req("T34")
def test_there_is_a_class_for_each_kind_of_disk_encrypted_and_made_beside_the_pod(service):
    classes = {c["metadata"]["name"]: c for c in objects(service, "StorageClass")}
    assert set(classes) == {"holdfast-nvme", "holdfast-ssd", "holdfast-hdd"}
    for each in classes.values():
        assert each["volumeBindingMode"] == "WaitForFirstConsumer"
        assert each["parameters"]["encrypted"] == "true"
    kinds = [each["parameters"]["type"] for each in classes.values()]
    assert len(set(kinds)) == 3
