"""Percentiles, counts and windows of a record agree with plain arithmetic."""

from __future__ import annotations

import itertools
from array import array
from pathlib import Path

import numpy as np
import pytest

from holdfast.drills.load import worst_of_each
from holdfast.drills.record import Record, Window


def record_of(took_ms: np.ndarray, kind: np.ndarray | None = None, rate: float = 1000.0) -> Record:
    n = len(took_ms)
    intended = np.arange(n) / rate
    return Record(
        start=50.0,
        intended=intended,
        sent=intended + 1e-4,
        done=intended + took_ms / 1e3,
        kind=np.zeros(n, np.uint8) if kind is None else kind.astype(np.uint8),
        who=np.ones(n, np.uint8),
        kinds=("ok", "http-503", "reset"),
        versions=("", "v1", "v2"),
        plan={"rate": rate, "rows": 1},
        facts={"wake_at": [0.0, 0.5], "wake_lag_ms": [0.1, 7.0], "loop": "test"},
    )


@pytest.mark.req("P6")
@pytest.mark.parametrize("percent", [50, 90, 99, 99.9])
def test_histogram_percentiles_are_within_a_thousandth_of_the_exact_ones(percent: float) -> None:
    took = np.random.default_rng(1).lognormal(0.5, 1.0, 50_000)
    exact = float(np.sort(took)[round(percent / 100 * len(took)) - 1])
    assert record_of(took).percentile_ms(percent) == pytest.approx(exact, rel=2e-3)


def test_a_window_counts_what_was_intended_inside_it_and_nothing_else() -> None:
    kind = np.zeros(1000)
    kind[100:103] = 1
    kind[500] = 2
    record = record_of(np.ones(1000), kind)
    assert record.failures() == {"http-503": 3, "reset": 1}
    assert record.failures(Window(50.0, 50.2)) == {"http-503": 3}
    assert record.requests(Window(50.1, 50.2)) == 100


def test_windows_that_tile_the_run_add_up_to_it() -> None:
    kind = (np.arange(997) % 7 == 0).astype(float)
    record = record_of(np.ones(997), kind)
    edges = np.linspace(50.0, 51.0, 14)
    tiles = [Window(a, b) for a, b in itertools.pairwise(edges)]
    assert sum(record.requests(tile) for tile in tiles) == record.requests() == 997
    assert sum(record.failed(tile) for tile in tiles) == record.failed() == int(kind.sum())


def test_the_series_loses_no_request_and_no_failure() -> None:
    kind = (np.arange(1234) % 11 == 0).astype(float)
    series = record_of(np.ones(1234), kind).series(0.1)
    assert sum(each.requests for each in series) == 1234
    assert sum(each.failures for each in series) == int(kind.sum())
    assert sum(each.versions["v1"] for each in series) == 1234


def test_a_saved_record_is_read_back_whole(tmp_path: Path) -> None:
    record = record_of(np.random.default_rng(2).random(100))
    record.save(tmp_path / "r.npz")
    again = Record.load(tmp_path / "r.npz")
    assert again.summary() == record.summary()
    assert np.array_equal(again.done, record.done)


def test_only_late_wake_ups_lower_the_rate_held_and_never_a_busy_server() -> None:
    record = record_of(np.full(1000, 5000.0))
    record.sent[90:] = np.nan
    assert record.held_rate() == 1.0
    record.facts["wake_lag_ms"] = [0.1, 80.0, 0.2, 0.3]
    assert record.held_rate() == pytest.approx(1 - 0.030, abs=1e-4)


def test_one_long_sleep_of_the_generator_counts_by_its_length_and_not_as_one_wake_up() -> None:
    record = record_of(np.ones(10_000))
    record.facts["wake_lag_ms"] = [*[0.1] * 8000, 2050.0]
    record.facts["wake_at"] = np.linspace(0, 10, 8001)
    assert record.held_rate() == pytest.approx(0.8, abs=1e-3)


def test_thinning_the_wake_ups_keeps_the_worst_of_them() -> None:
    lags = array("d", [0.1] * 1003)
    lags[601] = 900.0
    kept = worst_of_each(lags, 10)
    assert len(kept) == len(lags[::10]) and max(kept) == 900.0


def test_the_lag_of_the_generator_is_told_for_the_window_asked() -> None:
    record = record_of(np.ones(1000))
    assert record.lag_ms(100, Window(50.0, 50.4)) == pytest.approx(0.1)
    assert record.lag_ms(100) == pytest.approx(7.0)


def test_how_finely_the_last_answer_can_be_known_is_how_far_apart_its_answers_were() -> None:
    record = record_of(np.zeros(4000))
    record.who[::20] = 2  # 5 % of 1,000 a second
    assert record.answer_gap_s("v2", 53.0) == pytest.approx(0.020, rel=0.02)
    assert np.isnan(record.answer_gap_s("v7", 53.0)) and np.isnan(record.answer_gap_s("v2", 10.0))


def test_a_version_that_never_answered_has_no_last_answer() -> None:
    assert record_of(np.ones(10)).last_answer("v7") is None
    assert record_of(np.ones(10)).last_answer("v2") is None
