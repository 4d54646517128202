"""A problem in a spec: where, what was found, what is wanted, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

FOUND_LENGTH_MAX = 60
#: What YAML parsers count as the end of a line.
LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")


def _printable(text: str) -> str:
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    return character if character.isprintable() else repr(character)[1:-1]


def one_line(text: str) -> str:
    """Printable on one line: control characters escaped, cut where it gets long."""
    shown = _printable(text[: FOUND_LENGTH_MAX * 2])
    return shown if len(shown) <= FOUND_LENGTH_MAX else shown[: FOUND_LENGTH_MAX - 3] + "..."


@dataclass(frozen=True)
class Problem:
    """One finding. ``line`` and ``column`` count from 1.

    ``width`` is for the caret; 0 means that the line may hold a secret and is not repeated.
    """

    file: str
    line: int
    column: int
    path: str
    found: str
    wanted: str
    hint: str = ""
    width: int = 1

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column} {self.path}".rstrip()
        said = f"{where}: found {self.found}, wanted {self.wanted}"
        return _printable(f"{said}, {self.hint}" if self.hint else said)

    def caret(self, text: str) -> str:
        """The finding with its line of ``text`` and a mark under the place."""
        lines = LINE_BREAK.split(text)
        if not self.width or self.line > len(lines) or not lines[self.line - 1].strip():
            return str(self)
        line = "".join(c if c.isprintable() else " " for c in lines[self.line - 1])
        start, width = max(0, self.column - 60), 100
        gutter = f"{self.line:>5} | "
        width_shown = max(1, min(self.width, len(line) - self.column + 1, width - 1))
        under = " " * (self.column - 1 - start) + "^" * width_shown
        return f"{self}\n{gutter}{line[start : start + width]}\n{' ' * 6}| {under}"

    def as_json(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if key != "width"}


class Invalid(Exception):
    """The spec cannot be used. ``problems`` has all of them, in the order of the file."""

    def __init__(self, problems: Iterable[Problem], text: str = "") -> None:
        self.problems = tuple(sorted(problems, key=lambda p: (p.line, p.column, p.path)))
        assert self.problems, "Invalid without a problem says nothing"
        self.text = text
        super().__init__("\n".join(map(str, self.problems)))

    def pretty(self) -> str:
        """For terminals: every problem with its line and a caret."""
        return "\n".join(carets(self.problems, self.text))


def carets(problems: Iterable[Problem], text: str) -> list[str]:
    """Each with its line of the text, but for lines that hold something private."""
    problems = list(problems)
    private = {problem.line for problem in problems if not problem.width}
    return [str(p) if p.line in private else p.caret(text) for p in problems]
