"""Waivers accept findings until a day; then the finding and the waiver both count."""

from __future__ import annotations

import pytest

from holdfast.artifacts.check.waivers import settle
from holdfast.spec.production.waivers import Waiver
from holdfast.supply.finding import Finding, Severity

FINDING = Finding("checkov/CKV_1", "kubernetes/base/a.yaml", "x", "y", 3)
TODAY = "2026-06-30"


def waiver(rule="checkov/CKV_1", artifact="*", expires="2026-12-31", found="*"):
    return Waiver(rule=rule, artifact=artifact, found=found, reason="we know", expires=expires)


@pytest.mark.parametrize(
    "given",
    [waiver(), waiver("checkov/*"), waiver(artifact="kubernetes/base/*"), waiver(expires=TODAY)],
)
def test_a_waiver_accepts_what_it_names_to_the_end_of_its_last_day(given):
    settled = settle([FINDING], [given], TODAY)
    assert settled.open == () and settled.waived == ((FINDING, "we know"),)


@pytest.mark.parametrize("given", [waiver(artifact="delivery/*"), waiver(found="*.LogBucket)")])
def test_a_waiver_accepts_nothing_else_in_the_same_place_or_by_the_same_rule(given):
    assert settle([FINDING], [given], TODAY).open[0] == FINDING


def test_a_waiver_that_has_ended_counts_and_so_does_its_finding():
    settled = settle([FINDING], [waiver(expires="2026-06-29")], TODAY)
    assert [each.rule for each in settled.open] == ["checkov/CKV_1", "waiver/expired"]
    assert settled.open[1].key == "waivers[0]"


@pytest.mark.parametrize("day", ["soon", "2026-13-01", "31.12.2026"])
def test_a_waiver_without_a_day_accepts_nothing(day):
    settled = settle([FINDING], [waiver(expires=day)], TODAY)
    assert [each.rule for each in settled.open] == ["checkov/CKV_1", "waiver/day"]


def test_a_waiver_that_nothing_needs_is_a_warning_unless_nobody_looked():
    (found,) = settle([], [waiver()], TODAY).open
    assert (found.rule, found.severity) == ("waiver/unused", Severity.WARNING)
    assert settle([], [waiver()], TODAY, silent={"checkov"}).open == ()
