"""The past minutes of a service: what was counted, and nothing invented."""

import asyncio

from holdfast.conductor.console.board import Board
from holdfast.conductor.console.series import (
    POINTS_IN_ALL,
    POINTS_MAX,
    POINTS_MIN,
    Series,
    added,
    points_kept,
    pulse_document,
    quantile,
)
from holdfast.targets.base import RawCounts


class Hands:
    """A clock that is set by hand."""

    def __init__(self):
        self.at = 0.0

    def now(self):
        return self.at

    def wall(self):
        return 1000.0 + self.at


def series_of(*looks):
    clock = Hands()
    series = Series(clock, lambda: (("v1", 100),))
    for seconds, seen in looks:
        clock.at += seconds
        series.note(seen)
    return series


def raw(requests, errors=0, slow=0, **times):
    return RawCounts(requests, errors, slow, tuple((float(k[1:]), v) for k, v in times.items()))


def test_a_point_is_what_was_added_since_the_last_one():
    series = series_of((1, {"v1": raw(100, 5)}), (1, {"v1": raw(150, 6)}))
    (point,) = series.points
    assert (point.seconds, point.weights) == (1.0, (("v1", 100),))
    assert dict(point.arms)["v1"].counts.requests == 50
    assert pulse_document(point)["rate"] == 50.0
    assert pulse_document(point)["errors"] == 1 / 50


def test_looks_in_between_are_added_up_and_not_lost():
    looks = [(0.25, {"v1": raw(10 * n)}) for n in range(9)]
    series = series_of(*looks)
    assert [dict(p.arms)["v1"].counts.requests for p in series.points] == [40, 40]


def test_counters_that_began_again_are_all_new():
    series = series_of((1, {"v1": raw(100, t5=9)}), (1, {"v1": raw(7, t5=7)}))
    arm = dict(series.points[0].arms)["v1"]
    assert arm.counts.requests == 7 and arm.p99_ms == 5.0


def test_a_release_that_appears_begins_at_nothing():
    series = series_of((1, {"v1": raw(1)}), (1, {"v1": raw(2), "v2": raw(3)}))
    assert dict(series.points[0].arms)["v2"].counts.requests == 3


def test_quantiles_are_of_the_interval_and_none_without_requests():
    gained = added({1.0: 90}, {1.0: 180, 8.0: 9, 250.0: 1})
    assert gained == {1.0: 90, 8.0: 9, 250.0: 1}
    assert (quantile(gained, 0.5), quantile(gained, 0.99)) == (1.0, 8.0)
    assert quantile({}, 0.99) is None and quantile({1.0: 0}, 0.5) is None


def test_the_past_is_bounded_and_listeners_get_only_what_is_new():
    series = series_of(*((1, {"v1": raw(n)}) for n in range(POINTS_MAX + 50)))
    assert len(series.points) == POINTS_MAX
    latest = series.points[-3].wall
    assert [point.wall for point in series.since(latest)] == [latest + 1, latest + 2]


def test_many_services_share_the_room_for_their_pasts():
    assert points_kept(0) == points_kept(50) == POINTS_MAX
    assert 600 * points_kept(600) <= POINTS_IN_ALL
    assert points_kept(10_000) == POINTS_MIN


def test_a_live_stream_ends_when_its_session_does():
    class Works:
        def __init__(self):
            from holdfast.conductor.events import News

            self.news, self.clock = News(), Hands()

    class Bare:
        works, stations = Works(), {}

    async def listen():
        told = iter([True, True, False])
        return [frame async for frame in Board(Bare()).stream(None, lambda: next(told))]

    frames = asyncio.run(listen())
    assert len(frames) == 3 and frames[0].startswith(b"retry:")
    assert Bare.works.news.listeners == 0
