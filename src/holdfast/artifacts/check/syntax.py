"""Whether PromQL parses, by the Rust parser of PyPI's promql-parser."""

from __future__ import annotations

from collections.abc import Iterator

import promql_parser

from holdfast.artifacts.check.monitoring import expressions
from holdfast.artifacts.check.whole import Whole
from holdfast.supply.finding import Finding


def check(whole: Whole) -> Iterator[Finding]:
    for expression in expressions(whole):
        try:
            promql_parser.parse(expression.text)
        except ValueError as error:
            yield expression.finding("promql", f"{error} in {expression.text[:120]!r}", "PromQL")
