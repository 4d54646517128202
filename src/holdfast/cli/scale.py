"""``holdfast scale``."""

import click

from holdfast.cli.options import Where, addressed, person
from holdfast.cli.verbs import give


@click.command()
@click.argument("replicas", type=click.IntRange(0, 10_000), metavar="N")
@addressed
def command(where: Where, replicas: int) -> None:
    """Change the number of replicas to N.

    Not a rollout: the release stays the same. Replicas that go finish their requests first. The
    number lasts until the next deploy, so write it to holdfast.yaml as well.
    """
    give(where, lambda client, service: client.scale(service, replicas, by=person()))
