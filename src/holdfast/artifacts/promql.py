"""Which metrics an expression of PromQL reads. Whether it parses at all is promtool's to say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_TOKEN: Final = re.compile(
    r"""\#[^\n]*                                   # a comment
      | "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | `[^`]*`
      | \[[^\]]*\]                                  # a range, a subquery
      | \$\{?\w+(?::\w+)?\}?                        # a variable of Grafana
      | [0-9][\w.]*                                 # a number, a duration
      | [A-Za-z_:][\w:]* | =~ | !~ | != | \S""",
    re.VERBOSE,
)
_IDENTIFIER = re.compile(r"[A-Za-z_:][\w:]*")
_LISTS = {"by", "without", "on", "ignoring", "group_left", "group_right"}
_WORDS = {"and", "or", "unless", "bool", "offset", "atan2", "inf", "nan", *_LISTS}
_NAME = re.compile(r'__name__(=~?)"((?:\\.|[^"\\])*)"')
_CHOICE = re.compile(r"([\w:]*)\(([\w:|]+)\)([\w:]*)")


def metrics(expression: str) -> frozenset[str]:
    """The names of the metrics an expression reads."""
    tokens = _TOKEN.findall(expression)
    return frozenset((*_plain(tokens), *_matched(expression)))


def _plain(tokens: list[str]) -> Iterator[str]:
    depth = listed = 0  # inside braces; inside the parentheses of a list of labels
    for index, token in enumerate(tokens):
        following = tokens[index + 1] if index + 1 < len(tokens) else ""
        depth += (token == "{") - (token == "}")
        if listed or (token == "(" and index and tokens[index - 1].lower() in _LISTS):
            listed += (token == "(") - (token == ")")
        elif not depth and _is_metric(token, following):
            yield token


def _is_metric(token: str, following: str) -> bool:
    if not _IDENTIFIER.fullmatch(token) or token.lower() in _WORDS:
        return False
    return following != "(" and following.lower() not in ("by", "without")


def _matched(expression: str) -> Iterator[str]:
    """Names said by a matcher; ``a_(1|2)`` and ``a|b`` are as many names."""
    for operator, said in _NAME.findall(expression):
        choice = _CHOICE.fullmatch(said)
        if operator == "=~" and choice:
            before, middle, after = choice.groups()
            yield from (f"{before}{each}{after}" for each in middle.split("|"))
        else:
            yield from said.split("|") if operator == "=~" else (said,)
