"""``holdfast abort``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from holdfast.cli.options import Where, addressed, detach, person, reason
from holdfast.cli.verbs import roll

if TYPE_CHECKING:
    from holdfast.conductor.client import Client, OutcomeDoc


@click.command()
@reason
@detach
@addressed
def command(where: Where, reason: str, detach: bool) -> int:
    """Take the running rollout back.

    Always wins, may be repeated, and does nothing when no rollout runs. Watches until all traffic
    is back and exits 0 then. The release is not remembered as bad: it may be deployed again
    without ``--force``.
    """

    def order(client: Client, service: str) -> OutcomeDoc:
        return client.abort(service, reason, by=person())

    return roll(where, order, detach)
