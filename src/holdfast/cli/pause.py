"""``holdfast pause``."""

import click

from holdfast.cli.options import Where, addressed, person, reason
from holdfast.cli.verbs import give


@click.command()
@reason
@addressed
def command(where: Where, reason: str) -> None:
    """Hold the running rollout where it is.

    Traffic stays as it is now and the deadlines stop. A new release that fails is still taken
    back. Go on with ``holdfast resume``.
    """
    give(where, lambda client, service: client.pause(service, reason, by=person()))
