"""What watches on Kubernetes: objects of operators, held against their schemas and each other."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatch

import jsonschema_rs
import pytest
import yaml
from upstream import SHARED, assert_accepted

from holdfast.artifacts.catalog import render
from holdfast.artifacts.metrics import EXPORTED
from holdfast.spec.load import load_text

FAMILY = ["observability"]
BASE = "service: shop\nrun: python shop.py\n"


def files(text: str) -> dict[str, list[dict]]:
    return {file.path: list(file.artifact.objects()) for file in render(load_text(text), FAMILY)}


def objects(found: dict[str, list[dict]], kind: str) -> list[dict]:
    return [each for many in found.values() for each in many if each.get("kind") == kind]


@pytest.fixture(scope="module")
def mine(service) -> dict[str, list[dict]]:
    return {file.path: list(file.artifact.objects()) for file in render(service, FAMILY)}


@pytest.mark.req(*(f"T{n}" for n in (86, 87, 88, 91, 92, 96, 97, 106)))
def test_upstream_accepts_every_object_of_the_family(rendered):
    assert_accepted(rendered, "observability/")


@pytest.mark.req("T86")
def test_each_region_has_a_prometheus_that_names_it_in_every_series(service, mine):
    for region in service.regions:
        (found,) = mine[f"observability/platform/overlays/{region.name}/prometheus.yaml"]
        for each in found["spec"]["scrapeClasses"]:
            assert {"targetLabel": "region", "replacement": region.name} in each["relabelings"]
        assert [c["name"] for c in found["spec"]["scrapeClasses"] if c.get("default")]
        assert found["spec"]["replicas"] == service.observability.replicas


@pytest.mark.req("T86")
def test_prometheus_chooses_every_monitor_and_rule_of_the_set(mine):
    (one, *_) = objects(mine, "Prometheus")
    chosen = one["spec"]["podMonitorSelector"]["matchLabels"]
    for kind in ("PodMonitor", "ServiceMonitor", "Probe", "ScrapeConfig", "PrometheusRule"):
        found = objects(mine, kind)
        assert found, kind
        for each in found:
            assert chosen.items() <= each["metadata"]["labels"].items(), each["metadata"]["name"]


@pytest.mark.req("T86")
def test_monitors_find_the_pods_of_the_exporters_rendered_here(mine):
    def pods(kind):
        for each in objects(mine, kind):
            template = each["spec"]["template"]
            ports = {p["name"] for c in template["spec"]["containers"] for p in c.get("ports", ())}
            yield each["metadata"]["namespace"], template["metadata"]["labels"], ports

    known = [*pods("Deployment"), *pods("DaemonSet")]
    for name in ("node-exporter", "kube-state-metrics"):
        (monitor,) = (
            each for kind in ("PodMonitor", "ServiceMonitor") for each in objects(mine, kind)
            if each["metadata"]["name"] == name
        )  # fmt: skip
        spec = monitor["spec"]
        (endpoint,) = spec.get("podMetricsEndpoints") or spec["endpoints"]
        assert any(
            space in spec["namespaceSelector"]["matchNames"]
            and spec["selector"]["matchLabels"].items() <= labels.items()
            and endpoint["port"] in ports
            for space, labels, ports in known
        ), name


@pytest.mark.req("T89", "T90")
def test_the_program_is_scraped_where_it_can_be_reached():
    (meshed,) = (m for m in objects(files(BASE), "PodMonitor") if m["metadata"]["name"] == "shop")
    (endpoint,) = meshed["spec"]["podMetricsEndpoints"]
    assert endpoint["relabelings"][0]["replacement"] == "$1:15020"
    text = f"{BASE}kubernetes: {{mesh: none}}\nobservability: {{metrics_path: /m, scrape: 30s}}\n"
    (plain,) = (m for m in objects(files(text), "PodMonitor") if m["metadata"]["name"] == "shop")
    (endpoint,) = plain["spec"]["podMetricsEndpoints"]
    assert (endpoint["port"], endpoint["path"], endpoint["interval"]) == ("http", "/m", "30s")
    service_label = {"targetLabel": "service", "replacement": "shop"}
    assert service_label in endpoint["relabelings"]


@pytest.mark.req("T87")
@pytest.mark.parametrize(
    ("resilience", "names", "missing"),
    [
        ("{}", {"shop-db", "shop-cache", "shop-queue"}, {"shop-objects"}),
        ("{cache: none, queue: none, database: cockroach, objects: minio}",
         {"shop-db", "shop-objects"}, {"shop-cache", "shop-queue"}),
    ],
)  # fmt: skip
def test_each_data_service_is_scraped_where_it_exists(resilience, names, missing):
    found = files(f"{BASE}resilience: {resilience}")
    seen = {each["metadata"]["name"] for each in objects(found, "PodMonitor")}
    assert names <= seen and not missing & seen
    exporter = "observability/base/cache-exporter.yaml"
    assert (exporter in found) == ("shop-cache" in names)


@pytest.mark.req("T87")
def test_every_exporter_of_a_metric_in_the_rules_is_scraped_by_somebody(mine):
    monitored = {
        each["metadata"]["name"] for kind in ("PodMonitor", "ServiceMonitor", "ScrapeConfig")
        for each in objects(mine, kind)
    }  # fmt: skip
    for exporter in ("prometheus", "alertmanager", "kube-state-metrics", "node-exporter",
                     "cert-manager", "argocd", "flagger", "velero", "fluent-bit"):  # fmt: skip
        assert exporter in set(EXPORTED.values())
        assert exporter in monitored
    assert {"kubelet", "cadvisor", "otel-collector", "otel-spans"} <= monitored


@pytest.mark.req("T88")
def test_every_container_of_the_family_runs_without_root_and_writes_nothing(mine):
    seen = 0
    for kind in ("Deployment", "DaemonSet", "Job", "CronJob"):
        for each in objects(mine, kind):
            spec = each["spec"].get("jobTemplate", each)["spec"]["template"]["spec"]
            assert spec["securityContext"]["runAsNonRoot"] and "hostNetwork" not in spec
            for container in spec["containers"]:
                seen += 1
                assert container["securityContext"] == {
                    "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                }  # fmt: skip
                assert {"requests", "limits"} <= container["resources"].keys()
                assert not re.search(r":latest|:main|:master$", container["image"])
    assert seen >= 5


def test_nobody_here_may_do_everything(mine):
    for role in objects(mine, "ClusterRole"):
        for rule in role["rules"]:
            assert "*" not in json.dumps(rule)
            assert set(rule["verbs"]) <= {"get", "list", "watch"}
            assert "secrets" not in rule.get("resources", ())


@pytest.mark.req("T107", "T108", "T109", "T110")
def test_alertmanager_objects_say_the_same_as_the_plain_file(service, mine):
    (plain,) = mine["observability/alertmanager/alertmanager.yml"]
    (config,) = objects(mine, "AlertmanagerConfig")
    (manager,) = objects(mine, "Alertmanager")
    spec = config["spec"]
    chosen = manager["spec"]["alertmanagerConfigSelector"]["matchLabels"]
    assert chosen.items() <= config["metadata"]["labels"].items()
    assert spec["route"]["matchers"] == [
        {"name": "service", "matchType": "=", "value": config["metadata"]["name"]}
    ], "another service's alerts have routes of their own"
    assert [r["name"] for r in spec["receivers"]] == [r["name"] for r in plain["receivers"]]
    pairs = zip(spec["route"]["routes"], plain["route"]["routes"], strict=True)
    for object_route, file_route in pairs:
        assert object_route["receiver"] == file_route["receiver"]
        assert object_route["groupWait"] == file_route["group_wait"]
    assert len(spec["inhibitRules"]) == len(plain["inhibit_rules"])
    said = json.dumps(spec)
    assert f'"name": "{service.service}-alerting", "key": "pagerduty-key"' in said
    assert f'"name": "{service.service}-alerting", "key": "slack-url"' in said


# ---- logs ----------------------------------------------------------------------------------------


@pytest.mark.req("T94")
@pytest.mark.parametrize(("keep", "age"), [("30d", "30d"), ("36h", "36h"), ("1h", "1h")])
def test_log_lines_are_deleted_when_their_time_is_over(keep, age):
    found = files(f"{BASE}observability: {{keep_logs: {keep}}}")
    (policy,) = found["observability/logging/lifecycle-policy.json"]
    phases = policy["policy"]["phases"]
    assert phases["delete"] == {"min_age": age, "actions": {"delete": {}}}
    (template,) = found["observability/logging/index-template.json"]
    assert template["template"]["settings"]["index.lifecycle.name"] == "holdfast-logs"
    setup = found["observability/platform/base/retention.yaml"]
    data = next(each["data"] for each in setup if "data" in each)
    assert json.loads(data["policy.json"]) == policy
    assert json.loads(data["template.json"]) == template


@pytest.mark.req("T91", "T93")
def test_log_lines_go_where_the_index_template_and_the_writers_role_expect_them(mine):
    (output,) = (o for o in objects(mine, "ClusterOutput") if "es" in o["spec"])
    index = output["spec"]["es"]["index"]
    (template,) = mine["observability/logging/index-template.json"]
    assert any(fnmatch(index, each) for each in template["index_patterns"])
    assert output["spec"]["es"]["writeOperation"] == "create", "data streams take nothing else"
    (cluster,) = objects(mine, "Elasticsearch")
    (roles,) = (s for s in objects(mine, "Secret") if s["metadata"]["name"] == "logs-roles")
    role = yaml.safe_load(roles["stringData"]["roles.yml"])["log_writer"]["indices"][0]
    assert any(fnmatch(index, name) for name in role["names"])
    assert "delete" not in role["privileges"] and "all" not in role["privileges"]
    host = f"{cluster['metadata']['name']}-es-http.{cluster['metadata']['namespace']}.svc"
    assert output["spec"]["es"]["host"] == host and output["spec"]["es"]["tls"]["verify"]


@pytest.mark.req("T92", "T95")
def test_the_plain_fluent_bit_is_the_same_pipeline_as_the_operators(service):
    text = {f.path: f.data.decode() for f in render(service, FAMILY)}
    plain = text["observability/logging/fluent-bit.conf"]
    documents = [
        each for name in ("platform/base/fluent-bit", "base/logs")
        for each in yaml.safe_load_all(text[f"observability/{name}.yaml"])
    ]  # fmt: skip
    filters = next(d for d in documents if d["kind"] == "ClusterFilter")["spec"]["filters"]
    renames = [(*each["rename"].items(),) for each in filters[2]["modify"]["rules"]]
    for ((old, new),) in renames:
        assert re.search(rf"^    Rename +{old} {re.escape(new)}$", plain, re.MULTILINE)
    for secret in filters[3]["recordModifier"]["removeKeys"]:
        assert re.search(rf"^    Remove_key +{secret}$", plain, re.MULTILINE)
    (tail,) = (d["spec"]["tail"] for d in documents if "tail" in d.get("spec", {}))
    assert re.search(rf"^    Path +{re.escape(tail['path'])}$", plain, re.MULTILINE)
    assert "[PARSER]" in text["observability/logging/parsers.conf"]


@pytest.mark.req("T95")
def test_a_line_of_the_container_runtime_is_taken_apart_by_the_parser():
    text = {f.path: f.data.decode() for f in render(load_text(BASE), FAMILY)}
    said = re.search(r"Regex +(.+)", text["observability/logging/parsers.conf"])[1]
    pattern = re.compile(said.replace("(?<", "(?P<"))
    line = '2024-05-01T10:00:00.123456789Z stdout F {"level":"info","msg":"done"}'
    found = pattern.match(line)
    assert json.loads(found["log"]) == {"level": "info", "msg": "done"}
    assert (found["stream"], found["logtag"]) == ("stdout", "F")


# ---- traces --------------------------------------------------------------------------------------


def pipelines_are_whole(config: dict) -> None:
    """Every component of a pipeline is defined, every defined one is used."""
    used: dict[str, set[str]] = {"receivers": set(), "processors": set(), "exporters": set()}
    connectors = set(config.get("connectors", ()))
    for pipeline in config["service"]["pipelines"].values():
        for kind in used:
            used[kind] |= set(pipeline.get(kind, ()))
    for kind, names in used.items():
        assert names <= set(config[kind]) | connectors, kind
        assert set(config[kind]) <= names, f"unused {kind}"
    assert connectors <= used["receivers"] & used["exporters"]
    assert set(config["service"]["extensions"]) == set(config["extensions"])


@pytest.mark.req("T97", "T99", "T100")
def test_the_pipelines_of_every_collector_are_whole_and_its_core_parts_are_upstreams(mine):
    if not SHARED.exists():
        pytest.skip("the schemas of upstream are not beside this repository")
    schema = json.loads((SHARED / "other/otelcol-core.json").read_text())
    judge = jsonschema_rs.validator_for(schema)
    configs = [each["spec"]["config"] for each in objects(mine, "OpenTelemetryCollector")]
    (alone,) = mine["observability/tracing/otelcol.yaml"]
    assert len(configs) == 3
    for config in (*configs, alone):
        pipelines_are_whole(config)
        core = {key: value for key, value in config.items() if key != "service"}
        core["service"] = config["service"]
        assert not list(map(str, judge.iter_errors(core)))


@pytest.mark.req("T98")
def test_failed_and_slow_traces_are_kept_and_of_the_rest_what_the_spec_says(service, mine):
    (alone,) = mine["observability/tracing/otelcol.yaml"]
    policies = {p["name"]: p for p in alone["processors"]["tail_sampling"]["policies"]}
    assert policies["failed"]["status_code"]["status_codes"] == ["ERROR"]
    assert policies["slow"]["latency"]["threshold_ms"] == round(service.promises.p99 * 1000)
    said = policies["rest"]["probabilistic"]["sampling_percentage"]
    assert said == service.observability.sampling
    (head,) = objects(mine, "Instrumentation")
    assert head["spec"]["sampler"]["type"] == "parentbased_always_on"


@pytest.mark.req("T98")
def test_all_spans_of_a_trace_meet_in_one_collector(mine):
    first, second = (
        next(o for o in objects(mine, "OpenTelemetryCollector") if o["metadata"]["name"] == name)
        for name in ("otel-collector", "otel-sampling")
    )
    balanced = first["spec"]["config"]["exporters"]["loadbalancing"]
    assert balanced["routing_key"] == "traceID"
    name = f"{second['metadata']['name']}-collector.{second['metadata']['namespace']}"
    assert balanced["resolver"]["k8s"]["service"] == name
    assert "tail_sampling" not in first["spec"]["config"]["processors"]


@pytest.mark.req("T99", "T100")
def test_the_map_of_services_and_latencies_counts_traces_before_any_is_dropped(mine):
    (alone,) = mine["observability/tracing/otelcol.yaml"]
    counted = alone["service"]["pipelines"]["traces/counted"]
    assert set(counted["exporters"]) == {"spanmetrics", "servicegraph"}
    assert "tail_sampling" not in counted["processors"]
    assert "127.0.0.1" in alone["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"]


@pytest.mark.req("T96")
def test_jaeger_keeps_spans_as_long_as_the_spec_says_in_the_logs_elasticsearch(mine):
    (cleaner,) = objects(mine, "CronJob")
    container = cleaner["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    assert {"name": "DAYS", "value": "7"} in container["env"]
    (jaeger,) = (
        o for o in objects(mine, "OpenTelemetryCollector") if o["metadata"]["name"] == "jaeger"
    )
    (cluster,) = objects(mine, "Elasticsearch")
    assert jaeger["metadata"]["namespace"] == cluster["metadata"]["namespace"]
    storage = jaeger["spec"]["config"]["extensions"]["jaeger_storage"]["backends"]["spans"]
    index = storage["elasticsearch"]["indices"]["index_prefix"]
    (roles,) = (s for s in objects(mine, "Secret") if s["metadata"]["name"] == "logs-roles")
    role = yaml.safe_load(roles["stringData"]["roles.yml"])["span_writer"]["indices"][0]
    assert role["names"] == [f"{index}-*"]


@pytest.mark.req("T91", "T96")
def test_users_of_elasticsearch_have_one_role_each_and_a_password_nobody_wrote_down(mine):
    (cluster,) = objects(mine, "Elasticsearch")
    named = {each["secretName"] for each in cluster["spec"]["auth"]["fileRealm"]}
    made = {each["metadata"]["name"]: each["spec"] for each in objects(mine, "ExternalSecret")}
    assert named == set(made)
    (roles,) = (s for s in objects(mine, "Secret") if s["metadata"]["name"] == "logs-roles")
    known = yaml.safe_load(roles["stringData"]["roles.yml"])
    generators = {each["metadata"]["name"] for each in objects(mine, "Password")}
    for spec in made.values():
        assert spec["target"]["template"]["data"]["roles"] in known
        assert spec["dataFrom"][0]["sourceRef"]["generatorRef"]["name"] in generators
        assert spec["target"]["template"]["data"]["password"] == "{{ .password }}"


def test_the_kustomizations_list_every_object_and_nothing_that_is_not_there(service, mine):
    listed = {
        f"{path.rpartition('/')[0]}/{each}" for path in mine if path.endswith("kustomization.yaml")
        for each in mine[path][0]["resources"] if each.endswith(".yaml")
    }  # fmt: skip
    kinds = {
        path for path, many in mine.items()
        if path.endswith(".yaml") and many and all("kind" in each for each in many)
        and not path.endswith("kustomization.yaml") and "openslo" not in path
    }  # fmt: skip
    assert listed == kinds
    for region in service.regions:
        assert f"observability/platform/overlays/{region.name}/kustomization.yaml" in mine


@pytest.mark.req("T86")
@pytest.mark.parametrize(
    ("protocol", "module", "target"),
    [
        ("http1", "http_2xx", "https://shop.example.com/"),
        ("http2", "http_2xx", "https://shop.example.com/"),
        ("grpc", "grpc_tls", "shop.example.com:443"),
        ("tcp", "tcp_tls", "shop.example.com:443"),
    ],
)
def test_somebody_asks_from_outside_in_every_protocol_whatever_the_alert_watches(
    protocol, module, target
):
    found = files(BASE + f"traffic: {{protocol: {protocol}}}\n")
    (probe,) = objects(found, "Probe")
    assert probe["spec"]["targets"]["staticConfig"]["static"] == [target]
    assert probe["spec"]["module"] == module
    rules = [r for each in objects(found, "PrometheusRule") for g in each["spec"]["groups"]
             for r in g["rules"] if r.get("alert") == "ServiceUnreachable"]  # fmt: skip
    assert [f'job="{probe["spec"]["jobName"]}"' in rule["expr"] for rule in rules] == [True]
    (exporter,) = (each for each in objects(found, "ConfigMap")
                   if each["metadata"]["name"] == "blackbox-exporter")  # fmt: skip
    modules = json.loads(exporter["data"]["config.yml"])["modules"]
    prober = modules[module]["prober"]
    assert {"http": "fail_if_not_ssl"}.get(prober, "tls") in modules[module][prober]
