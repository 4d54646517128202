"""``holdfast explain out/FILE[:LINE]``: what of the spec shapes a rendered file, or a line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from holdfast.artifacts import catalog, gitops, overrides
from holdfast.artifacts.artifact import Artifact
from holdfast.artifacts.bundle import File
from holdfast.artifacts.check.written import of_bundle
from holdfast.artifacts.why import changed_lines, shaped
from holdfast.cli.complaint import Complaint
from holdfast.cli.printing import bold, plain, say, say_json, table, tone
from holdfast.cli.problems import count, located
from holdfast.cli.rendering import OVERRIDES, Rendered, read_manifest, read_overrides, rendered
from holdfast.spec.load import read
from holdfast.spec.model import Service
from holdfast.spec.origin import Setting, setting
from holdfast.spec.variants import variants
from holdfast.spec.written import flow
from holdfast.supply.checkers.table import CHECKERS

_LINE = re.compile(r"(?P<file>.+?):(?P<line>[0-9]{1,9})")
#: Longer values and longer lists of lines are cut; ``--json`` has all of them.
VALUE_WIDTH_MAX, SPANS_MAX = 48, 8


@dataclass(frozen=True, slots=True)
class Question:
    """A file of a rendered set and perhaps one of its lines, from 1."""

    root: Path | None  # the directory that was rendered into, where there is one
    path: str  # below it
    line: int | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of a file: of each value that shapes it, the lines."""

    file: File
    checkers: tuple[str, ...]
    lines: int
    settings: tuple[tuple[Setting, tuple[int, ...]], ...]  # no lines: decides whether it is there
    overridden: frozenset[int]


def question(words: str) -> Question | None:
    """What was meant, if it was a file of a set: a manifest names it, or it is no file of here."""
    match = _LINE.fullmatch(words)
    path = Path(match["file"] if match else words)
    line = int(match["line"]) if match else None
    for parent in path.parents if path.is_file() else ():
        inside = path.relative_to(parent).as_posix()
        if inside in read_manifest(parent):
            return Question(parent, inside, line)
    if match or ("/" in words and not path.exists()):
        return Question(None, path.as_posix(), line)
    return None


def explain(asked: Question, spec: Path | None, json_wanted: bool) -> None:
    """Say it. Raises ``Complaint`` and ``Invalid``."""
    answer = _answer(asked, spec)
    _hold(asked, answer)
    if json_wanted:
        say_json(_document(asked, answer))
    elif asked.line is None:
        _tell_file(asked, answer)
    else:
        _tell_line(asked.line, answer)


@dataclass(frozen=True, slots=True)
class _Again:
    """Writes one file again for another service, without the rest of the set."""

    maker: Callable[[Service], Iterable[Artifact]]
    under: tuple[str, ...]  # the keys worth turning
    given: dict[str, str]  # overrides of the file
    arranged: bool  # as in a repository

    def render(self, service: Service) -> Iterator[Artifact]:
        try:
            found = tuple(overrides.overridden(self.maker(service), self.given))
        except overrides.BadOverride:  # it fits this service and not one with another value
            return
        yield from gitops.arranged(found, service) if self.arranged else found


def _answer(asked: Question, spec: Path | None) -> Answer:
    made, arranged = _made(asked.path, spec)
    file = next(each for each in made.bundle if each.path == asked.path)
    again = _again(made, file, arranged)
    turned = variants(made.service, again.under)
    found = shaped(made.service, again.render, asked.path, turned)
    sound = tuple(replace(again, given={}).render(made.service))
    loaded = read(made.spec)
    numbered = [(path, tuple(sorted(numbers))) for path, numbers in found.shapers.items()]
    deciding = [(path, ()) for path in found.presence if path not in found.shapers]
    settings = tuple((setting(loaded, path), numbers) for path, numbers in (*numbered, *deciding))
    changed = changed_lines(file.artifact, sound) if again.given else frozenset()
    return Answer(file, _checkers(made, asked.path), len(found.lines), settings, changed)


def _made(path: str, spec: Path | None) -> tuple[Rendered, bool]:
    """The set that has the file: the usual one, or as a repository."""
    for arranged in (False, True):
        made = rendered(spec, gitops=arranged)
        if any(each.path == path for each in made.bundle):
            return made, arranged
    said = f"the set of {located(spec)} has no file {path!r}"
    hint = "holdfast render --json lists the files; a key is named without a slash"
    raise Complaint(said, hint, code="unknown-artifact")


