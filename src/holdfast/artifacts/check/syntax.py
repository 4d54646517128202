"""Whether PromQL parses, by the Rust parser of PyPI's promql-parser."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import promql_parser

from holdfast.artifacts.check.monitoring import expressions
from holdfast.artifacts.check.whole import Whole
from holdfast.supply.finding import Finding


def check(whole: Whole) -> Iterator[Finding]:
    for expression in expressions(whole):
        if wrong := _wrong(expression.text):
            yield expression.finding("promql", f"{wrong} in {expression.text[:120]!r}", "PromQL")


@cache
def _wrong(text: str) -> str:
    try:
        promql_parser.parse(text)
    except ValueError as error:
        return str(error)
    return ""
