"""The gauge turns cumulative counters into intervals, and says when it cannot."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.rollout.model import Counts, Sample, Source
from holdfast.targets.base import RawCounts, Unreachable
from holdfast.telemetry import gauge as gauge_module
from holdfast.telemetry.gauge import Gauge, delta


class Hand:
    """A clock moved by hand."""

    at = 100.0

    def now(self) -> float:
        return self.at

    def wall(self) -> float:
        return self.at


class Source1:
    """Answers what it is told to, or raises it."""

    def __init__(self, *answers: Mapping[str, RawCounts] | Exception) -> None:
        self.answers = list(answers)

    async def read(self) -> Mapping[str, RawCounts]:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def look(*answers: Mapping[str, RawCounts] | Exception, gap: float = 2.0) -> list[Sample]:
    clock = Hand()
    gauge = Gauge(Source1(*answers).read, clock)

    async def all_looks() -> list[Sample]:
        samples = []
        for _ in answers:
            samples.append(await gauge.sample())
            clock.at += gap
        return samples

    return asyncio.run(all_looks())


def test_an_interval_is_the_difference_of_two_looks():
    first, second = look({"v1": RawCounts(10, 1, 2)}, {"v1": RawCounts(25, 3, 2)})
    assert (first.source, first.seconds, first.arms) == (Source.OK, 0.0, ())
    assert (second.source, second.seconds) == (Source.OK, 2.0)
    assert second.arm("v1") == Counts(15, 2, 0)


def test_counters_that_start_again_count_from_zero():
    _, second = look({"v1": RawCounts(1000, 10, 5)}, {"v1": RawCounts(7, 1, 0)})
    assert second.arm("v1") == Counts(7, 1, 0)


def test_a_release_seen_for_the_first_time_counts_whole_and_one_that_left_is_absent():
    _, second = look({"v1": RawCounts(10, 0, 0)}, {"v2": RawCounts(4, 1, 1)})
    assert second.arms == (("v2", Counts(4, 1, 1)),)


def test_a_release_that_comes_back_with_its_old_counters_is_not_counted_twice():
    *_, third = look({"v1": RawCounts(10, 0, 0)}, {}, {"v1": RawCounts(12, 0, 0)})
    assert third.arm("v1") == Counts(2, 0, 0)


def test_no_answer_is_down_and_the_next_interval_covers_the_gap():
    _, down, third = look(
        {"v1": RawCounts(10, 0, 0)}, Unreachable("gone"), {"v1": RawCounts(30, 0, 0)}
    )
    assert down == Sample(Source.DOWN)
    assert (third.seconds, third.arm("v1").requests) == (4.0, 20)


def test_a_silent_source_is_down_and_not_waited_for(monkeypatch):
    monkeypatch.setattr(gauge_module, "READ_WITHIN_S", 0.01)

    async def never() -> Mapping[str, RawCounts]:
        await asyncio.sleep(60)
        return {}

    gauge = Gauge(never, Hand())
    assert asyncio.run(gauge.sample()).source is Source.DOWN
    assert gauge.why_down is not None and gauge.why_down.startswith("TimeoutError")


def test_a_gap_too_long_to_say_when_is_stale_and_the_next_look_is_fresh():
    looks = [{"v1": RawCounts(n, 0, 0)} for n in (1, 500, 600)]
    clock, source = Hand(), Source1(*looks)
    gauge = Gauge(source.read, clock)

    async def scenario() -> tuple[Sample, Sample]:
        await gauge.sample()
        clock.at += gauge_module.STALE_AFTER_S + 1
        late = await gauge.sample()
        clock.at += 1
        return late, await gauge.sample()

    late, fresh = asyncio.run(scenario())
    assert late == Sample(Source.STALE)
    assert fresh.arm("v1").requests == 100


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 9), st.integers(0, 9)), max_size=8))
def test_the_intervals_add_up_and_are_never_negative(steps):
    total, cumulative = Counts(), [Counts()]
    for requests, errors, slow in steps:
        total = Counts(total.requests + requests, total.errors + errors, total.slow + slow)
        cumulative.append(total)
    parts = [delta(a, b) for a, b in itertools.pairwise(cumulative)]
    assert sum(part.requests for part in parts) == total.requests
    assert all(min(part.requests, part.errors, part.slow) >= 0 for part in parts)


@pytest.mark.parametrize("now", [Counts(5, 9, 0), Counts(20, 0, 0), Counts(0, 0, 0)])
def test_one_smaller_counter_means_that_all_began_again(now):
    assert delta(Counts(10, 1, 0), now) == (now if now != Counts(20, 0, 0) else Counts(20, 0, 0))
