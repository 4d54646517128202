"""Experiments: small, short, watched, taken back; in both formats the same."""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import subprocess
import threading
from urllib.parse import parse_qs, urlsplit

import pytest
import upstream
from family import file, objects, rendered, spec, text

from holdfast.artifacts import names
from holdfast.artifacts.metrics import exporter
from holdfast.artifacts.promql import metrics
from holdfast.artifacts.resilience.chaos.experiments import EXPERIMENTS, experiments
from holdfast.artifacts.resilience.chaos.mesh import FIELDS


def faults(service):
    """Experiment -> the whole object and the part that says what is broken."""
    return {each.name: file(service, f"chaos/faults/{each.name}.yaml").body
            for each in experiments(service)}  # fmt: skip


def toolkit(service):
    return {each.name: file(service, f"chaos/toolkit/{each.name}.json").body
            for each in experiments(service)}  # fmt: skip


@pytest.mark.req("T129", "I6")
def test_every_experiment_is_accepted_by_chaos_mesh(service):
    upstream.assert_accepted(rendered(service), "resilience/chaos")


@pytest.mark.req("I6")
def test_an_experiment_hits_one_instance_or_one_zone_of_the_service_s_own_namespace(service):
    for each in experiments(service):
        found = faults(service)[each.name]["spec"]
        assert found["selector"]["namespaces"] == [names.namespace(service)]
        assert len(set(found["selector"]) & {"labelSelectors", "expressionSelectors"}) == 1
        if found["mode"] != "one":
            assert found["mode"] == "all" and set(found["selector"]["nodeSelectors"].values()) <= {
                zone for region in service.regions for zone in names.zones(region)
            }
            assert names.primary(service).zones >= 3


@pytest.mark.req("I6")
def test_only_pods_of_the_service_can_be_hit_and_none_of_its_helpers(service):
    for found in faults(service).values():
        for expression in found["spec"]["selector"].get("expressionSelectors", ()):
            assert set(expression["values"]) == {service.service, f"{service.service}-primary"}


@pytest.mark.req("I6")
@pytest.mark.parametrize("rto", ["20s", "5m"])
def test_a_fault_is_over_before_half_of_a_recovery_s_time(rto):
    given = spec(f"resilience: {{backup: {{rto: {rto}}}}}")
    for found in faults(given).values():
        fault = found["spec"]
        lasts = int(fault.get("duration", "0s").removesuffix("s"))
        assert lasts <= min(60, given.resilience.backup.rto / 2)
        assert lasts or fault["action"] == "pod-kill"


@pytest.mark.req("I6", "T129")
def test_a_workflow_is_steady_first_and_stops_as_soon_as_users_notice(reference):
    for workflow in objects(reference, "Workflow"):
        templates = {each["name"]: each for each in workflow["spec"]["templates"]}
        entry = templates[workflow["spec"]["entry"]]
        assert entry["children"] == ["steady-before", "attack", "steady-after"]
        assert set(templates["attack"]["children"]) == {"fault", "watch"}
        watch = templates["watch"]
        assert watch["abortWithStatusCheck"] and watch["statusCheck"]["mode"] == "Continuous"
        long = int(templates["fault"]["deadline"].removesuffix("s"))
        assert int(watch["statusCheck"]["duration"].removesuffix("s")) >= long
        assert all("deadline" in each for each in templates.values())


@pytest.mark.req("I6")
def test_without_http_there_is_nothing_to_stop_a_workflow_so_there_is_none():
    given = spec("traffic: {protocol: tcp}")
    assert not objects(given, "Workflow") and not objects(given, "Schedule", "chaos")
    assert toolkit(given)


@pytest.mark.req("T129")
def test_two_experiments_never_run_in_the_same_hour(service):
    slots = [each["spec"]["schedule"] for each in objects(service, "Schedule", "chaos")]
    assert len(slots) == len(set(slots)) == len(experiments(service))
    for slot in slots:
        minute, hour, *_, day = slot.split()
        assert minute == "0" and 9 <= int(hour) < 15 and 1 <= int(day) <= 5


@pytest.mark.req("I6")
def test_nothing_but_a_decision_starts_an_experiment(service):
    for found in rendered(service):
        if found.path.endswith("/kustomization.yaml") and "/chaos/" not in found.path:
            assert not [each for each in found.artifact.body["resources"] if "chaos" in each]


@pytest.mark.req("I6")
def test_both_formats_break_the_same(reference):
    for workflow in objects(reference, "Workflow"):
        name = workflow["metadata"]["name"].removeprefix("trading-engine-")
        fault = faults(reference)[name]
        (broken,) = [x for x in workflow["spec"]["templates"] if x["name"] == "fault"]
        assert broken[FIELDS[fault["kind"]]] == fault["spec"]
        action = toolkit(reference)[name]["method"][0]
        assert f"../faults/{name}.yaml" in action["provider"]["arguments"]


