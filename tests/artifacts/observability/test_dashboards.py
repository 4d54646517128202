"""Dashboards: what Grafana's own schema does not say, and that every query can have an answer."""

from __future__ import annotations

import itertools
import json
import re

import promtools
import pytest
import yaml
from upstream import assert_accepted

from holdfast.artifacts.catalog import render
from holdfast.artifacts.metrics import exporter
from holdfast.artifacts.observability.dashboards.drawing import uid
from holdfast.artifacts.promql import metrics
from holdfast.spec.load import load_text

FAMILY = ["observability"]
BASE = "service: shop\nrun: python shop.py\n"
HERE = "observability/grafana/dashboards/"


def pages(service) -> dict[str, dict]:
    return {
        file.path.removeprefix(HERE).removesuffix(".json"): json.loads(file.data)
        for file in render(service, FAMILY)
        if file.path.startswith(HERE)
    }


@pytest.fixture(scope="module")
def boards(service) -> dict[str, dict]:
    return pages(service)


def panels(page: dict) -> list[dict]:
    return [panel for panel in page["panels"] if panel["type"] != "row"]


def queries(boards: dict[str, dict]) -> dict[str, str]:
    """Each query, with the numbers a reader types in and without Grafana's variables."""
    return {
        f"{name}/{panel['title']}/{target['refId']}":
            re.sub(r"\$(core|gib)_price", "0.04", target["expr"])
        for name, page in boards.items()
        for panel in panels(page)
        for target in panel["targets"]
    }  # fmt: skip


@pytest.mark.req("T101", "T102", "T103", "T104", "T105")
def test_grafana_accepts_every_dashboard(rendered, boards):
    assert set(boards) == {"trading", "system", "cost", "objectives"}
    assert_accepted(rendered, "observability/grafana/")


@pytest.mark.req("T101", "T102", "T103", "T104", "T105")
def test_every_query_is_promql_over_metrics_that_somebody_exports(service, boards, tmp_path):
    found = queries(boards)
    promtools.parses(found, tmp_path)
    recorded = {
        rule["record"] for file in render(service, FAMILY) if file.path.endswith("/kubernetes.yml")
        for group in yaml.safe_load(file.data)["groups"] for rule in group["rules"]
        if "record" in rule
    }  # fmt: skip
    for where, expr in found.items():
        for name in metrics(expr):
            who = exporter(name, service)
            assert who is not None, f"{where}: {name}"
            assert who != "rules" or name in recorded, f"{where}: nothing records {name}"


@pytest.mark.req("T101")
def test_ids_and_names_of_queries_are_unique_and_no_panel_hides_another(boards):
    assert len({page["uid"] for page in boards.values()}) == len(boards)
    for page in boards.values():
        ids = [panel["id"] for panel in page["panels"]]
        assert sorted(ids) == list(range(1, len(ids) + 1))
        for panel in panels(page):
            names = [target["refId"] for target in panel["targets"]]
            assert all(names) and len(set(names)) == len(names)
        cells = set()
        for panel in page["panels"]:
            at = panel["gridPos"]
            taken = set(itertools.product(
                range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])
            ))  # fmt: skip
            assert not taken & cells and at["x"] + at["w"] <= 24, panel["title"]
            cells |= taken


@pytest.mark.req("T101")
def test_nothing_is_null_but_the_lower_end_of_the_lowest_threshold(boards):
    def nulls(value, path=()):
        if value is None:
            yield path
        items = value.items() if isinstance(value, dict) else enumerate(
            value if isinstance(value, list) else ()
        )  # fmt: skip
        for key, each in items:
            yield from nulls(each, (*path, key))

    for page in boards.values():
        for path in nulls(page):
            assert path[-4:] == ("thresholds", "steps", 0, "value"), path


@pytest.mark.req("T101")
def test_every_page_asks_for_region_and_release_and_every_query_for_the_region(boards):
    for name, page in boards.items():
        variables = [each["name"] for each in page["templating"]["list"]]
        assert variables[:3] == ["datasource", "region", "release"]
        for where, expr in queries({name: page}).items():
            assert 'region=~"$region"' in expr, where
        for panel in panels(page):
            assert panel["datasource"]["uid"] == "${datasource}"


@pytest.mark.req("T102")
def test_the_programs_own_metrics_are_shown_by_kind_with_the_units_of_the_spec():
    text = f"""{BASE}observability:
  metrics:
    - {{name: decisions_total, kind: counter, title: Decisions, unit: ops}}
    - {{name: wait_seconds, kind: histogram, title: Wait, unit: s}}
    - {{name: hit_ratio, kind: gauge, title: Hit rate, unit: percentunit}}
    - {{name: pnl_usd, kind: gauge, title: PnL, unit: currencyUSD}}
"""
    shown = {panel["title"]: panel for panel in panels(pages(load_text(text))["trading"])}
    said = {title: shown[title]["targets"][0]["expr"] for title in
            ("Decisions", "Wait", "Hit rate", "PnL")}  # fmt: skip
    assert said["Decisions"].startswith("sum by (region) (rate(decisions_total{")
    assert said["Wait"].startswith("histogram_quantile(0.5, sum by (le) (rate(wait_seconds_bucket{")
    assert said["Hit rate"].startswith("avg by (region) (hit_ratio{")
    assert said["PnL"].startswith("sum by (region) (pnl_usd{")
    units = [shown[title]["fieldConfig"]["defaults"]["unit"] for title in said]
    assert units == ["ops", "s", "percentunit", "currencyUSD"]


@pytest.mark.req("T104")
def test_cost_is_what_is_reserved_times_prices_a_reader_can_change(boards):
    page = boards["cost"]
    prices = {v["name"]: v for v in page["templating"]["list"] if v["type"] == "textbox"}
    assert set(prices) == {"core_price", "gib_price"}
    expr = next(p for p in panels(page) if p["title"] == "Cost an hour")["targets"][0]["expr"]
    assert "kube_pod_container_resource_requests" in expr
    assert "$core_price" in expr and "$gib_price" in expr


@pytest.mark.req("T105", "P8")
def test_promises_are_the_red_lines_of_the_objectives(service, boards):
    kept = next(p for p in panels(boards["objectives"]) if p["title"] == "Kept")
    (_, step) = kept["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert step["value"] == pytest.approx(service.promises.availability / 100, abs=1e-12)
    left = [p for p in panels(boards["objectives"]) if p["title"] == "Budget left"]
    assert all("slo:error_budget_remaining:ratio" in p["targets"][0]["expr"] for p in left)


@pytest.mark.req("T101")
def test_the_operators_objects_hold_the_same_pages_as_the_files(service, boards):
    (many,) = (
        list(file.artifact.objects()) for file in render(service, FAMILY)
        if file.path.endswith("base/dashboards.yaml")
    )  # fmt: skip
    assert [json.loads(each["spec"]["json"]) for each in many] == list(
        boards[each["metadata"]["name"].removeprefix(f"{service.service}-")] for each in many
    )


def test_uids_fit_grafana_and_long_names_stay_apart():
    one, two = (load_text(f"service: {'a' * 60}{end}\nrun: x\n") for end in "bc")
    assert len(uid(one, "objectives")) == 40
    assert uid(one, "objectives") != uid(two, "objectives")
