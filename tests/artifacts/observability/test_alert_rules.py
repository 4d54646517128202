"""Recording rules and alerts: the real promtool and amtool judge them, for four services."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import promtools
import pytest
import yaml
from upstream import assert_accepted

from holdfast.artifacts.alerts import alerts
from holdfast.artifacts.catalog import render
from holdfast.artifacts.metrics import exporter
from holdfast.artifacts.observability.objective import BURNS, objectives, plain
from holdfast.artifacts.observability.rules import conditions
from holdfast.artifacts.promql import metrics
from holdfast.spec.load import load_text

FAMILY = ["observability"]
BASE = "service: shop\nrun: python shop.py\n"


@pytest.fixture(scope="module")
def written(service, tmp_path_factory) -> Path:
    """The family of each service as files."""
    root = tmp_path_factory.mktemp("set")
    for file in render(service, FAMILY):
        (root / file.path).parent.mkdir(parents=True, exist_ok=True)
        (root / file.path).write_bytes(file.data)
    return root / "observability"


def rules(root: Path, place: str) -> list[dict]:
    groups = yaml.safe_load((root / f"prometheus/rules/{place}.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.mark.req("T86", "T89", "T105", "P8")
def test_promtool_accepts_the_plain_configuration_and_every_rule(written):
    said = promtools.run("promtool", "check", "config", written / "prometheus/prometheus.yml")
    assert "SUCCESS" in said
    for place in ("kubernetes", "local"):
        promtools.run("promtool", "check", "rules", written / f"prometheus/rules/{place}.yml")


@pytest.mark.req("P8", "T105", "T106")
@pytest.mark.parametrize("place", ["kubernetes", "local"])
def test_an_outage_pages_within_two_evaluations_and_allowed_errors_are_quiet(written, place):
    promtools.run("promtool", "test", "rules", written / f"prometheus/tests/{place}_test.yml")


@pytest.mark.req("P8")
def test_the_generated_unit_tests_fail_when_a_threshold_is_wrong(tmp_path):
    files = {file.path: file.data.decode() for file in render(load_text(BASE), FAMILY)}
    path = "observability/prometheus/rules/local.yml"
    files[path] = files[path].replace("> 0.000144", "> 0.144").replace("> 0.00006", "> 0.06")
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(AssertionError, match="AvailabilityBurnsFast"):
        promtools.run(
            "promtool", "test", "rules",
            tmp_path / "observability/prometheus/tests/local_test.yml",
        )  # fmt: skip


@pytest.mark.req("T86", "T105", "T106")
def test_upstream_accepts_rules_configuration_and_operator_objects(rendered):
    assert_accepted(rendered, "observability/prometheus/", "observability/alertmanager/")


@pytest.mark.parametrize("place", ["kubernetes", "local"])
def test_rules_read_only_metrics_that_somebody_exports(service, written, place):
    recorded = {rule["record"] for rule in rules(written, place) if "record" in rule}
    for rule in rules(written, place):
        for name in metrics(rule["expr"]):
            who = exporter(name, service)
            assert who is not None, f"{name} in {rule['expr']}"
            assert who != "rules" or name in recorded, f"nothing records {name}"


@pytest.mark.parametrize("place", ["kubernetes", "local"])
def test_every_alert_of_the_list_has_an_expression_and_a_runbook(service, written, place):
    said = {rule["alert"]: rule for rule in rules(written, place) if "alert" in rule}
    known = {each.name: each for each in alerts(service, place)}
    assert said.keys() == known.keys()
    assert known.keys() <= conditions(service).keys()
    for name, rule in said.items():
        assert rule["labels"]["severity"] == known[name].severity
        assert rule["annotations"]["runbook_url"].endswith(known[name].runbook)


def test_the_operators_object_and_the_plain_file_hold_the_same_rules(written):
    body = yaml.safe_load((written / "base/rules.yaml").read_text())
    plain_file = yaml.safe_load((written / "prometheus/rules/kubernetes.yml").read_text())
    assert body["spec"]["groups"] == plain_file["groups"]


@pytest.mark.req("P8")
@pytest.mark.parametrize(
    ("availability", "thresholds"),
    [
        ("99.9", ["0.0144", "0.006", "0.003", "0.001"]),
        ("99.999", ["0.000144", "0.00006", "0.00003", "0.00001"]),
        ("100", ["0", "0", "0", "0"]),
        ("50", ["0.99", "0.99", "0.99", "0.5"]),
    ],
)
def test_thresholds_are_exact_decimals_and_an_outage_exceeds_each(availability, thresholds):
    found = load_text(f"{BASE}promises: {{availability: {availability}}}")
    (of, _) = objectives(found)
    assert [plain(of.threshold(burn)) for burn in BURNS] == thresholds
    assert 1 - of.budget == Decimal(availability) / 100


@pytest.mark.req("P8")
def test_an_objective_says_how_many_requests_an_hour_it_needs():
    found = load_text(f"{BASE}promises: {{availability: 99.999}}")
    assert next(objectives(found)).least_requests == 6945
    (rule,) = (
        each for file in render(found, FAMILY) if file.path.endswith("rules/local.yml")
        for group in file.artifact.objects()[0]["groups"] for each in group["rules"]
        if each.get("alert") == "TooFewRequestsToJudge"
    )  # fmt: skip
    assert "< 6945" in rule["expr"]


ROUTES = [
    ({"severity": "page"}, "page,escalation"),
    ({"severity": "ticket"}, "ticket"),
    ({"severity": "info", "alertname": "Watchdog"}, "nobody"),
    ({"alertname": "from-elsewhere"}, "ticket"),
]


@pytest.mark.req("T106", "T107", "T108", "T109", "T110")
@pytest.mark.parametrize(("labels", "receivers"), ROUTES)
def test_amtool_sends_each_severity_to_whom_it_is_for(written, labels, receivers):
    path = written / "alertmanager/alertmanager.yml"
    assert "SUCCESS" in promtools.run("amtool", "check-config", path)
    words = [f"{name}={value}" for name, value in labels.items()]
    said = promtools.run(
        "amtool", "config", "routes", "test", f"--config.file={path}",
        f"--verify.receivers={receivers}", *words,
    )  # fmt: skip
    assert said.strip().startswith(receivers)


@pytest.mark.req("T110")
def test_a_page_nobody_acknowledged_goes_to_the_second_line_after_the_promised_time(service):
    (body,) = (
        file.artifact.objects()[0] for file in render(service, FAMILY)
        if file.path.endswith("/alertmanager.yml")
    )  # fmt: skip
    page, escalation = body["route"]["routes"][:2]
    assert page["continue"] and page["group_wait"] == "10s"
    assert escalation["group_wait"] == "15m" and "alertname" in escalation["group_by"]
    late = load_text(f"{BASE}observability: {{escalate_after: 90s}}")
    assert '"group_wait": "90s"' in json.dumps(
        [f.artifact.body for f in render(late, FAMILY) if f.path.endswith("/alertmanager.yml")]
    )


@pytest.mark.req("T107")
def test_a_page_silences_the_ticket_about_the_same_budget():
    files = render(load_text(BASE), FAMILY)
    (body,) = (f.artifact.objects()[0] for f in files if f.path.endswith("/alertmanager.yml"))
    first = body["inhibit_rules"][0]
    assert 'severity="page"' in first["source_matchers"]
    assert 'severity="ticket"' in first["target_matchers"]
    assert {"service", "region", "slo"} == set(first["equal"])


@pytest.mark.req("P8", "T105")
def test_openslo_says_the_same_objective_as_the_rules(service, written, tmp_path):
    documents = list(yaml.safe_load_all((written / "slo/openslo.yaml").read_text()))
    by_kind = {kind: [d for d in documents if d["kind"] == kind]
               for kind in ("Service", "SLO", "AlertCondition")}  # fmt: skip
    assert all(each["apiVersion"] == "openslo/v1" for each in documents)
    conditions_known = {each["metadata"]["name"] for each in by_kind["AlertCondition"]}
    queries = {}
    for slo in by_kind["SLO"]:
        assert slo["spec"]["service"] == by_kind["Service"][0]["metadata"]["name"]
        for policy in slo["spec"]["alertPolicies"]:
            for condition in policy["spec"]["conditions"]:
                assert condition["conditionRef"] in conditions_known
        for part, metric in slo["spec"]["indicator"]["spec"]["ratioMetric"].items():
            if part != "counter":
                name = slo["metadata"]["name"]
                queries[f"{name}/{part}"] = metric["metricSource"]["spec"]["query"]
    promtools.parses(queries, tmp_path)
    target = by_kind["SLO"][0]["spec"]["objectives"][0]["target"]
    assert Decimal(str(target)) == Decimal(str(service.promises.availability)) / 100


def test_text_of_the_spec_stays_text_in_alerts_and_notifications():
    hostile = 'https://github.com/example/{{ printf "%s" `x` }}"\\n'
    found = load_text(f"{BASE}delivery: {{repository: {json.dumps(hostile)}}}")
    files = {file.path: file.data.decode() for file in render(found, FAMILY)}
    said = yaml.safe_load(files["observability/prometheus/rules/local.yml"])
    for group in said["groups"]:
        for rule in group["rules"]:
            if "alert" in rule:
                assert '{{ "{{" }} printf' in rule["annotations"]["runbook_url"]
