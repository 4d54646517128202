"""Texts of the spec where Kubernetes expands ``$(NAME)``: commands and environment values.

Only the variables that Holdfast tells every instance are expanded; every other dollar is doubled,
which Kubernetes turns back into one (kubernetes/third_party/forked/golang/expansion).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_TOLD = re.compile(r"\$(\{)?(PORT|HOLDFAST_(?:SERVICE|RELEASE|VERSION|REPLICA))(?(1)\}|\b)")
_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")
_LABEL_MAX = 63


def literal(text: str) -> str:
    """A value that arrives exactly as it was written."""
    return text.replace("$", "$$")


def command(words: Iterable[str]) -> list[str]:
    """The words of a command: ``$PORT`` and the like become ``$(PORT)``."""
    return [_word(word) for word in words]


def _word(word: str) -> str:
    pieces, end = [], 0
    for told in _TOLD.finditer(word):
        pieces += [literal(word[end : told.start()]), f"$({told[2]})"]
        end = told.end()
    return "".join((*pieces, literal(word[end:])))


def label(text: str) -> str:
    """A text as the value of a label: what a label cannot hold becomes a dash."""
    return _UNFIT.sub("-", text)[:_LABEL_MAX].strip("._-")
