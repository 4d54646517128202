"""``holdfast promote``."""

import click

from holdfast.cli.options import Where, addressed, person
from holdfast.cli.verbs import give


@click.command()
@addressed
def command(where: Where) -> None:
    """Skip the rest of the current step's wait.

    The minimum time and the missing evidence of this one step are waived, and the ledger says by
    whom. Hard gates stay: instances that are not ready or that fail are never promoted.
    """
    give(where, lambda client, service: client.promote(service, by=person()))
