"""Problems and warnings of a spec as words: carets for a person's terminal, lines for a pipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.cli.printing import is_live, say, tone

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.spec.problem import Problem


def located(given: Path | None) -> Path:
    """The spec meant: the file named, the one in the directory named, else the nearest."""
    from holdfast.spec.load import find

    path = find(given, None) if given is not None and given.is_dir() else find(Path.cwd(), given)
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path


def show(problems: Iterable[Problem], text: str, word: str, colour: str) -> None:
    """Each on its own line, with the line of the file below where a person reads it."""
    from holdfast.spec.problem import carets

    for said in carets(problems, text) if is_live() else map(str, problems):
        first, _, rest = said.partition("\n")
        say(f"{tone(word, colour)} {first}" + (f"\n{tone(rest, 'dim')}" if rest else ""))


def as_json(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    return [problem.as_json() for problem in problems]


def count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
