"""``holdfast doctor``: is this machine fit, what does each lack cost, and how is it repaired?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from holdfast.cli import printing
from holdfast.cli.options import Where, at_home

if TYPE_CHECKING:
    from holdfast.cli.finding import Finding

_TONE = {"ok": "good", "warn": "wait", "fail": "bad"}


@click.command()
@at_home
def command(where: Where) -> int:
    """Check this machine, and say how to repair it.

    Each finding is ok, warn or fail, with what it costs and the command that repairs it. Exits 1
    when something fails; warnings cost performance or comfort, not correctness.
    """
    from holdfast.cli.checks import examine

    findings = examine(where)
    failed = [finding for finding in findings if finding.mark == "fail"]
    if where.json:
        shown = [finding.as_json() for finding in findings]
        printing.say_json({"ok": not failed, "findings": shown})
    else:
        _say(findings)
    return 1 if failed else 0


def _say(findings: list[Finding]) -> None:
    for finding in findings:
        mark = printing.tone(f"{finding.mark:<4}", _TONE[finding.mark])
        printing.say(f"{mark}  {finding.subject}: {finding.says}")
        if finding.costs:
            printing.say(f"      costs: {finding.costs}")
        if finding.fix:
            printing.say(f"      fix:   {finding.fix}")
    counts = {mark: sum(f.mark == mark for f in findings) for mark in _TONE}
    printing.say(f"{counts['ok']} ok, {counts['warn']} warnings, {counts['fail']} failures")
