"""``holdfast deploy``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from holdfast.cli.options import Where, addressed, detach, person
from holdfast.cli.options import version as named_version

if TYPE_CHECKING:
    from holdfast.conductor.client import Client, DeployOptions, OutcomeDoc


@click.command()
@named_version("What people call this release.")
@click.option(
    "--set", "settings", multiple=True, metavar="PATH=VALUE",
    help="Change one setting of the spec, e.g. run.env.LEVEL=debug; may be repeated.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Deploy a release that was rejected before.")
@click.option("--restart", is_flag=True, help="Roll even if nothing changed.")
@click.option("--override-gate", is_flag=True, help="Start in a closed window; kept in the ledger.")
@click.option(
    "--on-conflict", type=click.Choice(("replace", "queue", "refuse")),
    help="What if another rollout runs; default: as the spec says.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Show the plan and change nothing.")
@detach
@addressed
def command(
    where: Where,
    settings: tuple[str, ...],
    dry_run: bool,
    detach: bool,
    **options: bool | str | None,
) -> int:
    """Roll a new release out, and back by itself if it is bad.

    Watches until the end and says the reason for every wait. Exits 0 when the release was
    promoted and 1 when it was taken back. Ctrl-C only stops watching.
    """
    from holdfast.cli.reach import reach
    from holdfast.cli.release import ReleaseAsked, asked
    from holdfast.cli.verbs import follow_order

    release: ReleaseAsked = asked(where, settings, options)
    if dry_run:
        from holdfast.cli.plan import show_plan

        return show_plan(where, release)

    def order(client: Client, service: str) -> OutcomeDoc:
        given: DeployOptions = release.options(person())
        return client.deploy(service, release.text, **given)

    return follow_order(where, reach(where), release.service, order, detach)
