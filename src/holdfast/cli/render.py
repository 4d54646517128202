"""``holdfast render``: every production file of one spec, written where it changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli.complaint import FAILED, REFUSED, Complaint
from holdfast.cli.printing import plain, say, say_json, tone
from holdfast.cli.problems import count

if TYPE_CHECKING:
    from holdfast.artifacts.bundle import File
    from holdfast.cli.rendering import Rendered
    from holdfast.supply.tree import Change

FAMILIES = ("containers", "kubernetes", "delivery", "observability", "resilience")
_MARKS = {"new": ("+", "good"), "changed": ("~", "wait"), "removed": ("-", "bad")}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-f", "--file", type=click.Path(path_type=Path), metavar="FILE",
    help="The spec file, or its directory. Default: the nearest holdfast.yaml.",
)  # fmt: skip
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False), default=Path("out"),
    metavar="DIR", help="Where the files go. Default: out.",
)  # fmt: skip
@click.option(
    "--gitops", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    help="Write a repository that Argo CD and GitHub read there, instead of --output.",
)  # fmt: skip
@click.option(
    "--only", multiple=True, type=click.Choice(FAMILIES), metavar="FAMILY",
    help=f"Only these files: {', '.join(FAMILIES)}. May be given several times.",
)  # fmt: skip
@click.option(
    "--overrides", type=click.Path(path_type=Path, file_okay=False, exists=True), metavar="DIR",
    help="Changes to artifacts. Default: overrides beside the spec file, if it is there.",
)  # fmt: skip
@click.option("--diff", is_flag=True, help="Print what would change; exit 1 if anything would.")
@click.option("--force", is_flag=True, help="Replace files that were changed by hand too.")
@click.option("--json", "json_wanted", is_flag=True, help="Print JSON for programs.")
def command(**words: Any) -> int:  # noqa: ANN401
    """Write every production file that the spec describes.

    Only changed files are written. Files of an earlier render that are no longer part are
    removed; files that are not from holdfast are never touched. manifest.json says where each
    came from. A render that fails or is interrupted changes nothing; one that is killed while
    files are moved is finished by the next.
    """
    return _run(Wish(**words))


@dataclass(frozen=True, slots=True)
class Wish:
    """What was typed."""

    file: Path | None
    output: Path
    gitops: Path | None
    only: tuple[str, ...]
    overrides: Path | None
    diff: bool
    force: bool
    json_wanted: bool


def _run(wish: Wish) -> int:
    from holdfast.cli.rendering import planned, rendered
    from holdfast.supply.staging import alone

    root = wish.gitops or wish.output
    made = rendered(wish.file, wish.overrides, wish.gitops is not None)
    if wish.diff:
        _, todo = planned(root, made, wish.only)
        _show_diff(root, todo, wish.json_wanted)
        return FAILED if todo else 0
    with alone(root):
        manifest, todo = planned(root, made, wish.only)
        conflicts = [change for change in todo if change.conflict]
        if conflicts and not wish.force:
            raise _conflict(root, conflicts)
        _write(root, manifest, todo)
    if wish.json_wanted:
        _tell_json(root, manifest, todo)
    else:
        _tell(root, made, manifest, todo)
    return 0


def _write(root: Path, manifest: File, todo: Sequence[Change]) -> None:
    from holdfast.supply.staging import note, replace

    path = root / manifest.path
    same = path.is_file() and path.read_bytes() == manifest.data
    if todo or not same or note(root) is not None:
        replace(root, todo, manifest.path, manifest.data)


def _conflict(root: Path, conflicts: Sequence[Change]) -> Complaint:
    first = conflicts[0]
    others = f", and {count(len(conflicts) - 1, 'other file')}" if len(conflicts) > 1 else ""
    return Complaint(
        f"{root / first.path} was {first.conflict}{others}; nothing was written",
        "see it with --diff; keep the change as an override, or replace it with --force",
        code="changed-by-hand",
        exit_code=REFUSED,
    )


def _tell_json(root: Path, manifest: File, todo: Sequence[Change]) -> None:
    body: Any = manifest.artifact.body
    changed = [{"path": change.path, "change": _word(change)} for change in todo]
    say_json({"directory": str(root), **body, "changes": changed})


def _tell(root: Path, made: Rendered, manifest: File, todo: Sequence[Change]) -> None:
    body: Any = manifest.artifact.body
    for change in todo:
        mark, colour = _MARKS[_word(change)]
        say(f"{tone(mark, colour)} {plain(change.path)}")
    said = _summary(todo)
    overridden = sum(bool(each.artifact.overrides) for each in made.bundle)
    also = f", {overridden} overridden" if overridden else ""
    say(f"{root}: {count(len(body['artifacts']), 'file')}{also}; {said}; {body['digest']}")


def _summary(todo: Sequence[Change]) -> str:
    words = [_word(change) for change in todo]
    said = [f"{words.count(word)} {word}" for word in _MARKS if word in words]
    return ", ".join(said) or "nothing changed"


def _word(change: Change) -> str:
    if change.new is None:
        return "removed"
    return "new" if change.old is None else "changed"


def _show_diff(root: Path, todo: Sequence[Change], json_wanted: bool) -> None:
    if json_wanted:
        listed = [{"path": c.path, "change": _word(c), "diff": _diff(c)} for c in todo]
        say_json({"directory": str(root), "changes": listed})
        return
    for change in todo:
        for line in _diff(change):
            colour = {"+": "good", "-": "bad", "@": "name"}.get(line[:1])
            say(tone(line, colour) if colour else line)
    say(f"{root}: {_summary(todo)}")


def _diff(change: Change) -> list[str]:
    import difflib

    old, new = ((data or b"").decode("utf-8", "replace") for data in (change.old, change.new))
    names = (f"a/{change.path}", f"b/{change.path}")
    before = "/dev/null" if change.old is None else names[0]
    after = "/dev/null" if change.new is None else names[1]
    lines = difflib.unified_diff(
        old.splitlines(), new.splitlines(), before, after, lineterm="", n=3
    )
    return [plain_line(line) for line in lines]


def plain_line(line: str) -> str:
    """A line of a file without power over our terminal; tabs stay."""
    return "\t".join(plain(part) for part in line.split("\t"))