def _again(made: Rendered, file: File, arranged: bool) -> _Again:
    names = file.artifact.overrides
    given = read_overrides(made.spec.parent / OVERRIDES) if names else {}
    mine = {name: given[name] for name in names}
    maker = catalog.maker_of(gitops.original(file.path) if arranged else file.path, made.service)
    if maker is None:  # written from the whole set, and by what it declares
        return _Again(catalog.artifacts, file.artifact.keys, mine, arranged)
    return _Again(maker, ("",), mine, arranged)


def _checkers(made: Rendered, path: str) -> tuple[str, ...]:
    (seen,) = (each for each in of_bundle(made.bundle) if each.path == path)
    own = ("schema", "rules") if seen.objects else ("rules",)
    return (*own, *(checker.name for checker in CHECKERS if checker.wants(seen)))


def _hold(asked: Question, answer: Answer) -> None:
    """The line is there, and the file is what the spec gives now. Raises ``Complaint``."""
    if asked.root and (asked.root / asked.path).read_bytes() != answer.file.data:
        said = f"{asked.root / asked.path} is not what the spec gives now"
        raise Complaint(said, "holdfast render --diff shows it; render again", code="stale")
    if asked.line is not None and not 1 <= asked.line <= answer.lines:
        said = f"{asked.path} has no line {asked.line}"
        raise Complaint(said, f"it has {count(answer.lines, 'line')}", code="no-line")


def _tell_file(asked: Question, answer: Answer) -> None:
    artifact = answer.file.artifact
    say(bold(asked.path))
    say(f"  {plain(artifact.about)}")
    facts = {
        "serves": ", ".join(artifact.rows),
        "checked by": ", ".join(answer.checkers),
        "changed by": ", ".join(artifact.overrides),
    }
    for word, fact in facts.items():
        if fact:
            say(f"  {tone(word.ljust(10), 'dim')} {plain(fact)}")
    say()
    rows = [(*_cells(each), _spans(numbers)) for each, numbers in answer.settings]
    for line in table(("key", "value", "origin", "lines"), rows):
        say(line)


def _tell_line(number: int, answer: Answer) -> None:
    text = answer.file.data.decode().splitlines()[number - 1]
    say(bold(f"{answer.file.path}:{number}"))
    say(f"  {plain(text)}")
    say()
    rows = [_cells(each) for each, numbers in answer.settings if number in numbers]
    if number in answer.overridden:
        say(f"changed by {plain(', '.join(answer.file.artifact.overrides))}")
    elif not rows:
        say("no key alone changes this line; an override beside the spec can")
        rows = [_cells(each) for each, numbers in answer.settings if not numbers]
        if rows:
            say("the file is there because of")
    for line in table(("key", "value", "origin"), rows) if rows else ():
        say(line)


def _cells(each: Setting) -> tuple[str, str, str]:
    value = plain(flow(each.value)) if each.value is not None else "none"
    shown = value if len(value) <= VALUE_WIDTH_MAX else value[: VALUE_WIDTH_MAX - 3] + "..."
    return each.name, shown, tone(each.origin, "dim" if each.line is None else "good")


def _spans(numbers: tuple[int, ...]) -> str:
    """``3, 7-9``; a word where a value decides whether there is such a file at all."""
    if not numbers:
        return "whether it is there"
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    said = [f"{first}-{last}" if last > first else str(first) for first, last in spans]
    return ", ".join(said[:SPANS_MAX]) + (
        f" and {len(said) - SPANS_MAX} more" if len(said) > SPANS_MAX else ""
    )


def _document(asked: Question, answer: Answer) -> dict[str, Any]:
    artifact = answer.file.artifact
    chosen = [
        (each, numbers)
        for each, numbers in answer.settings
        if asked.line is None or asked.line in numbers
    ]
    return {
        "artifact": asked.path,
        "line": asked.line,
        "about": artifact.about,
        "rows": list(artifact.rows),
        "checkers": list(answer.checkers),
        "overrides": list(artifact.overrides),
        "overridden": sorted(answer.overridden),
        "settings": [
            {"key": each.name, "value": each.value, "origin": each.origin, "lines": list(numbers)}
            for each, numbers in chosen
        ],
    }
