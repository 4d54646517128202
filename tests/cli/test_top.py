"""``holdfast top``: the same picture as the console, in lines."""

import json

import pytest

from holdfast.cli.console import _at_our_end
from holdfast.cli.top import SPARK_WIDTH, sparkline, top_lines


def card(name="shop", rollout=None, pulse=None, holds=(), **status):
    stable = {"id": "v1-a", "digest": "d", "version": "v1"}
    state = {"stable": stable, "previous": None, "rollout": rollout, "retired": False}
    fleet = {"release": "v1-a", "version": "v1", "ready": 3}
    whole = {
        "service": name, "replicas": 3, "state": state, "fleets": [fleet],
        "weights": {"v1-a": 100}, "holds": list(holds), "trouble": None, **status,
    }  # fmt: skip
    return {"status": whole, "pulse": pulse, "spark": [1.0, 2.0, 4.0]}


PULSE = {"wall": 1.0, "rate": 1234.5, "errors": 0.02, "slow": 0.0, "p99_ms": 0.4}


def test_a_line_says_state_traffic_rate_errors_latency_and_replicas():
    (_head, line) = top_lines([card(pulse=PULSE)])
    for words in ("shop", "v1 live", "v1 100 %", "1,234.5", "2.00%", "<1 ms", "3/3"):
        assert words in line


def test_a_rollout_says_its_step_and_why_it_waits():
    new = {"id": "v2-b", "digest": "e", "version": "v2"}
    old = {"id": "v1-a", "digest": "d", "version": "v1"}
    rollout = {"new": new, "old": old, "step": 1, "steps": 3, "paused": True}
    hold = {"code": "needs-samples", "detail": "212 more\x1b[2J requests"}
    (_head, line) = top_lines([card(rollout=rollout, holds=[hold])])
    assert "v1 -> v2 1/3 paused" in line and "212 more" in line
    assert "\x1b" not in line, "a release's words have no power over the terminal"


def test_services_are_in_the_order_of_their_names_and_nothing_is_an_answer_too():
    lines = top_lines([card("b"), card("a")])
    assert [line.split()[0] for line in lines[1:]] == ["a", "b"]
    assert "holdfast up" in top_lines([])[0]


@pytest.mark.parametrize("values", [[], [0.0], [0.0, 5.0], list(map(float, range(100)))])
def test_a_sparkline_is_always_as_wide_and_its_highest_bar_is_full(values):
    line = sparkline(values)
    assert len(line) == SPARK_WIDTH
    assert ("█" in line) is any(values)


def test_a_link_of_a_conductor_behind_a_tunnel_has_the_port_of_our_end(monkeypatch):
    monkeypatch.setenv("HOLDFAST_CONDUCTOR", "127.0.0.1:8443")
    assert _at_our_end("http://holdfast.localhost:40001/#code=abc") == (
        "http://holdfast.localhost:8443/#code=abc"
    )


@pytest.mark.live
def test_in_a_pipe_it_is_said_once_and_json_is_for_programs(shell):
    (shell.directory / "holdfast.yaml").write_text("service: shop\ntarget: simulated\nrun: app\n")
    assert shell("up").code == 0
    try:
        plain = shell("top")
        assert plain.code == 0 and plain.out.startswith("SERVICE") and "shop" in plain.out
        assert "\x1b" not in plain.out
        (found,) = json.loads(shell("top", "--json").out)["cards"]
        assert found["status"]["service"] == "shop"
        link = json.loads(shell("console", "--role", "viewer", "--json").out)
        assert link["role"] == "viewer" and link["url"].startswith("http://holdfast.localhost:")
    finally:
        assert shell("down", "--yes").code == 0
