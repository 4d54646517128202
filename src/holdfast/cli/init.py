"""``holdfast init``: a first holdfast.yaml, written by looking at the project. Asks nothing."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast.cli.complaint import Complaint
from holdfast.cli.printing import bold, plain, say, say_json, tone
from holdfast.runtime.home import SPEC_NAMES

if TYPE_CHECKING:
    from holdfast.spec.discover import Discovery


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument(
    "directory", default=".", type=click.Path(path_type=Path, exists=True, file_okay=False)
)
@click.option("--force", is_flag=True, help="Write over a holdfast.yaml that is there.")
@click.option("--dry-run", is_flag=True, help="Print the file instead of writing it.")
@click.option("--json", "json_wanted", is_flag=True, help="Print JSON for programs.")
def command(directory: Path, force: bool, dry_run: bool, json_wanted: bool) -> int:
    """Write a holdfast.yaml by looking at the project in DIRECTORY (default: here).

    Looks at pyproject.toml, package.json, Cargo.toml, go.mod, Dockerfile, compose files, Procfile
    and the sources; runs none of them. Says what it found and why it chose what it wrote.
    """
    from holdfast.spec.discover import discover

    paths = [directory / name for name in SPEC_NAMES]
    there = next((path for path in paths if os.path.lexists(path)), None)
    path = there or paths[0]  # two specs side by side would be one too many
    if there and not force and not dry_run:
        hint = "holdfast init --force writes over it, --dry-run only shows"
        raise Complaint(f"{there} exists already", hint, code="exists")
    found = discover(directory)
    if not dry_run:
        _write(path, found.text)
    if json_wanted:
        say_json(_json(found, path, written=not dry_run))
    else:
        _tell(found, path, dry_run)
    return 0


def _write(path: Path, text: str) -> None:
    """All or nothing: an interrupted init leaves what was there before."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        says = f"{path} could not be written: {error.strerror}"
        raise Complaint(says, "what was there is as it was; --dry-run only shows") from error


def _json(found: Discovery, path: Path, written: bool) -> dict[str, object]:
    return {
        "file": str(path),
        "written": written,
        "found": [{"file": clue.file, "says": clue.says} for clue in found.clues],
        "used": [{"file": clue.file, "says": clue.says} for clue in found.used],
        "complete": found.command is not None,
        "text": found.text,
    }


def _tell(found: Discovery, path: Path, dry_run: bool) -> None:
    for clue in found.clues:
        mark = tone("used", "good") if clue in found.used else tone("seen", "dim")
        say(f"{mark}  {plain(clue.file)} {plain(clue.says)}")
    if not found.clues:
        from holdfast.spec.discover import LOOKED_FOR

        say(f"found nothing to go by; looked for {', '.join(LOOKED_FOR)} and sources")
    if dry_run:
        say()
        say(found.text.rstrip())
    else:
        say(f"{tone('wrote', 'good')} {path}")
    _next(found)


def _next(found: Discovery) -> None:
    if found.command is None:
        say("it is a template: put the command that runs the service in `run`, then")
    elif found.build:
        say(f"build first: {bold(found.build)}, then")
    say(f"next: {bold('holdfast validate')}, then {bold('holdfast up')}")
