"""Kernel parameters: what counts as no worse, and what doctor makes of it."""

from __future__ import annotations

import pytest

from holdfast.artifacts.kernel import PARAMETERS, Parameter, Range
from holdfast.cli.checks import Finding, examine
from holdfast.cli.options import Where

HIGHER = Parameter("a", "100", "x", "10")
LOWER = Parameter("a", "15", "x", better="lower")
EQUAL = Parameter("a", "bbr", "x", better="equal")
BUFFERS = Parameter("a", "4096 65536 100000", "x")
PORTS = Range("a", "10240 65000", "x", "10240 30240")


@pytest.mark.req("T15")
@pytest.mark.parametrize(
    ("parameter", "live", "holds"),
    [
        (HIGHER, "100", True), (HIGHER, "99", False), (HIGHER, "unlimited", False),
        (LOWER, "15", True), (LOWER, "60", False), (LOWER, "", False),
        (EQUAL, "bbr", True), (EQUAL, "cubic", False),
        (BUFFERS, "4096\t87380\t6291456", True), (BUFFERS, "4096 65536 99999", False),
        (PORTS, "1024 65535", True), (PORTS, "32768 60999", False), (PORTS, "1", False),
    ],
)  # fmt: skip
def test_a_live_value_is_judged_in_the_direction_in_which_it_counts(parameter, live, holds):
    assert parameter.holds(live) is holds


@pytest.mark.req("T15")
def test_what_one_machine_needs_is_less_than_what_a_node_has():
    for parameter in PARAMETERS:
        assert parameter.holds(parameter.value), parameter.name
        if parameter.least:
            assert parameter.holds(parameter.value, parameter.least), parameter.name
            assert not parameter.holds(parameter.least), parameter.name


@pytest.mark.req("T15")
def test_every_parameter_is_there_once_and_says_what_a_worse_value_costs():
    names = [each.name for each in PARAMETERS]
    assert len(set(names)) == len(names) >= 20
    assert all(len(each.costs.split()) >= 4 for each in PARAMETERS)


def finding(monkeypatch, tmp_path, live) -> Finding:
    monkeypatch.setattr("holdfast.cli.checks._sysctl", lambda name: live.get(name))
    where = Where(tmp_path / "holdfast.yaml")
    (found,) = [f for f in examine(where) if f.subject in live]
    return found


@pytest.mark.req("T15")
@pytest.mark.parametrize(
    ("live", "mark", "costs"),
    [("65535", "ok", ""), ("4096", "ok", "in production: bursts"), ("128", "warn", "bursts of")],
)
def test_doctor_warns_below_what_is_felt_here_and_tells_what_production_nodes_have(
    monkeypatch, tmp_path, live, mark, costs
):
    found = finding(monkeypatch, tmp_path, {"net.core.somaxconn": live})
    assert found.mark == mark
    assert found.costs.startswith(costs) and bool(found.costs) is bool(costs)
    if mark == "warn":
        assert found.fix == "sudo sysctl -w net.core.somaxconn='65535'"
