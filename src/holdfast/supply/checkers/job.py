"""A checker, one call of it, and what came of all its calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from holdfast.supply.finding import Finding


class Readable(Protocol):
    """A file of the set: its path below the root, its text, its documents."""

    @property
    def path(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def objects(self) -> Sequence[Any]: ...


@dataclass(frozen=True, slots=True)
class Said:
    """What a program printed, and its exit code."""

    code: int
    out: str
    err: str


Parser = Callable[[Said], list[Finding]]


@dataclass(frozen=True, slots=True)
class Checker:
    """``argv`` gets the program and the files; ``alone``: one file a call."""

    name: str
    wants: Callable[[Readable], bool]
    argv: Callable[[str, Sequence[str]], list[str]]
    parse: Parser
    get: str  # how a person gets it
    programs: tuple[str, ...] = ()  # by any of these names; its own where empty
    alone: bool = False
    s_max: float = 300.0
    find: Callable[[], str | None] | None = None  # where a name on the path is not enough
    #: Writes a copy for the program below a directory; says what each path written stands for.
    copy: Callable[[Readable, Path], Mapping[str, str]] | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One call."""

    checker: str
    argv: tuple[str, ...]
    parse: Parser
    files: tuple[str, ...]
    s_max: float
    given: str = ""  # on standard input
    stands_for: Mapping[str, str] = field(default_factory=dict)  # path of a copy -> of the set


class Status(StrEnum):
    CHECKED = "checked"
    NOT_CHECKED = "not checked"  # there was something to check and nothing to check it with
    NOTHING = "nothing to check"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one checker did. ``detail`` says why it did not, or how to get it."""

    checker: str
    status: Status
    files: int
    findings: tuple[Finding, ...] = ()
    detail: str = ""
    seconds: float = 0.0
