"""Instances are born, start again and die; the sum over a release only rises, and is exact."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.rollout.model import Counts
from holdfast.telemetry.prometheus.answer import Outdated, Point, Series
from holdfast.telemetry.prometheus.tally import FORGET_AFTER_S, Tallies, Tally


def series(pod, *points, version="v1"):
    return Series((("pod", pod), ("version", version)), tuple(Point(*pair) for pair in points))


def total(*looks):
    tally = Tally("version")
    for look in looks:
        tally.take(look)
    return tally.totals


def test_the_first_look_only_says_where_counting_starts():
    assert total([series("a", (10, 500.0))]) == {}
    assert total([series("a", (10, 500.0))], [series("a", (10, 500.0), (20, 503.0))]) == {"v1": 3.0}


def test_a_series_born_between_two_looks_counts_from_zero():
    assert total([], [series("a", (20, 4.0), (30, 9.0))]) == {"v1": 9.0}


def test_an_instance_that_goes_away_takes_nothing_with_it():
    looks = [[series("a", (1, 10.0)), series("b", (1, 20.0))],
             [series("a", (1, 10.0), (2, 15.0)), series("b", (1, 20.0), (2, 21.0))],
             [series("a", (2, 15.0), (3, 16.0))]]  # fmt: skip
    assert total(*looks) == {"v1": 7.0}


def test_a_counter_that_starts_again_twice_between_two_looks_loses_nothing_that_was_scraped():
    points = [(1, 90.0), (2, 100.0), (3, 5.0), (4, 7.0), (5, 2.0)]
    assert total([series("a", (1, 90.0))], [series("a", *points)]) == {"v1": 10 + 7 + 2}


def test_the_same_samples_seen_again_count_once():
    look = [series("a", (1, 5.0), (2, 9.0))]
    assert total([series("a", (1, 5.0))], look, look, look) == {"v1": 4.0}


def test_releases_are_counted_apart():
    before = [series("a", (1, 0.0)), series("b", (1, 0.0), version="v2")]
    after = [series("a", (2, 3.0)), series("b", (2, 4.0), version="v2")]
    assert total(before, after) == {"v1": 3.0, "v2": 4.0}


def test_memory_of_instances_long_gone_is_let_go():
    tally = Tally("version")
    for hour in range(50):
        tally.take([series(f"pod-{hour}", (hour * FORGET_AFTER_S * 2, 1.0))])
    assert len(tally._last) == 1
    assert tally.totals == {"v1": 49.0}


@dataclass
class Pod:
    """A program with a counter, scraped now and then."""

    name: str
    count: int = 0
    scraped: list[tuple[float, float]] = field(default_factory=list)


STEPS = st.lists(
    st.tuples(st.sampled_from(["serve", "birth", "death", "restart", "look"]), st.integers(0, 5)),
    max_size=60,
)


@given(STEPS)
def test_the_tally_is_the_number_of_requests_whatever_becomes_of_the_instances(steps):
    """Every instance is scraped after every step, and looks overlap: then nothing is lost."""
    pods, tally, served, since, now = [Pod("pod-0")], Tally("version"), 0, None, 0.0
    born = 1
    for what, which in [*steps, ("look", 0)]:
        now += 1.0
        pod = pods[which % len(pods)] if pods else None
        if what == "serve" and pod:
            pod.count += which
            served += which
        elif what == "birth":
            pods.append(Pod(f"pod-{born}"))
            born += 1
        elif what == "restart" and pod:
            # A restarted counter must be seen below its old value to be told from the old one.
            pod.scraped.append((now, 0.0))
            pod.count, now = 0, now + 0.5
        for each in pods:
            each.scraped.append((now, float(each.count)))
        if what == "look":
            tally.take([series(p.name, *p.scraped) for p in pods if p.scraped])
            since = served if since is None else since
        if what == "death" and pod:
            tally.take([series(p.name, *p.scraped) for p in pods])
            since = served if since is None else since
            pods.remove(pod)
    assert tally.totals.get("v1", 0.0) == served - since


def counted(*values):
    tallies = [Tally("version", {"v1": value}) for value in values]
    return Tallies(*tallies).counts({"v1": "release-1", "v2": "release-2"})


def test_errors_and_slow_answers_are_no_more_than_requests():
    found = counted(10.0, 12.0, 30.0, 5.0)
    assert found == {"release-1": Counts(10, 10, 10), "release-2": Counts()}


def test_what_was_slow_once_stays_slow_when_a_scrape_lies_between_two_questions():
    tallies = Tallies(*(Tally("version", {"v1": value}) for value in (10.0, 0.0, 10.0, 7.0)))
    assert tallies.counts({"v1": "a"})["a"].slow == 3
    assert tallies.within is not None
    tallies.within.totals["v1"] = 9.0
    assert tallies.counts({"v1": "a"})["a"].slow == 3


def test_two_names_of_one_release_are_added():
    tallies = Tallies(Tally("v", {"a": 3.0, "b": 4.0}), Tally("v", {"b": 1.0}))
    assert tallies.counts({"a": "r", "b": "r"}) == {"r": Counts(7, 1, 0)}


def test_old_samples_are_no_evidence_and_no_samples_are_no_traffic():
    tallies = Tallies(Tally("v"), Tally("v"))
    tallies.assert_fresh(1e9, 45.0)
    tallies.requests.take([series("a", (100, 1.0))])
    tallies.assert_fresh(145.0, 45.0)
    with pytest.raises(Outdated, match="46s old"):
        tallies.assert_fresh(146.0, 45.0)
