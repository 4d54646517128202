"""``holdfast down``."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from holdfast.cli import printing
from holdfast.cli.complaint import FAILED, Complaint
from holdfast.cli.options import Where, addressed, person

if TYPE_CHECKING:
    from holdfast.conductor.client import Client, OutcomeDoc

#: Draining is bounded by the spec (30 s unless said otherwise), and so is this wait.
DRAIN_S_MAX = 120.0
POLL_S = 0.1
TELL_EVERY_S = 2.0


@click.command()
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--all", "everything", is_flag=True, help="Every service of this home.")
@click.option("--dry-run", is_flag=True, help="Say what would stop, and stop nothing.")
@addressed
def command(where: Where, yes: bool, everything: bool, dry_run: bool) -> int:
    """Stop the service, and the conductor after the last one.

    Requests in flight are finished first. The ledger stays, so ``holdfast up`` brings the service
    back and ``holdfast history`` still tells everything.
    """
    from holdfast.cli.reach import is_remote, pick_service, reach

    client = reach(where)
    live = [each["service"] for each in client.services() if not each["state"]["retired"]]
    chosen = live if everything else [pick_service(where, client)]
    last = set(live) <= set(chosen) and not is_remote()
    if dry_run:
        return _say_intent(where, chosen, last)
    _ask(where, chosen, yes)
    outcomes = [client.down(service, by=person()) for service in chosen]
    for service in chosen:
        _wait_until_gone(where, client, service)
    if last:
        _stop_conductor(where)
    _say_done(where, outcomes, last)
    return 0


def _say_intent(where: Where, chosen: list[str], last: bool) -> int:
    if where.json:
        printing.say_json({"would_stop": chosen, "would_stop_conductor": last})
        return 0
    for service in chosen:
        printing.say(f"would stop {service}")
    if last:
        printing.say("would stop the conductor: it has no other service")
    return 0


def _ask(where: Where, chosen: list[str], yes: bool) -> None:
    if yes:
        return
    what = ", ".join(chosen) or "the conductor"
    if where.json or not sys.stdin.isatty():
        raise Complaint(f"{what} would stop and nobody can be asked", "say --yes", code="unasked")
    if not click.confirm(f"Stop {what}?"):
        raise Complaint("nothing was stopped", code="declined", exit_code=1)


def _wait_until_gone(where: Where, client: Client, service: str) -> None:
    """A conductor that ends too early would leave replicas behind that nobody looks after."""
    began = time.monotonic()
    tell_at = began + TELL_EVERY_S
    while (left := _instances(client, service)) > 0:
        now = time.monotonic()
        if now > tell_at and not where.json:
            printing.say(f"waiting for {left} replicas of {service} to finish their requests")
            tell_at = now + TELL_EVERY_S
        if now > began + DRAIN_S_MAX:
            raise Complaint(
                f"{left} replicas of {service} still run after {DRAIN_S_MAX:.0f} s",
                "the conductor goes on stopping them; look with: holdfast status",
                code="still-draining",
                exit_code=FAILED,
            )
        time.sleep(POLL_S)


def _instances(client: Client, service: str) -> int:
    fleets = client.status(service)["fleets"]
    return sum(f["starting"] + f["ready"] + f["draining"] + f["failed"] for f in fleets)


def _stop_conductor(where: Where) -> None:
    from holdfast.cli.reach import home_of
    from holdfast.conductor.daemon import stop_daemon
    from holdfast.runtime.home import Home

    stop_daemon(Home(home_of(where.file)))


def _say_done(where: Where, outcomes: list[OutcomeDoc], last: bool) -> None:
    if where.json:
        printing.say_json({"services": outcomes, "conductor_stopped": last})
        return
    for outcome in outcomes:
        printing.say(f"{outcome['service']} stopped")
    if last:
        printing.say("conductor stopped")
