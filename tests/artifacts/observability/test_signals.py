"""Signals, metric names and alerts: one place each, and promtool understands what it says."""

from __future__ import annotations

import re

import promtools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.artifacts.alerts import ALERTS, alerts
from holdfast.artifacts.metrics import EXPORTED, exporter
from holdfast.artifacts.promql import metrics
from holdfast.artifacts.signals import base_window, quote, release_source, saturation, source
from holdfast.spec.load import Invalid, load_text

WAYS = [
    ("istio", "gateway", "kubernetes", "istio"),
    ("none", "gateway", "kubernetes", "istio"),
    ("none", "nginx", "kubernetes", "nginx"),
    ("none", "traefik", "kubernetes", "traefik"),
    ("istio", "gateway", "local", "envoy"),
]


def shop(protocol="http1", mesh="istio", ingress="gateway", **more):
    extra = "".join(f"{key}: {value}\n" for key, value in more.items())
    return load_text(
        f"service: shop\nrun: python shop.py\ntraffic: {{protocol: {protocol}}}\n"
        f"kubernetes: {{mesh: {mesh}, ingress: {ingress}, namespace: trade}}\n{extra}"
    )


def expressions(found, place):
    for each in (source(found, place), release_source(found, place)):
        yield each.requests("5m", by=("region",))
        yield each.error_ratio("1m", 'x="y"', by=("region", "le_not"))
        if each.measures_latency:
            yield each.latency(0.99, "5m")
            yield each.slow_ratio(0.01, "5m", by=("region",))
    yield saturation(found, "requests" if place == "local" else "cpu", place)
    yield saturation(found, "memory", place)


@pytest.mark.req("T89")
@pytest.mark.parametrize(("mesh", "ingress", "place", "name"), WAYS)
@pytest.mark.parametrize("protocol", ["http1", "http2", "grpc", "tcp"])
def test_every_signal_of_every_source_parses_and_reads_registered_metrics(
    protocol, mesh, ingress, place, name, tmp_path
):
    if protocol == "tcp" and (ingress == "nginx" or (mesh, ingress) == ("none", "traefik")):
        with pytest.raises(Invalid, match="ingress"):
            shop(protocol, mesh, ingress)
        return
    found = shop(protocol, mesh, ingress)
    assert source(found, place).name == name
    said = list(expressions(found, place))
    for each in said:
        assert metrics(each), each
        assert {m for m in metrics(each) if exporter(m, found) is None} == set(), each
    promtools.parses({str(n): each for n, each in enumerate(said)}, tmp_path)


def test_failures_are_the_fault_of_the_server_in_each_protocol():
    assert 'response_code=~"5.."' in source(shop()).errors("5m")
    grpc = source(shop("grpc")).errors("5m")
    assert 'grpc_response_status=~"2|4|12|13|14|15"' in grpc
    assert "connections_closed" in source(shop("tcp")).errors("5m")
    assert not source(shop("tcp")).measures_latency


def test_what_flagger_runs_beside_the_service_counts_as_the_service():
    for mesh, ingress in (("istio", "gateway"), ("none", "traefik")):
        found = str(source(shop(mesh=mesh, ingress=ingress)).counted)
        pattern = re.search(r'(?:service|service_name)=~"([^"]+)"', found)[1]
        for name in ("shop", "shop-primary", "shop-canary"):
            said = f"trade-{name}-http@kubernetes" if ingress == "traefik" else name
            assert re.fullmatch(pattern, said)
        assert not re.fullmatch(pattern, "trade-shop-admin-http@kubernetes")
        assert not re.fullmatch(pattern, "shop-admin")


def test_a_bound_between_two_buckets_is_judged_by_the_next_so_that_no_promise_is_tightened():
    assert source(shop()).bound(0.010) == 0.010
    assert source(shop()).bound(0.020) == 0.025
    assert source(shop()).bound(10**6) == 60.0
    assert 'le=~"10([.]0)?"' in source(shop()).slow(0.01, "5m")
    assert 'le="0.01"' in source(shop(mesh="none", ingress="nginx")).slow(0.01, "5m")


def test_rates_look_at_four_scrapes_and_never_at_less_than_a_minute():
    assert base_window(shop()) == "1m"
    assert base_window(shop(observability="{scrape: 1m}")) == "4m"


@given(st.text(max_size=40))
def test_any_text_is_one_string_of_promql(text):
    assert re.fullmatch(r'"(?:\\.|[^"\\\n])*"', quote(text))


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ('sum by (le) (rate(a_bucket{b="c_d{e}"}[5m]))', {"a_bucket"}),
        ("a / on (x) group_left (y) b offset 5m > bool 1", {"a", "b"}),
        ("x:y:z or vector(0) unless absent(c{d=~'e'})", {"x:y:z", "c"}),
        ('{__name__=~"a_(1|2)",b="c"} + {__name__="d"}', {"a_1", "a_2", "d"}),
        ('sum(rate(up{region=~"$region"}[$__rate_interval])) by (job)', {"up"}),
        ("max_over_time(a[1h:1m]) * 1e3 # b", {"a"}),
    ],
)
def test_the_metrics_of_an_expression_are_found(expression, names):
    assert metrics(expression) == names


def test_a_metric_is_exported_by_one_program_and_histograms_have_three_series():
    found = shop(observability="{metrics: [{name: fill_seconds, kind: histogram}]}")
    assert exporter("up", found) == "prometheus"
    assert exporter("istio_request_duration_milliseconds_bucket", found) == "istio"
    assert exporter("fill_seconds_sum", found) == "service"
    assert exporter("slo:error_ratio:1h", found) == "rules"
    assert exporter("istio_request_totals", found) is None
    assert all(re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name) for name in EXPORTED)


def test_alerts_have_names_of_their_own_and_runbooks_in_kebab_case(service):
    assert len({each.name for each in ALERTS}) == len(ALERTS)
    assert len({each.runbook for each in ALERTS}) == len(ALERTS)
    burns = next(each for each in ALERTS if each.name == "AvailabilityBurnsFast")
    assert burns.runbook == "resilience/runbooks/availability-burns-fast.md"
    assert burns.url(service).endswith(f"/blob/main/out/{burns.runbook}")


def test_alerts_about_what_a_service_does_not_have_do_not_exist():
    found = shop(resilience="{database: cockroach, cache: none, queue: none}")
    names = {each.name for each in alerts(found)}
    assert "CockroachRangesUnavailable" in names
    assert not names & {"WalArchivingFails", "CacheMemoryFull", "ConsumersLag", "ConductorAbsent"}
    assert "ConductorAbsent" in {each.name for each in alerts(found, "local")}
