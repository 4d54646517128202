"""``holdfast validate``: every problem of a spec at once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast.cli.complaint import Complaint
from holdfast.cli.printing import say, say_json, tone
from holdfast.cli.problems import as_json, count, located, show

if TYPE_CHECKING:
    from holdfast.spec.load import Loaded
    from holdfast.spec.problem import Invalid

USAGE = 2


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("path", required=False, metavar="[FILE]", type=click.Path(path_type=Path))
@click.option(
    "-f", "--file", type=click.Path(path_type=Path), metavar="FILE", help="The same as FILE."
)
@click.option("--json", "json_wanted", is_flag=True, help="Print JSON for programs.")
def command(path: Path | None, file: Path | None, json_wanted: bool) -> int:
    """Check holdfast.yaml and say all of its problems at once.

    FILE defaults to the nearest holdfast.yaml; - reads from standard input. Exits 0 when the
    spec can be used and 2 when it cannot; warnings never change that.
    """
    from holdfast.spec.problem import Invalid

    if path is not None and file is not None:
        raise Complaint(f"found two files, {path} and {file}", "holdfast validate FILE")
    try:
        loaded = _load(path or file)
    except Invalid as error:
        _refused(error, json_wanted)
        return USAGE
    _accepted(loaded, json_wanted)
    return 0


def _load(given: Path | None) -> Loaded:
    from holdfast.spec.load import read, read_bytes
    from holdfast.spec.tree import BYTES_MAX

    if given == Path("-"):
        return read_bytes(sys.stdin.buffer.read(BYTES_MAX + 1), "<stdin>")
    return read(located(given))


def _refused(error: Invalid, json_wanted: bool) -> None:
    if json_wanted:
        say_json({"valid": False, "problems": as_json(error.problems), "warnings": []})
        return
    show(error.problems, error.text, "error", "bad")
    say(f"{count(len(error.problems), 'problem')}; nothing was deployed")


def _accepted(loaded: Loaded, json_wanted: bool) -> None:
    service = loaded.service
    if json_wanted:
        body = {"valid": True, "file": loaded.name, "service": service.service}
        say_json({**body, "problems": [], "warnings": as_json(loaded.warnings)})
        return
    show(loaded.warnings, loaded.text, "warning", "wait")
    what = f"{service.service}, {count(service.replicas, 'replica')}, {service.rollout.strategy}"
    also = f", {count(len(loaded.warnings), 'warning')}" if loaded.warnings else ""
    say(f"{tone('valid', 'good')} {loaded.name}: {what}{also}")
