"""Addresses that nobody has filled in yet: one warning for each spec key, not for each place."""

from __future__ import annotations

import re
from collections.abc import Iterator

from holdfast.artifacts.check.whole import Whole
from holdfast.artifacts.check.written import Written
from holdfast.supply.finding import Finding, Severity

_PLACEHOLDER = re.compile(r"[\w.-]*\bexample\.(?:com|org|net)\b|github\.com/example/")
#: How a placeholder ends, and which key it stands for; the rest are the service's public names.
_KEYS = (
    ("github.com/example/", "delivery.repository"),
    ("registry.example.com", "image.repository"),
)
_HOST = "kubernetes.host"
_COMMENTS = ("#", "//", ";")
_SHOWN = 3


def check(whole: Whole) -> Iterator[Finding]:
    found: dict[str, list[tuple[str, Written, int]]] = {}
    for file in whole.files:
        for word, line in _first_of_each(file).items():
            found.setdefault(_key(word), []).append((word, file, line))
    for key, places in sorted(found.items()):
        word, file, line = places[0]
        paths = list(dict.fromkeys(each.path for _, each, _ in places))
        words = f"{word} or the like in {len(paths)} files: {_some(paths)}"
        where = (file.path, words, "your own", line, key)
        yield Finding("holdfast/placeholder", *where, severity=Severity.WARNING)


def _first_of_each(file: Written) -> dict[str, int]:
    """Each placeholder of a file with its first line; comments are for people."""
    found: dict[str, int] = {}
    if "example" not in file.text:
        return found
    for number, line in enumerate(file.text.splitlines(), 1):
        if "example" in line and not line.lstrip().startswith(_COMMENTS):
            for match in _PLACEHOLDER.finditer(line):
                found.setdefault(match[0], number)
    return found


def _key(word: str) -> str:
    return next((key for end, key in _KEYS if word.endswith(end)), _HOST)


def _some(paths: list[str]) -> str:
    more = len(paths) - _SHOWN
    return ", ".join(paths[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
