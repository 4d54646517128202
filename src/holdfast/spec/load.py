"""``holdfast.yaml`` from disk to a ``Service``, or every problem it has.

The way is: bytes -> text -> tree with places -> model -> rules. ``Invalid`` is the only exception
that leaves, whatever the bytes are.
"""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import NoReturn

from pydantic import ValidationError

from holdfast.runtime.home import SPEC_NAME, spec_in
from holdfast.spec import rules, tree
from holdfast.spec.fields import dotted
from holdfast.spec.model import Service
from holdfast.spec.problem import LINE_BREAK, Invalid, Problem
from holdfast.spec.translate import problems, spot
from holdfast.spec.tree import Node

__all__ = ["Invalid", "Loaded", "Problem", "find", "load", "load_text", "read", "read_text"]

_UNPRINTABLE = re.compile(
    "[^\x09\x0a\x0d\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_UTF16 = (b"\xff\xfe", b"\xfe\xff", b"\0\0")
_UTF32 = (b"\xff\xfe\0\0", b"\0\0\xfe\xff")


@dataclass(frozen=True)
class Loaded:
    """A service, where each of its values stands, and what deserves a second look."""

    service: Service
    root: Node
    name: str
    text: str
    warnings: tuple[Problem, ...]


def load(path: Path | str) -> Service:
    """The service in the file. Raises ``Invalid``."""
    return read(Path(path)).service


def load_text(text: str, name: str = "holdfast.yaml") -> Service:
    """The service in the text; ``name`` is what problems call it. Raises ``Invalid``."""
    return read_text(text, name).service


def find(start: Path, given: Path | str | None = None) -> Path:
    """The spec to use: ``given``, or the nearest in ``start`` and the directories above it."""
    if given is not None:
        return Path(given)
    for directory in (start.absolute(), *start.absolute().parents):
        if (found := spec_in(directory)) is not None:
            return found
    wanted, hint = "one here or in a directory above", "`holdfast init` writes one"
    _refuse(SPEC_NAME, "no such file", wanted, hint)


def read(path: Path) -> Loaded:
    """Like ``load``, with places and warnings."""
    name = str(path)
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            found = "a directory" if stat.S_ISDIR(mode) else "something that is not a file"
            _refuse(name, found, "a file", "")
        with path.open("rb") as file:
            data = file.read(tree.BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        _refuse(name, reason.lower(), "a file that can be read", "")
    return read_bytes(data, name)


def read_bytes(data: bytes, name: str) -> Loaded:
    """The text form is UTF-8, with or without a byte order mark."""
    _limit(len(data), name)
    if data[:2] in _UTF16:
        found = "UTF-32" if data[:4] in _UTF32 else "UTF-16"
        _refuse(name, found, "UTF-8", "save the file as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        found = f"the byte 0x{data[error.start]:02x}"
        _refuse(name, found, "UTF-8", "save the file as UTF-8", before)
    return read_text(text, name)


def read_text(text: str, name: str) -> Loaded:
    """Text to service. Model and rules are both asked, so that all problems come at once."""
    text = text.removeprefix("\ufeff")
    _limit(len(text), name)
    if bad := _UNPRINTABLE.search(text):
        found = f"the character U+{ord(bad[0]):04X}"
        _refuse(name, found, "printable text", "", text[: bad.start()])
    root = tree.parse(text, name)
    service, noted, doubtful = _validate(root, name)
    findings = list(rules.check(service)) if service else []
    sure = [f for f in findings if not _touches(f, doubtful)]
    noted += [_placed(f, root, name) for f in sure if f.breaks]
    if noted or service is None:
        raise Invalid(noted[: tree.PROBLEMS_MAX], text)
    warnings = tuple(_placed(f, root, name) for f in sure if not f.breaks)
    return Loaded(service, root, name, text, warnings)


def _validate(root: Node, name: str) -> tuple[Service | None, list[Problem], list[rules.Path]]:
    """The service, or a stand-in without the wrong values so that rules can still be asked."""
    raw = root.plain()
    try:
        return Service.model_validate(raw), [], []
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
    noted = problems(errors[: tree.PROBLEMS_MAX], root, name)
    # A wrong item makes its whole list doubtful.
    paths = [spot(root, e["loc"]).path for e in errors]
    doubtful = [tuple(takewhile(lambda part: isinstance(part, str), path)) for path in paths]
    for path in sorted(doubtful, key=len, reverse=True):
        _drop(raw, path)
    raw.setdefault("service", "unnamed")
    if not raw.get("run") or (isinstance(raw["run"], dict) and not raw["run"].get("command")):
        raw["run"] = {**(raw.get("run") or {}), "command": "unknown"}
    try:
        return Service.model_validate(raw), noted, doubtful
    except ValidationError:
        return None, noted, doubtful


def _drop(raw: dict[str, object], path: rules.Path) -> None:
    inner: object = raw
    for part in path[:-1]:
        inner = inner.get(str(part)) if isinstance(inner, dict) else None
    if path and isinstance(inner, dict):
        inner.pop(path[-1], None)


def _touches(finding: rules.Finding, doubtful: list[rules.Path]) -> bool:
    about = (finding.path, *finding.also)
    return any(a[: len(d)] == d or d[: len(a)] == a for a in about for d in doubtful if d)


def _placed(finding: rules.Finding, root: Node, name: str) -> Problem:
    at = spot(root, finding.path)
    place = at.key if at.skipped and at.node.kind == "map" else at.node.place
    where = (name, place.line, place.column, dotted(finding.path))
    width = 0 if finding.private else place.width
    return Problem(*where, finding.found, finding.wanted, finding.hint, width)


def _limit(size: int, name: str) -> None:
    if size > tree.BYTES_MAX:
        _refuse(name, "more than 1 MiB", "a file a person can read", "")


def _refuse(name: str, found: str, wanted: str, hint: str, before: str = "") -> NoReturn:
    lines = LINE_BREAK.split(before)
    raise Invalid([Problem(name, len(lines), len(lines[-1]) + 1, "", found, wanted, hint)])
