"""Frozen values to JSON and back: exactly, or a named problem."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.runtime.codec import Undecodable, canonical, decode, encode


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Leaf:
    name: str
    size: float = 0.0


@dataclass(frozen=True)
class Branch:
    leaves: tuple[Leaf, ...]
    pairs: tuple[tuple[str, int], ...] = ()
    colour: Colour | None = None
    seen: frozenset[str] = frozenset()


LEAVES = st.builds(Leaf, st.text(), st.floats(allow_nan=False, allow_infinity=False))
BRANCHES = st.builds(
    Branch,
    st.lists(LEAVES).map(tuple),
    st.lists(st.tuples(st.text(), st.integers())).map(tuple),
    st.none() | st.just(Colour.RED),
    st.frozensets(st.text()),
)


@given(BRANCHES)
def test_what_is_encoded_comes_back_equal(branch):
    assert decode(Branch, encode(branch)) == branch


@given(BRANCHES)
def test_the_same_value_gives_the_same_bytes(branch):
    again = decode(Branch, encode(branch))
    assert canonical(encode(branch)) == canonical(encode(again))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"leaves": [{"name": 3}]}, r"\$\.leaves\[0\]\.name: found 3"),
        ({"leaves": [], "colour": "blue"}, "wanted one of red"),
        ({}, r"\$\.leaves: found None, wanted a value"),
        ({"leaves": [], "extra": 1}, "only the fields of Branch"),
        ({"leaves": [{"name": "a", "size": True}]}, "wanted a number"),
        ([], "wanted an object"),
        ({"leaves": 3}, "wanted a list"),
    ],
)
def test_damage_is_named_by_path(value, said):
    with pytest.raises(Undecodable, match=said):
        decode(Branch, value)


def test_not_a_number_is_never_written():
    with pytest.raises(ValueError, match="Out of range"):
        canonical(float("nan"))
