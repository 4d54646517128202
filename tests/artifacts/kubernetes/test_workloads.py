"""Workloads: the reference values, what every pod must have, and what each kind adds."""

from __future__ import annotations

import pytest
import upstream
from kube_objects import HOSTILE, container, objects, rendered, spec, the

from holdfast.artifacts.catalog import render

WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job")


def pods(source):
    """Every pod template with the name of what makes it."""
    for kind in WORKLOADS:
        for found in objects(source, kind):
            yield found["metadata"]["name"], found["spec"]["template"]
    for cron in objects(source, "CronJob"):
        yield cron["metadata"]["name"], cron["spec"]["jobTemplate"]["spec"]["template"]


@pytest.mark.req("T34", "T35", "T36", "T37", "T38", "T39", "T40", "T46", "T47", "T49")
@pytest.mark.req("T51", "T52", "T53", "T54", "T55")
def test_every_object_is_what_its_upstream_accepts(service):
    upstream.assert_accepted(rendered(service), "kubernetes/")


@pytest.mark.req("T36")
def test_the_reference_deployment_has_exactly_the_reference_values(reference):
    deployment = the(reference, "Deployment", "trading-engine")
    spec, only = deployment["spec"], container(deployment)
    assert spec["replicas"] == 10
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 2, "maxUnavailable": 0},
    }
    assert only["resources"] == {
        "requests": {"cpu": "2", "memory": "4Gi"},
        "limits": {"cpu": "4", "memory": "8Gi"},
    }
    live, ready = only["livenessProbe"], only["readinessProbe"]
    assert live["httpGet"] == {"path": "/health", "port": 8080}
    assert (live["initialDelaySeconds"], live["periodSeconds"]) == (10, 5)
    assert ready["httpGet"] == {"path": "/ready", "port": 8080}
    assert (ready["initialDelaySeconds"], ready["periodSeconds"]) == (5, 3)
    assert only["ports"] == [{"name": "http", "containerPort": 8080, "protocol": "TCP"}]
    assert "startupProbe" not in only


