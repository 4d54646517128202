"""``holdfast approve``."""

import click

from holdfast.cli.options import Where, addressed, person
from holdfast.cli.verbs import give


@click.command()
@addressed
def command(where: Where) -> None:
    """Approve the current step.

    A step with ``approvals: 2`` needs two different people; approving twice counts once.
    """
    give(where, lambda client, service: client.approve(service, by=person()))
