"""``holdfast up``."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import click

from holdfast.cli import printing
from holdfast.cli.complaint import FAILED, REFUSED, Complaint
from holdfast.cli.options import Where, addressed, detach, person

if TYPE_CHECKING:
    from holdfast.conductor.client import Client, OutcomeDoc, StatusDoc

READY_S_MAX = 60.0
POLL_S = 0.1


def _loopback(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    match = re.fullmatch(r"(127\.0\.0\.1|\[::1\]):([0-9]{1,5})", value or "")
    if value is None or (match and 1 <= int(match[2]) <= 65_535):
        return value
    raise click.BadParameter(f"found {value!r}, wanted 127.0.0.1:PORT or [::1]:PORT")


@click.command()
@click.option(
    "--listen", metavar="HOST:PORT", callback=_loopback,
    help="The conductor also answers here, on loopback, to callers with a token.",
)  # fmt: skip
@detach
@addressed
def command(where: Where, listen: str | None, detach: bool) -> int:
    """Start the conductor if needed and bring the service up.

    Applies holdfast.yaml: the first time that is the first deploy, later it is the same as
    ``holdfast deploy``, and nothing at all when nothing changed.
    """
    from holdfast.cli.release import asked
    from holdfast.cli.verbs import follow_order
    from holdfast.spec.load import load_text

    release = asked(where)
    load_text(release.text, str(release.path))  # before a conductor is started for nothing
    client = _conductor(where, listen)

    def order(client: Client, service: str) -> OutcomeDoc:
        return client.deploy(service, release.text, **release.options(person()))

    code = follow_order(where, client, release.service, order, detach)
    if code == 0 and not detach:
        status = _ready(where, client, release.service)
        if status["endpoint"] and not where.json:
            printing.say(f"{release.service} is at {printing.tone(status['endpoint'], 'name')}")
    return code


def _conductor(where: Where, listen: str | None) -> Client:
    from holdfast.cli.reach import reach_or_start

    client, fresh = reach_or_start(where, listen)
    if listen and not fresh:
        raise Complaint(
            "a conductor runs already, so it cannot be told to listen elsewhere",
            "holdfast down first, or leave --listen out",
            code="runs-already",
            exit_code=REFUSED,
        )
    if fresh and not where.json:
        printing.say("conductor started")
    return client


def _ready(where: Where, client: Client, service: str) -> StatusDoc:
    """Wait until the live release serves: after a reboot nothing changed, yet nothing runs."""
    end, told = time.monotonic() + READY_S_MAX, False
    while True:
        status = client.status(service)
        stable = status["state"]["stable"]
        counts = {fleet["release"]: fleet["ready"] for fleet in status["fleets"]}
        ready = counts.get(stable["id"], 0) if stable else 0
        if ready >= status["replicas"]:
            return status
        missing = f"{ready} of {status['replicas']} replicas are ready"
        if time.monotonic() > end:
            raise Complaint(missing, "holdfast logs", code="not-ready", exit_code=FAILED)
        if not told and not where.json:
            printing.say(f"waiting for instances to become ready: {missing}")
        told = True
        time.sleep(POLL_S)
