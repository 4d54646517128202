"""What a Prometheus-compatible server may answer, and what of it counts as evidence."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.telemetry.prometheus.answer import (
    Denied,
    NotNumbers,
    Partial,
    Point,
    SourceError,
    Unreadable,
    read,
)


def answer(*series, **more):
    result = [
        {"metric": dict(metric), "values": [list(pair) for pair in values]}
        for metric, *values in series
    ]
    data = {"resultType": "matrix", "result": result}
    return json.dumps({"status": "success", "data": data, **more})


def test_points_come_in_the_order_of_time_with_their_labels():
    (found,) = read(answer(({"pod": "b", "code": "200"}, (20, "7"), (10.5, "3"))))
    assert found.labels == (("code", "200"), ("pod", "b"))
    assert found.label("pod") == "b" and found.label("none") == ""
    assert found.points == (Point(10.5, 3.0), Point(20.0, 7.0))


def test_nothing_found_is_an_answer_and_so_is_a_series_without_points():
    assert read(answer()) == ()
    assert read(answer(({"a": "b"},))) == ()


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf", "-1", "1e300"])
def test_what_is_no_count_is_refused_with_the_name_of_its_series(value):
    with pytest.raises(NotNumbers, match="pod=a"):
        read(answer(({"pod": "a"}, (1, value))))


@pytest.mark.parametrize(
    "more", [{"warnings": ["store 10.0.0.1 did not answer"]}, {"isPartial": True}]
)
def test_half_an_answer_is_none(more):
    with pytest.raises(Partial):
        read(answer(({"a": "b"}, (1, "1")), **more))


def test_a_remark_about_the_query_takes_nothing_from_the_answer():
    assert read(answer(({"a": "b"}, (1, "1")), infos=["a remark"], warnings=[]))


def test_an_error_of_the_server_is_repeated_on_one_line_without_control_characters():
    with pytest.raises(Denied) as refused:
        read(json.dumps({"status": "error", "error": "too\nmany \x1b[31m samples" + "x" * 999}))
    said = str(refused.value)
    assert said.startswith("too many ?[31m samplesx") and len(said) <= 200


@pytest.mark.parametrize(
    "text",
    [
        "", "<html>502</html>", "[]", "null", "3", "[" * 100_000,
        '{"status": "success"}',
        '{"status": "success", "data": null}',
        '{"status": "success", "data": {"resultType": "vector", "result": []}}',
        '{"status": "success", "data": {"resultType": "matrix", "result": [3]}}',
        answer(({"a": "b"}, (1, 1))),  # a number that is no text
        answer(({"a": "b"}, ("1", "1"))),
        answer(({"a": "b"}, (1, "1", "1"))),
        answer(({"a": "b"}, (1, "one"))),
        answer(({"a": "b"}, (1, "1")), ({"a": "b"}, (1, "2"))),
        answer(({"a": "b"}, (1e400, "1"))),
        answer(({"a": "b"}, (10**400, "1"))),
    ],
)  # fmt: skip
def test_what_is_no_answer_of_this_api_is_said_to_be_none(text):
    with pytest.raises(Unreadable):
        read(text)


def test_a_native_histogram_is_no_counter():
    odd = {"metric": {"a": "b"}, "histograms": [[1, {}]]}
    data = {"resultType": "matrix", "result": [odd]}
    with pytest.raises(NotNumbers):
        read(json.dumps({"status": "success", "data": data}))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["status", "data", "result", "resultType", "metric", "values", "warnings"]
            ),
            inner | st.sampled_from(["success", "matrix"]),
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_no_answer_however_odd_is_more_than_an_error_of_the_source(odd):
    for text in (
        json.dumps(odd),
        json.dumps({"status": "success", "data": odd}),
        json.dumps({"status": "success", "data": {"resultType": "matrix", "result": odd}}),
    ):
        try:
            for series in read(text):
                assert all(0 <= point.value < float("inf") for point in series.points)
        except SourceError:
            pass
