"""Errors become answers at one border, and every number in an answer is finite."""

import json
import math

import pytest

from holdfast.conductor.answers import Problem, answer, failure
from holdfast.conductor.lease import Lost
from holdfast.ledger import LedgerFull
from holdfast.rollout.commands import Rejected
from holdfast.runtime.home import UnsafeHome
from holdfast.targets.base import Refused, Unreachable


def test_what_is_not_a_number_is_null_and_the_rest_is_untouched():
    body = {"a": [math.inf, -math.inf, math.nan, 1.5], "b": {"c": (math.nan, "é\ud800")}}
    told = json.loads(answer(200, body).body)
    assert told["a"] == [None, None, None, 1.5] and told["b"]["c"][0] is None


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Problem(404, "unknown-service", "no"), 404, "unknown-service"),
        (Rejected("conflict", "another runs", "wait"), 409, "conflict"),
        (Refused("missing-binary", "no such file"), 422, "missing-binary"),
        (Unreachable("silence"), 503, "target"),
        (TimeoutError(), 503, "target"),
        (LedgerFull("full", "free space"), 503, "ledger"),
        (Lost("taken over"), 503, "lease-lost"),
        (ZeroDivisionError("oops"), 500, "internal"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_each_error_has_its_status_and_code(error, status, code):
    response = failure("deploy", error)
    told = json.loads(response.body)["error"]
    assert (response.status_code, told["code"]) == (status, code)
    assert told["detail"] and isinstance(told["hint"], str)


def test_an_unsafe_home_says_the_remedy(tmp_path):
    response = failure("status", UnsafeHome(tmp_path, "others may write", "chmod 700 it"))
    assert json.loads(response.body)["error"]["hint"] == "chmod 700 it"
