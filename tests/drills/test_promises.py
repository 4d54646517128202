"""A finding holds, is broken or says nothing, and noise never turns a loss into a pass."""

from __future__ import annotations

from dataclasses import replace

import pytest

from holdfast.drills.promises import (
    Finding,
    Noise,
    Promise,
    availability,
    catalogue,
    exit_code,
    find,
    show,
    show_bound_of_zero,
)
from holdfast.spec.model import Promises

FAST = Promise("P6", "p99", "ms", 10.0)
WHOLE = Promise("P3", "failed", "requests", 0, timed=False)
MUCH = Promise("P7", "throughput", "/s", 1e6, at_least=True)
BUSY = Noise(foreign=0.6)


def test_a_measurement_inside_its_bound_holds() -> None:
    assert find(FAST, "d", 9.9, 1000).mark == "holds"
    assert find(MUCH, "d", 1.1e6, 1000).mark == "holds"


def test_a_missed_bound_on_a_quiet_machine_is_broken() -> None:
    assert find(FAST, "d", 10.1, 1000).mark == "broken"
    assert find(MUCH, "d", 0.9e6, 1000).mark == "broken"


@pytest.mark.parametrize(
    "noise", [BUSY, Noise(steal=0.2), Noise(lag_p99_ms=30.0)], ids=["foreign", "steal", "lag"]
)
def test_a_bound_of_time_missed_in_noise_is_void_not_broken(noise: Noise) -> None:
    found = find(FAST, "d", 25.0, 1000, noise)
    assert found.mark == "void" and not found.holds


def test_a_bound_kept_in_spite_of_noise_holds() -> None:
    assert find(FAST, "d", 5.0, 1000, BUSY).mark == "holds"


@pytest.mark.req("P3")
def test_noise_never_excuses_a_lost_request() -> None:
    assert find(WHOLE, "d", 1, 300_000, BUSY).mark == "broken"


def test_a_generator_that_did_not_hold_its_rate_proves_nothing_even_when_all_looks_well() -> None:
    lame = Noise(held_rate=0.9)
    assert find(FAST, "d", 1.0, 1000, lame).mark == "void"
    assert find(WHOLE, "d", 0, 1000, lame).mark == "void"


@pytest.mark.req("P3")
def test_a_slow_generator_does_not_excuse_a_request_that_was_refused() -> None:
    assert find(WHOLE, "d", 1, 1000, Noise(held_rate=0.5)).mark == "broken"


@pytest.mark.parametrize("measured, n", [(float("nan"), 1000), (1.0, 0)])
def test_no_data_is_void_and_never_kept(measured: float, n: int) -> None:
    found = find(FAST, "d", measured, n)
    assert found.mark == "void" and not found.holds


def test_the_exit_code_is_1_for_broken_and_5_for_undecided() -> None:
    held = find(FAST, "d", 1.0, 10)
    broken, void = find(FAST, "d", 11.0, 10), find(FAST, "d", 11.0, 10, BUSY)
    assert exit_code([held]) == 0
    assert exit_code([held, void]) == 5
    assert exit_code([held, void, broken]) == 1
    assert exit_code([]) == 5


@pytest.mark.req("P8")
def test_availability_is_never_claimed_beyond_what_the_count_shows() -> None:
    seen, at_least = availability(300_000, 0)
    assert seen == 100.0
    assert at_least == pytest.approx(100 - 100 * 3 / 300_000)
    assert availability(1000, 10)[1] < 99.0


def test_zero_of_n_is_printed_with_its_bound() -> None:
    assert show_bound_of_zero(300_000) == "0 of 300,000: below 0.001 % with 95 % confidence"


def test_the_bounds_come_from_the_spec_and_are_never_weaker_than_the_drill_s_own() -> None:
    strict = catalogue(Promises(deploy="10s", rollback="1s", p99="4ms"))
    assert strict["P1"].bound == 10 and strict["P2"].bound == 1 and strict["P6"].bound == 4
    assert catalogue(Promises())["P1"].bound == 60


def test_a_finding_is_plain_json_with_its_mark() -> None:
    found: Finding = find(FAST, "d", 1.0, 10)
    document = replace(found, evidence={"a": 1}).as_json()
    assert document["mark"] == "holds" and document["promise"] == "P6"
    assert set(document) >= {"promise", "measured", "unit", "bound", "holds", "void", "n"}


@pytest.mark.parametrize(
    "value, unit, said",
    [
        (0.0042, "s", "4.2 ms"),
        (0.42, "s", "420 ms"),
        (12.34, "s", "12.3 s"),
        (1e6, "/s", "1,000,000/s"),
        (3.14159, "ms", "3.14 ms"),
        (float("nan"), "s", "-"),
        (float("inf"), "s", "never"),
    ],
)
def test_numbers_are_said_with_their_unit(value: float, unit: str, said: str) -> None:
    assert show(value, unit) == said
