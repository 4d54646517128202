"""The ledger of a home, opened for reading, with its errors in a person's words."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from holdfast.cli.complaint import FAILED, Complaint

if TYPE_CHECKING:
    from holdfast.ledger import Archive

F = TypeVar("F", bound=Callable[..., Any])


def at_home(function: F) -> F:
    return click.option(
        "--home",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help="The state directory. Default: $HOLDFAST_HOME, or .holdfast beside holdfast.yaml.",
    )(function)


def as_json(function: F) -> F:
    return click.option("--json", "json_", is_flag=True, help="Print JSON for programs.")(function)


def home_path(home: Path | None, file: Path | None = None) -> Path:
    from holdfast.cli.reach import home_of

    return home.absolute() if home is not None else home_of(file)


@contextlib.contextmanager
def told(about: Path | None = None) -> Iterator[None]:
    """What the ledger says is wrong (with the file ``about``), as a complaint with exit code 1."""
    from holdfast.ledger import LedgerError

    try:
        yield
    except LedgerError as error:
        code = "".join(c if c.islower() else f"-{c.lower()}" for c in type(error).__name__)
        says = error.detail if about is None else f"{about}: {error.detail}"
        complaint = Complaint(says, error.hint, code=code[1:], exit_code=FAILED)
        raise complaint from error


@contextlib.contextmanager
def recorded(home: Path) -> Iterator[Archive]:
    """The ledger of ``home``, read-only: it works while a conductor writes."""
    from holdfast.ledger import Archive

    with told(), Archive.read(home / "ledger.db") as archive:
        yield archive
