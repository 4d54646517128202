"""``holdfast logs``: what the replicas print."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from holdfast.cli import printing
from holdfast.cli.options import Where, addressed, offering, release_names

if TYPE_CHECKING:
    from holdfast.conductor.client import Client, LogDoc

POLL_S = 0.3
#: Followed this far back; a replica that prints more between two looks loses lines here, not there.
FOLLOW_LINES = 2000

Key = tuple[str, str]


@click.command()
@click.option(
    "--release", metavar="R", shell_complete=offering(release_names),
    help="Only this release: id or version.",
)  # fmt: skip
@click.option("--replica", metavar="N", help="Only this replica.")
@click.option(
    "-n", "--lines", type=click.IntRange(0, 10_000), default=100, show_default=True,
    metavar="N", help="At most so many lines of each replica.",
)  # fmt: skip
@click.option("-F", "--follow", is_flag=True, help="Go on printing until Ctrl-C.")
@addressed
def command(
    where: Where, release: str | None, replica: str | None, lines: int, follow: bool
) -> None:
    """Print what the replicas print.

    Each line begins with its release and replica. With ``--json`` there is one document, with
    ``--follow --json`` one JSON line per log line.
    """
    from holdfast.cli.reach import pick_service, reach

    client = reach(where)
    service = pick_service(where, client)
    release = release_id(client, service, release)
    if follow:
        _follow(where, client, (service, release, replica), lines)
        return
    logs = client.logs(service, release, replica, lines)
    if where.json:
        printing.say_json({"service": service, "logs": logs})
        return
    for log in logs:
        _print(where, log, log["lines"])


def release_id(client: Client, service: str, named: str | None) -> str | None:
    """People say ``v2``; the log files are kept by release id."""
    fleets = client.status(service)["fleets"] if named else []
    return next((f["release"] for f in fleets if named in (f["release"], f["version"])), named)


def _follow(
    where: Where, client: Client, what: tuple[str, str | None, str | None], lines: int
) -> None:
    service, release, replica = what
    seen: dict[Key, list[str]] | None = None
    try:
        while True:
            logs = client.logs(service, release, replica, FOLLOW_LINES)
            for log in logs:
                if seen is None:
                    _print(where, log, log["lines"][-lines:] if lines else [])
                else:
                    known = seen.get(_key(log), [])
                    _print(where, log, news(known, log["lines"]))
            seen = {_key(log): log["lines"] for log in logs}
            time.sleep(POLL_S)
    except KeyboardInterrupt:
        return  # leaving is the only way to end it, so it is not a failure


def _key(log: LogDoc) -> Key:
    return log["release"], log["replica"]


def news(before: list[str], now: list[str]) -> list[str]:
    """The lines of the tail ``now`` that come after the tail ``before``."""
    for shift in range(len(before) + 1):
        kept = before[shift:]
        if now[: len(kept)] == kept:
            return now[len(kept) :]
    return now


def _print(where: Where, log: LogDoc, lines: list[str]) -> None:
    for line in lines:
        if where.json:
            printing.say_json_line(
                {"release": log["release"], "replica": log["replica"], "line": line}
            )
        else:
            name = printing.tone(f"{log['release']}/{log['replica']}", "dim")
            printing.say(f"{name}  {printing.log_line(line)}")
