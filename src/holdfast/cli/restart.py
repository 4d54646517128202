"""``holdfast restart``."""

import click

from holdfast.cli.options import Where, addressed, detach, person
from holdfast.cli.verbs import roll


@click.command()
@detach
@addressed
def command(where: Where, detach: bool) -> int:
    """Replace every replica without losing a request.

    A rollout of the release that runs already, with its own strategy and gates.
    """
    return roll(where, lambda client, service: client.restart(service, by=person()), detach)
