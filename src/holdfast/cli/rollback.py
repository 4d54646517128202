"""``holdfast rollback``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from holdfast.cli.options import Where, addressed, detach, offering, person, release_names
from holdfast.cli.verbs import roll

if TYPE_CHECKING:
    from holdfast.conductor.client import Client, OutcomeDoc


@click.command()
@click.option(
    "--to", metavar="RELEASE", shell_complete=offering(release_names),
    help="Id, digest or version; default: the previous one.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Even to a release that was rejected.")
@detach
@addressed
def command(where: Where, to: str | None, force: bool, detach: bool) -> int:
    """Go back to an earlier release.

    One route write while the previous release is still warm. No window or freeze blocks it, and
    the release that is left is refused by the next deploy unless forced.
    """

    def order(client: Client, service: str) -> OutcomeDoc:
        return client.rollback(service, to, by=person(), force=force)

    return roll(where, order, detach)
