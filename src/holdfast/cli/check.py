"""``holdfast check``: would the real tools accept what is rendered, and does it fit together?"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli.complaint import FAILED
from holdfast.cli.printing import bold, is_live, plain, say, say_json, table, tone
from holdfast.cli.problems import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.cli.checking import Checked
    from holdfast.spec.model import Service
    from holdfast.supply.checkers.job import Outcome
    from holdfast.supply.finding import Finding

_COLOURS = {"checked": "good", "not checked": "wait", "nothing to check": "dim"}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument(
    "directory", required=False, metavar="[DIR]",
    type=click.Path(path_type=Path, file_okay=False),
)  # fmt: skip
@click.option(
    "-f", "--file", type=click.Path(path_type=Path), metavar="FILE",
    help="The spec file, or its directory. Default: the nearest holdfast.yaml.",
)  # fmt: skip
@click.option(
    "--schemas", type=click.Path(path_type=Path, file_okay=False, exists=True), metavar="DIR",
    help="Schemas of what upstream accepts. Default: $HOLDFAST_SCHEMAS.",
)  # fmt: skip
@click.option("--server", is_flag=True, help="Ask the cluster of kubectl too: a strict dry run.")
@click.option("--strict", is_flag=True, help="Fail when something could not be checked.")
@click.option("--json", "json_wanted", is_flag=True, help="Print JSON for programs.")
def command(**words: Any) -> int:  # noqa: ANN401
    """Hold a rendered set against the checkers of its upstreams and against itself.

    Without DIR the set of the spec is rendered and checked. What is not installed checked
    nothing and is said so. Waivers of the spec accept findings for a while. Exits 1 when an
    error is left.
    """
    return _run(Wish(**words))


@dataclass(frozen=True, slots=True)
class Wish:
    """What was typed."""

    directory: Path | None
    file: Path | None
    schemas: Path | None
    server: bool
    strict: bool
    json_wanted: bool


def _run(wish: Wish) -> int:
    from holdfast.cli.checking import Work, checked, document, set_of

    place = nullcontext((wish.directory, _spec_near(wish.file))) if wish.directory else None
    with place or set_of(wish.file) as (root, service):
        work = Work(root, service, wish.schemas, wish.server)
        done = checked(work, _progress(wish), _waiting)
    if wish.json_wanted:
        say_json(document(done))
    else:
        _tell(done)
    broken = any(finding.severity.value == "error" for finding in done.settled.open)
    return FAILED if broken or (wish.strict and done.missing) else 0


def _spec_near(file: Path | None) -> Service | None:
    """The spec that a directory belongs to; a directory can be checked without one."""
    from holdfast.cli.problems import located
    from holdfast.spec.load import load
    from holdfast.spec.problem import Invalid

    try:
        path = located(file)
    except Invalid:
        if file is not None:
            raise
        return None
    return load(path)


def _progress(wish: Wish) -> Any:  # noqa: ANN401  # a function
    def show(outcome: Outcome) -> None:
        if is_live() and not wish.json_wanted and outcome.status.value == "checked":
            say(tone(f"{outcome.checker}: {count(len(outcome.findings), 'finding')}", "dim"))

    return show


def _waiting(names: Sequence[str]) -> None:
    """On the other stream: what programs read stays clean."""
    print(f"waiting for {', '.join(names)}", file=sys.stderr, flush=True)


def _tell(done: Checked) -> None:
    rows = [
        (
            each.checker,
            tone(each.status.value, _COLOURS[each.status.value]),
            str(each.files),
            str(len(each.findings)),
            plain(each.detail),
        )
        for each in done.outcomes
    ]
    for line in table(("checker", "status", "files", "findings", "detail"), rows):
        say(line)
    say()
    for finding in done.settled.open:
        _tell_finding(finding)
    for finding, reason in done.settled.waived:
        say(f"{tone('waived', 'dim')} {plain(str(finding))}: {plain(reason)}")
    say(_summary(done))


def _tell_finding(finding: Finding) -> None:
    colour = "bad" if finding.severity.value == "error" else "wait"
    say(f"{tone(finding.severity.value, colour)} {plain(str(finding))}")


def _summary(done: Checked) -> str:
    words = [each.severity.value for each in done.settled.open]
    said = [count(words.count("error"), "error"), count(words.count("warning"), "warning")]
    if done.settled.waived:
        said.append(f"{len(done.settled.waived)} waived")
    if done.missing:
        said.append(f"{bold('not checked')} by {', '.join(each.checker for each in done.missing)}")
    return "; ".join(said)
