"""Flagger goes the engine's steps and stops at the engine's thresholds."""

from __future__ import annotations

import shutil
import subprocess
from statistics import NormalDist

import pytest
import upstream
import yaml
from delivered import artifact, rendered, spec, the

from holdfast.artifacts.delivery import flagger
from holdfast.artifacts.metrics import exporter
from holdfast.artifacts.promql import metrics

CANARY = "rollout: {strategy: canary, analysis: {metrics: [errors, slow]}}\n"
WAYS = [("istio", "gateway"), ("none", "nginx"), ("none", "traefik"), ("none", "gateway")]


def queries(service):
    found = artifact(service, "flagger/base/metrictemplates.yaml").objects()
    said = {each["metadata"]["name"]: each["spec"]["query"] for each in found}
    return {name: query.replace("{{ target }}", "shop") for name, query in said.items()}


@pytest.mark.req("T72")
def test_flagger_accepts_its_objects_wherever_it_can_run_the_service(service):
    found = rendered(service)
    paths = [file.path for file in found if "flagger" in file.path]
    possible = service.rollout.strategy != "rolling" and service.kubernetes.workload != "stateful"
    assert bool(paths) == possible
    if possible:
        upstream.assert_accepted(found, "delivery/flagger/")


@pytest.mark.req("T72", "T73")
def test_steps_and_thresholds_are_those_of_the_engine():
    found = spec("""rollout:
  strategy: canary
  steps: [3, {weight: 20, hold: 90s}, 100]
  no_progress: 77s
  analysis: {metrics: [errors, slow], alpha: 0.02, error_rate_max: 0.003, slow_rate_max: 0.07}
promises: {p99: 30ms}
""")
    body = the(found, "Canary")["spec"]
    assert body["analysis"]["stepWeights"] == [3, 20, 100]
    assert body["analysis"]["interval"] == "90s", "every step is held as long as the longest hold"
    assert body["progressDeadlineSeconds"] == 77
    most = {each["name"]: each["thresholdRange"]["max"] for each in body["analysis"]["metrics"]}
    assert (most["errors"], most["slow"]) == (0.003, 0.07)
    chance = 1 - NormalDist().cdf(most["errors-regression"])
    assert chance == pytest.approx(0.02 / 2, rel=1e-4)
    assert most["slow-regression"] == most["errors-regression"]
    assert 'le="50"' in queries(found)["shop-slow"] or "50" in queries(found)["shop-slow"]


@pytest.mark.req("T72")
def test_the_reference_service_is_judged_as_its_spec_says(reference):
    analysis = the(reference, "Canary")["spec"]["analysis"]
    assert analysis["stepWeights"] == [step.weight for step in reference.rollout.steps]
    most = {each["name"]: each["thresholdRange"]["max"] for each in analysis["metrics"]}
    assert most["errors"] == reference.rollout.analysis.error_rate_max


def test_the_first_seconds_of_a_step_are_not_judged():
    found = spec("rollout: {strategy: canary, analysis: {warm_up: 20s}}")
    analysis = the(found, "Canary")["spec"]["analysis"]
    looked, judged = analysis["interval"], analysis["metrics"][0]["interval"]
    assert int(looked[:-1]) - int(judged[:-1]) == 20


def test_people_are_asked_where_the_spec_asks_them():
    found = spec(
        "rollout: {strategy: canary, approvals: 1, steps: [{weight: 5, approvals: 1}, 100]}"
    )
    hooks = the(found, "Canary")["spec"]["analysis"]["webhooks"]
    assert [each["type"] for each in hooks] == ["confirm-rollout", "confirm-traffic-increase"]
    assert "webhooks" not in the(spec(CANARY), "Canary")["spec"]["analysis"]


def test_it_follows_the_autoscaler_and_the_entrance_that_are_rendered(service):
    if service.rollout.strategy == "rolling":
        return  # nothing is rendered for a rolling update: held by a test of its own
    from holdfast.artifacts.catalog import render

    kinds = {(o.get("kind"), o["metadata"]["name"]) for f in render(service, ["kubernetes"])
             for o in f.artifact.objects() if "metadata" in o}  # fmt: skip
    body = the(service, "Canary")["spec"]
    for field in ("targetRef", "autoscalerRef", "ingressRef"):
        if field in body:
            assert (body[field]["kind"], body[field]["name"]) in kinds


@pytest.mark.req("T72")
@pytest.mark.parametrize(("mesh", "ingress"), WAYS)
def test_every_query_reads_metrics_that_are_exported(mesh, ingress):
    found = spec(f"{CANARY}kubernetes: {{mesh: {mesh}, ingress: {ingress}}}")
    said = queries(found)
    assert set(said) == {f"shop-{n}" for n in ("errors", "errors-regression", "slow",
                                               "slow-regression")}  # fmt: skip
    for query in said.values():
        assert metrics(query)
        assert {m for m in metrics(query) if exporter(m, found) is None} == set(), query


def series(new_bad, old_bad, requests=100):
    """Counters over ten minutes: so many requests a second of which so many failed."""
    base = 'reporter="source",destination_service_name="shop",destination_service_namespace="shop"'
    for workload, bad in (("shop", new_bad), ("shop-primary", old_bad)):
        for code, rate in (("200", requests - bad), ("503", bad)):
            labels = f'{base},destination_workload="{workload}",response_code="{code}"'
            yield {
                "series": f"istio_requests_total{{{labels}}}",
                "values": f"0+{rate * 15:g}x60",
            }


@pytest.mark.req("T72")
@pytest.mark.parametrize(
    ("new_bad", "old_bad", "passes"),
    [
        (0, 0, {"errors": True, "errors-regression": True}),
        (0.5, 0.5, {"errors": True, "errors-regression": True}),  # both a little sick
        (0.9, 0.1, {"errors": True, "errors-regression": False}),  # within the rate, yet worse
        (5, 0, {"errors": False, "errors-regression": False}),
        (5, 5, {"errors": False, "errors-regression": True}),  # an outage that both share
    ],
)
def test_prometheus_says_of_each_release_what_the_engine_would(new_bad, old_bad, passes, tmp_path):
    if (promtool := shutil.which("promtool")) is None:
        pytest.skip("promtool is not installed")
    found = spec("rollout: canary\n")
    most = {name: value for name, _query, value in flagger.metrics(found)}
    asked = queries(found)
    checks = [
        {"expr": f"({asked[f'shop-{name}']}) <= bool {most[name]}", "eval_time": "10m",
         "exp_samples": [{"labels": "{}", "value": int(good)}]}
        for name, good in passes.items()
    ]  # fmt: skip
    test = {"interval": "15s", "input_series": list(series(new_bad, old_bad)),
            "promql_expr_test": checks}  # fmt: skip
    (tmp_path / "rules.yml").write_text("groups: []\n")
    file = tmp_path / "test.yml"
    file.write_text(yaml.safe_dump({"rule_files": ["rules.yml"], "tests": [test]}))
    done = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True,
                          cwd=tmp_path, check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