@pytest.mark.req("T56", "T59")
def test_every_pod_is_restricted_read_only_and_without_a_token(service):
    for name, template in pods(service):
        pod = template["spec"]
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["serviceAccountName"] == service.service
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for each in pod["containers"]:
            context = each["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert {"requests", "limits"} <= each["resources"].keys()
            assert "@sha256:" in each["image"] or each["image"].startswith("registry.example.com/")


@pytest.mark.req("T36")
def test_the_selector_of_the_service_chooses_its_instances_and_nothing_beside_them(service):
    chosen = the(service, "Service", service.service)["spec"]["selector"].items()
    for name, template in pods(service):
        serves = name == service.service
        assert (chosen <= template["metadata"]["labels"].items()) is serves, name
        assert template["metadata"]["labels"]["app.kubernetes.io/part-of"] == service.service


def test_the_service_port_leads_to_a_port_that_a_container_opens(service):
    (port,) = the(service, "Service", service.service)["spec"]["ports"]
    kind = {"stateful": "StatefulSet"}.get(service.kubernetes.workload, "Deployment")
    opened = container(the(service, kind, service.service))["ports"]
    assert port["targetPort"] in [each["name"] for each in opened]
    assert port["port"] == service.traffic.port


def test_a_pod_leaves_the_endpoints_before_it_is_told_to_end(reference):
    pod = the(reference, "Deployment", "trading-engine")["spec"]["template"]["spec"]
    (only,) = pod["containers"]
    waits = only["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert waits == reference.rollout.drain
    assert pod["terminationGracePeriodSeconds"] == waits + reference.run.stop.grace


def test_a_slow_start_gets_a_startup_probe_that_lasts_as_long_as_it_may():
    slow = container(the(spec("probes: {live: /up, start_within: 90s}"), "Deployment", "shop"))
    probe = slow["startupProbe"]
    assert probe["failureThreshold"] * probe["periodSeconds"] >= 90
    assert probe["httpGet"]["path"] == "/up"


@pytest.mark.parametrize(
    ("protocol", "ready", "look"),
    [
        ("grpc", "/shop.Shop", {"grpc": {"port": 8080, "service": "shop.Shop"}}),
        ("http2", "/ready", {"tcpSocket": {"port": 8080}}),
        ("tcp", '""', {"tcpSocket": {"port": 8080}}),
    ],
)
def test_the_kubelet_looks_in_the_way_it_can(protocol, ready, look):
    text = f"traffic: {{protocol: {protocol}}}\nprobes: {{ready: {ready}}}"
    probe = container(the(spec(text), "Deployment", "shop"))["readinessProbe"]
    assert look.items() <= probe.items()


def test_a_command_knows_its_port_and_nothing_else_is_expanded():
    given = spec("run: {command: [run, --port, $PORT, '$(HOME)', $$x], env: {A: '$(PORT) $5'}}")
    only = container(the(given, "Deployment", "shop"))
    assert only["command"] == ["run", "--port", "$(PORT)", "$$(HOME)", "$$$$x"]
    values = {each["name"]: each.get("value") for each in only["env"]}
    assert values["A"] == "$$(PORT) $$5"
    assert values["PORT"] == "8080"


def test_a_secret_is_referred_to_and_never_written():
    given = spec("run: {command: a, secrets: {DB_PASSWORD: env:SHOP_DB}}")
    (found,) = [
        e for e in container(the(given, "Deployment", "shop"))["env"] if "PASS" in e["name"]
    ]
    assert found["valueFrom"] == {"secretKeyRef": {"name": "shop-secrets", "key": "DB_PASSWORD"}}
    assert all(b"SHOP_DB" not in file.data for file in rendered(given))


@pytest.mark.req("T12")
@pytest.mark.parametrize(
    ("language", "wanted"),
    [
        ("rust", {"MALLOC_ARENA_MAX": "4"}),
        ("go", {"GOMEMLIMIT": "7372MiB", "GOMAXPROCS": "4"}),
        ("node", {"NODE_OPTIONS": "--max-old-space-size=6144"}),
        ("python", {"MALLOC_ARENA_MAX": "4"}),
    ],
)
def test_the_allocator_of_each_language_stays_inside_the_limit(language, wanted):
    only = container(the(spec(f"image: {{language: {language}}}"), "Deployment", "shop"))
    values = {each["name"]: each.get("value") for each in only["env"]}
    assert wanted.items() <= values.items()


@pytest.mark.req("T12")
def test_what_the_spec_says_about_the_allocator_wins():
    only = container(
        the(spec("run: {command: a, env: {MALLOC_ARENA_MAX: 1}}"), "Deployment", "shop")
    )
    assert [e["value"] for e in only["env"] if e["name"] == "MALLOC_ARENA_MAX"] == ["1"]


@pytest.mark.req("T11", "T12", "T37")
def test_cores_of_its_own_huge_pages_and_gpus_come_with_the_nodes_that_have_them():
    asked = "{requests: {cpu: 4, memory: 8GiB}, limits: {cpu: 4, memory: 8GiB}"
    given = spec(
        f"resources: {asked}, hugepages: 1GiB, gpus: 2}}\nrun: {{command: a, affinity: spread}}"
    )
    pod = the(given, "Deployment", "shop")["spec"]["template"]["spec"]
    (only,) = pod["containers"]
    assert (
        only["resources"]["requests"] == only["resources"]["limits"]
    )  # guaranteed: cores are pinned
    assert only["resources"]["limits"]["hugepages-2Mi"] == "1Gi"
    assert only["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert {"name": "hugepages", "emptyDir": {"medium": "HugePages"}} in pod["volumes"]
    (term,) = pod["affinity"]["nodeAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]  # fmt: skip
    assert "holdfast.dev/pool" in [each["key"] for each in term["matchExpressions"]]


@pytest.mark.req("T37")
def test_a_stateful_service_keeps_a_volume_each_and_a_name_each(service):
    for found in objects(service, "StatefulSet"):
        (claim,) = found["spec"]["volumeClaimTemplates"]
        classes = [c["metadata"]["name"] for c in objects(service, "StorageClass")]
        assert claim["spec"]["storageClassName"] in classes
        mounts = {m["name"]: m["mountPath"] for m in container(found)["volumeMounts"]}
        assert mounts[claim["metadata"]["name"]] == service.kubernetes.storage.path
        peers = the(service, "Service", found["spec"]["serviceName"])
        assert peers["spec"]["clusterIP"] == "None"
        assert found["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Retain"


@pytest.mark.req("T38")
def test_a_daemon_runs_on_every_node_and_is_not_scaled():
    given = spec("kubernetes: {workload: daemon}\nrollout: {max_surge: 3, max_unavailable: 2}")
    upstream.assert_accepted(rendered(given), "kubernetes/")
    rolling = the(given, "DaemonSet", "shop")["spec"]["updateStrategy"]["rollingUpdate"]
    assert rolling == {"maxSurge": 0, "maxUnavailable": 2}
    assert objects(given, "HorizontalPodAutoscaler") == []


@pytest.mark.req("T39", "T40")
def test_jobs_run_once_per_release_and_cron_jobs_by_their_schedule():
    jobs = "{name: migrate, command: [a]}, {name: nightly, command: [b], schedule: '0 3 * * *'}"
    given = spec(f"kubernetes: {{jobs: [{jobs}]}}\nversion: v1")
    once = objects(given, "Job")[0]
    again = objects(given.model_copy(update={"version": "v2"}), "Job")[0]
    assert once["metadata"]["name"] != again["metadata"]["name"]
    assert objects(given, "Job")[0] == once
    cron = the(given, "CronJob", "shop-nightly")["spec"]
    assert (cron["schedule"], cron["timeZone"]) == ("0 3 * * *", "Etc/UTC")
    assert cron["concurrencyPolicy"] == "Forbid"
    assert once["spec"]["template"]["spec"]["restartPolicy"] == "Never"


@pytest.mark.req("T54", "T55")
def test_pods_are_spread_over_zones_and_nodes_and_tolerate_only_their_own_taints(reference):
    pod = the(reference, "Deployment", "trading-engine")["spec"]["template"]["spec"]
    keys = [each["topologyKey"] for each in pod["topologySpreadConstraints"]]
    assert keys == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    assert all(each.get("key") for each in pod["tolerations"])  # no toleration of everything
    own = {"key": "holdfast.dev/pool", "operator": "Equal", "value": "trading-engine"}
    assert own | {"effect": "NoSchedule"} in pod["tolerations"]


def test_hostile_text_stays_in_its_field(reference):
    env = reference.run.model_copy(update={"env": {"A": HOSTILE}, "command": ("a", HOSTILE)})
    given = reference.model_copy(update={"run": env})
    upstream.assert_accepted(rendered(given), "kubernetes/")
    before, after = (
        container(the(each, "Deployment", "trading-engine")) for each in (reference, given)
    )
    assert after["command"] == ["a", HOSTILE.replace("$", "$$")]
    changed = {key for key in after if after[key] != before[key]}
    assert changed == {"command", "env"}


@pytest.mark.req("T41", "T89", "T98")
def test_in_the_mesh_the_sidecar_is_told_where_the_programs_metrics_are():
    service = spec("traffic: 9000\nobservability: {metrics_path: /stats}")
    said = the(service, "Deployment", "shop")["spec"]["template"]["metadata"]["annotations"]
    told = {key.partition("/")[2]: value for key, value in said.items() if "prometheus.io" in key}
    assert told == {"scrape": "true", "port": "9000", "path": "/stats"}
    without = spec("kubernetes: {mesh: none}")
    said = the(without, "Deployment", "shop")["spec"]["template"]["metadata"]["annotations"]
    assert not [key for key in said if "prometheus.io" in key]


@pytest.mark.req("T98")
def test_an_instance_is_told_where_traces_go_by_an_instrumentation_that_is_rendered(service):
    made = the(render(service), "Instrumentation")
    workload = objects(service, "Deployment") + objects(service, "StatefulSet")
    (serving,) = [each for each in workload if each["metadata"]["name"] == service.service]
    said = serving["spec"]["template"]["metadata"]["annotations"]
    assert said["instrumentation.opentelemetry.io/inject-sdk"] == made["metadata"]["name"]
    assert made["metadata"]["namespace"] == serving["metadata"]["namespace"]
