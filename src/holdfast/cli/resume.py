"""``holdfast resume``."""

import click

from holdfast.cli.options import Where, addressed, person
from holdfast.cli.verbs import give


@click.command()
@addressed
def command(where: Where) -> None:
    """Let a paused rollout go on.

    Evidence from before the pause is not counted: it says little about now.
    """
    give(where, lambda client, service: client.resume(service, by=person()))