@pytest.mark.req("I6")
def test_the_hypothesis_is_made_of_the_promises_and_of_series_that_exist():
    given = spec("promises: {availability: 99.9, p99: 20ms}")
    for name, found in toolkit(given).items():
        probes = found["steady-state-hypothesis"]["probes"]
        queries = {p["name"]: p["provider"]["arguments"]["query"] for p in probes}
        assert queries["failures-within-budget"].endswith("<= bool 0.0144")
        if "latency-as-promised" in queries:
            assert queries["latency-as-promised"].endswith("<= bool 0.02")
        for query in queries.values():
            assert all(exporter(metric, given) for metric in metrics(query)), name
    quick = toolkit(given)["kill-instance"]["steady-state-hypothesis"]["probes"]
    assert {probe["name"] for probe in quick} >= {"latency-as-promised"}


@pytest.mark.req("I6")
def test_what_was_begun_is_ended_by_its_name(service):
    for name, found in toolkit(service).items():
        (back,) = found["rollbacks"]
        assert faults(service)[name]["metadata"]["name"] in back["provider"]["arguments"]
        assert "--ignore-not-found" in back["provider"]["arguments"]


def test_names_of_experiments_are_unique():
    assert len({each.name for each in EXPERIMENTS}) == len(EXPERIMENTS)


# ---- run by Chaos Toolkit itself -----------------------------------------------------------------


@pytest.fixture
def chaos():
    found = shutil.which("chaos")
    if found is None:
        pytest.skip("Chaos Toolkit is not installed")
    return found


@pytest.fixture
def written(tmp_path, reference):
    for each in rendered(reference):
        if "/chaos/" in each.path:
            path = tmp_path / each.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(each.data)
    return tmp_path / "resilience" / "chaos" / "toolkit"


@pytest.mark.req("I6")
def test_chaos_toolkit_accepts_every_experiment(chaos, written, reference):
    for each in experiments(reference):
        ran = subprocess.run([chaos, "--no-version-check", "validate", f"{each.name}.json"],
                             cwd=written, capture_output=True, text=True)  # fmt: skip
        assert ran.returncode == 0, ran.stdout + ran.stderr


class Prometheus(http.server.BaseHTTPRequestHandler):
    """Says 1 until the fault is there, then what the test wants."""

    def do_GET(self):  # the name is the library's
        query = parse_qs(urlsplit(self.path).query)["query"][0]
        assert "<= bool" in query
        begun = (self.server.home / "begun").exists()
        value = self.server.during if begun else "1"
        body = json.dumps({"data": {"result": [{"value": [0, value]}]}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


@pytest.mark.live
@pytest.mark.req("I6")
@pytest.mark.parametrize("broken", [False, True])
def test_a_broken_hypothesis_ends_the_experiment_and_takes_it_back(
    chaos, written, tmp_path, broken
):
    """Chaos Toolkit is real, Prometheus and kubectl are stand-ins that write down what they got."""
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/said\n[ "$3" = apply ] && '
                       f"touch {tmp_path}/begun\nexit 0\n")  # fmt: skip
    kubectl.chmod(0o755)
    body = json.loads((written / "kill-instance.json").read_text())
    steps = 5 if not broken else len(body["method"])  # the whole would last a minute
    body["method"] = body["method"][:steps]
    (written / "kill-instance.json").write_text(json.dumps(body))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Prometheus) as server:
        server.during, server.home = str(int(not broken)), tmp_path
        threading.Thread(target=server.serve_forever, daemon=True).start()
        environment = {
            **os.environ,
            "PATH": f"{tmp_path}:{os.path.dirname(chaos)}:{os.environ['PATH']}",
            "PROMETHEUS_URL": f"http://127.0.0.1:{server.server_port}",
            "REGION": "here",
        }
        subprocess.run(["sh", "run.sh", "kill-instance"], cwd=written, env=environment,
                       capture_output=True, text=True, timeout=120)  # fmt: skip
        server.shutdown()
    journal = json.loads((written / "journal.json").read_text())
    assert journal["deviated"] is broken
    assert (len(journal["run"]) < steps) is broken
    begun, *_, ended = (tmp_path / "said").read_text().splitlines()
    assert " apply -f ../faults/kill-instance.yaml" in begun
    assert re.search(
        r"--context here -n trading-engine delete podchaos\S* trading-engine-kill", ended
    )


def test_the_script_that_runs_them_is_read_by_a_shell(tmp_path):
    script = tmp_path / "run.sh"
    script.write_text(text(spec(), "chaos/toolkit/run.sh"))
    assert subprocess.run(["sh", "-n", str(script)], check=False).returncode == 0
