"""``holdfast status``: what runs, who gets traffic, and why nothing moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from holdfast.cli import printing
from holdfast.cli.options import Where, addressed
from holdfast.runtime.units import show_duration

if TYPE_CHECKING:
    from holdfast.conductor.client import Client, FleetDoc, RolloutDoc, StatusDoc

CLEAR = "\x1b[H\x1b[2J"
HEADER = ("RELEASE", "TRAFFIC", "READY", "STARTING", "DRAINING", "FAILED", "IN FLIGHT", "DEATHS")


@click.command()
@click.option("-w", "--watch", is_flag=True, help="Show every change until Ctrl-C.")
@addressed
def command(where: Where, watch: bool) -> None:
    """Show what runs, who gets traffic, and why nothing moves.

    Without ``--service`` all services of this home are shown. With ``--watch --json`` each change
    is one JSON line.
    """
    from holdfast.cli.reach import pick_service, reach

    client = reach(where)
    if watch:
        _watch(where, client, pick_service(where, client))
        return
    if where.service or where.file:
        documents = [client.status(pick_service(where, client))]
    else:
        documents = client.services()
    _show(where, documents)


def _show(where: Where, documents: list[StatusDoc]) -> None:
    if where.json:
        printing.say_json(documents[0] if len(documents) == 1 else {"services": documents})
        return
    if not documents:
        printing.say("nothing is deployed here; begin with: holdfast up")
    for index, document in enumerate(documents):
        lines = [""] * bool(index) + status_lines(document)
        printing.say("\n".join(lines))


def _watch(where: Where, client: Client, service: str) -> None:
    from holdfast.cli.watch import statuses

    try:
        for document in statuses(client, service):
            if where.json:
                printing.say_json_line(document)
            else:
                clear = CLEAR if printing.is_live() else ""
                printing.say(clear + "\n".join(status_lines(document)))
    except KeyboardInterrupt:
        return  # leaving is the only way to end a watch, so it is not a failure


# ---- text ---------------------------------------------------------------------------------------


def status_lines(status: StatusDoc) -> list[str]:
    """The whole status as text."""
    lines = [_title(status), *_standing(status)]
    rollout = status["state"]["rollout"]
    if rollout is not None:
        lines.append(_rollout_line(rollout, status["now"]))
    lines += _fleet_lines(status)
    lines += _why(status)
    return lines


def _title(status: StatusDoc) -> str:
    parts = [printing.bold(status["service"]), f"{status['replicas']} replicas", status["target"]]
    if status["endpoint"]:
        parts.insert(1, printing.tone(status["endpoint"], "name"))
    return "  ".join(parts)


def _standing(status: StatusDoc) -> list[str]:
    state = status["state"]
    if state["retired"]:
        return ["  taken down; bring it back with: holdfast up"]
    stable, previous, last = state["stable"], state["previous"], state["last"]
    lines = [f"  {stable['version']} is live ({stable['id']})" if stable else "  nothing is live"]
    if previous:
        lines.append(_way_back(previous["id"], previous["version"], status["fleets"]))
    if last and last["ending"] != "promoted":
        told = f"{last['new']['version']} {last['ending']}: {last['reason']}"
        lines.append(f"  last rollout: {printing.plain(told)}")
    return lines


def _way_back(release: str, version: str, fleets: list[FleetDoc]) -> str:
    """Warm is only what runs: after a rolling update going back starts instances."""
    if any(fleet["release"] == release and fleet["ready"] for fleet in fleets):
        return f"  {version} is kept warm; go back with: holdfast rollback"
    return f"  {version} can be started again with: holdfast rollback"


def _rollout_line(rollout: RolloutDoc, now: float) -> str:
    old = f"{rollout['old']['version']} -> " if rollout["old"] else ""
    spent = show_duration(max(0.0, now - rollout["started_at"]))
    line = (
        f"  {rollout['strategy']} {old}{rollout['new']['version']}: step {rollout['step']} "
        f"of {rollout['steps']}, {rollout['phase']}, {spent}"
    )
    if rollout["verdict"]:
        line += f"; verdict {rollout['verdict']['mark']}: {rollout['verdict']['detail']}"
    return line


def _fleet_lines(status: StatusDoc) -> list[str]:
    rows = [_fleet_row(fleet, status["weights"]) for fleet in status["fleets"]]
    lines = [f"  {line}" for line in printing.table(HEADER, rows)] if rows else []
    for fleet in status["fleets"]:
        if failure := fleet["failure"]:
            told = f"{fleet['version']} {failure['code']}: {failure['detail']}"
            lines.append(f"  {printing.plain(told)}")
            lines += [f"    | {printing.plain(line)}" for line in failure["log_tail"]]
    return lines


def _fleet_row(fleet: FleetDoc, weights: dict[str, int]) -> list[str]:
    size = fleet["starting"] + fleet["ready"] + fleet["draining"] + fleet["failed"]
    ready = f"{fleet['ready']}/{size}"
    return [
        f"{fleet['version']} ({fleet['release']})",
        f"{weights.get(fleet['release'], 0)} %",
        printing.tone(ready, "good" if fleet["ready"] == size else "wait"),
        *(str(fleet[key]) for key in ("starting", "draining", "failed", "in_flight", "restarts")),
    ]


def _why(status: StatusDoc) -> list[str]:
    from holdfast.cli.telling import hold_line

    waits = (hold_line(hold["code"], hold["detail"]) for hold in status["holds"])
    lines = [f"  {printing.plain(wait)}" for wait in waits]
    if status["gate"]:
        lines.append(f"  no rollout may start now: {status['gate']}")
    if status["trouble"]:
        lines.append(printing.tone(f"  trouble: {status['trouble']}", "bad"))
    return lines
