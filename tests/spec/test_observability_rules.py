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
    ],
)  # fmt: skip
def test_what_can_not_be_watched_is_a_problem(path: str, wrong: str, right: str):
    with pytest.raises(Invalid) as refused:
        load_text(BASE + wrong)
    assert [each.path for each in refused.value.problems] == [f"observability.{path}"]
    load_text(BASE + right)
