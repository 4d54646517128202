"""Options that every command understands in the same way."""

from __future__ import annotations

import functools
import getpass
import json
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from holdfast.spec.release import VERSION_WANTED, VERSION_WORD

#: So far back names of releases are looked for when Tab is pressed.
RELEASES_SHOWN = 2_000

F = TypeVar("F", bound=Callable[..., Any])


class Finite(click.FloatRange):
    """A number within a range. click's own lets NaN through, which compares with nothing."""

    def convert(
        self, value: float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"found {value}, wanted a number", param, ctx)
        return number


@dataclass(frozen=True, slots=True)
class Where:
    """Which spec, which service, and whether a program reads the answer."""

    file: Path | None = None
    service: str | None = None
    json: bool = False


Completer = Callable[[click.Context, click.Parameter, str], list[str]]


def offering(known: Callable[[Where], Iterable[str]]) -> Completer:
    """Completes from the words of ``known``. A press of Tab must never print an error."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        where = Where(ctx.params.get("file"), ctx.params.get("service"))
        try:
            return [word for word in dict.fromkeys(known(where)) if word.startswith(incomplete)]
        except Exception:
            return []

    return complete


def _service_names(where: Where) -> list[str]:
    from holdfast.cli.reach import names, reach

    return names(reach(where))


def release_names(where: Where) -> Iterator[str]:
    """What past releases of the service are called, newest first; from the ledger's files."""
    from holdfast.cli.reach import named_in, spec_path
    from holdfast.cli.recorded import home_path, recorded

    service = where.service or named_in(spec_path(where))
    with recorded(home_path(None, where.file)) as archive:
        for entry in reversed(archive.latest(RELEASES_SHOWN, service, ("Measured", "Progressed"))):
            if entry.kind == "ReleaseStored":
                yield json.loads(entry.body)["release"]


_FILE = click.option(
    "-f", "--file", "file", type=click.Path(path_type=Path), metavar="FILE",
    help="The spec file, or its directory. Default: the nearest holdfast.yaml.",
)  # fmt: skip
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


def at_home(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--file`` and ``--json``: for what concerns a home and no service in it."""

    @_FILE
    @_JSON
    @functools.wraps(function)
    def command(*args: object, file: Path | None, as_json: bool, **rest: object) -> object:
        return function(Where(file, None, as_json), *args, **rest)

    return command


def addressed(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--file``, ``--service`` and ``--json``; the command gets them as one ``Where``."""

    @_FILE
    @click.option(
        "-s", "--service", metavar="NAME", shell_complete=offering(_service_names),
        help="The service meant. Needed only where there are several.",
    )  # fmt: skip
    @_JSON
    @functools.wraps(function)
    def command(
        *args: object, file: Path | None, service: str | None, as_json: bool, **rest: object
    ) -> object:
        return function(Where(file, service, as_json), *args, **rest)

    return command


def reason(function: F) -> F:
    return click.option(
        "-m", "--reason", default="", metavar="TEXT", help="Why; kept in the ledger."
    )(function)


def version(words: str) -> Callable[[F], F]:
    """Add ``--version``, refused at once when no release may be called that."""
    return click.option("--version", "version", metavar="V", callback=_version, help=words)


def _version(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is not None and not re.search(VERSION_WORD.replace("$", r"\Z"), value):
        raise click.BadParameter(f"found {value!r}, wanted {VERSION_WANTED}")
    return value


def detach(function: F) -> F:
    return click.option(
        "-d", "--detach", is_flag=True, help="Do not wait; the rollout goes on by itself."
    )(function)


def person() -> str:
    """Who gives the command, as the ledger will name them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no passwd entry, as in many containers
        return f"uid-{os.getuid()}"
