"""Rules about what is watched: one spec that breaks each, and the neighbour that does not."""

from __future__ import annotations

import pytest

from holdfast.spec.load import Invalid, load_text

BASE = "service: shop\nrun: python shop.py\nobservability: "


@pytest.mark.parametrize(
    ("path", "wrong", "right"),
    [
        ("metrics[0].name", "{metrics: [{name: 'a b'}]}", "{metrics: [{name: a_b}]}"),
        ("metrics[0].name", "{metrics: [{name: 'a{b=\"c\"}'}]}", "{metrics: [{name: A9_}]}"),
        ("metrics[1].name", "{metrics: [{name: a}, {name: a}]}", "{metrics: [{name: a}]}"),
        ("metrics[0].unit", "{metrics: [{name: a, unit: \"a\\nb\"}]}",
         "{metrics: [{name: a, unit: 'req/s'}]}"),
        ("metrics_path", "{metrics_path: metrics}", "{metrics_path: /internal/metrics?a=b}"),
        ("slack", "{slack: '#a {{b}}'}", "{slack: '#shop-alerts'}"),
        ("scrape", "{scrape: 0s}", "{scrape: 1s}"),
        ("escalate_after", "{escalate_after: 0s}", "{escalate_after: 5m}"),
        ("keep_logs", "{keep_logs: 1s}", "{keep_logs: 1h}"),
        ("prometheus.url", "{prometheus: 'ftp://a'}", "{prometheus: 'http://a:9090/prometheus'}"),
        ("prometheus.url", "{prometheus: 'http://u:p@a'}", "{prometheus: 'https://a'}"),
        ("prometheus.url", "{prometheus: 'http://a:99999'}", "{prometheus: 'http://[::1]:9'}"),
        ("prometheus.tenant", '{prometheus: {tenant: "a\\nb"}}', "{prometheus: {tenant: a-b}}"),
        ("prometheus.timeout", "{prometheus: {timeout: 0s}}", "{prometheus: {timeout: 1s}}"),
        ("prometheus.stale_after", "{scrape: 1m, prometheus: 'http://a'}",
         "{scrape: 1m, prometheus: {url: 'http://a', stale_after: 2m}}"),
        ("prometheus.username", "{prometheus: {username: a}}",
         "{prometheus: {username: a, password_file: b}}"),
        ("prometheus.username", "{prometheus: {username: a, password_file: b, token_file: c}}",
         "{prometheus: {token_file: c}}"),
        ("prometheus.key_file", "{prometheus: {key_file: a}}",
         "{prometheus: {key_file: a, cert_file: b}}"),
        ("prometheus.requests", "{prometheus: {requests: a, errors: b}}",
         "{prometheus: {requests: a, errors: b, release_label: c}}"),
        ("prometheus.timed", "{prometheus: {timed: 'rate(a[5m])', within: b}}",
         "{prometheus: {timed: 'a{b=\"c}[5m]\", d!~\"e\"}', within: '{f=\"g\"}'}}"),
        ("prometheus.within", "{prometheus: {timed: a, within: 'b{c=d}'}}",
         "{prometheus: {timed: a, within: 'b{}'}}"),
        ("prometheus.release_label", "{prometheus: {release_label: a-b}}",
         "{prometheus: {release_label: a_b}}"),
    ],
)  # fmt: skip
def test_what_can_not_be_watched_is_a_problem(path: str, wrong: str, right: str):
    with pytest.raises(Invalid) as refused:
        load_text(BASE + wrong)
    assert [each.path for each in refused.value.problems] == [f"observability.{path}"]
    load_text(BASE + right)
