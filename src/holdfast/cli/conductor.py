"""``holdfast conductor``: be the conductor, in the foreground."""

from __future__ import annotations

from pathlib import Path

import click

from holdfast.cli.reach import home_of


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--in-cluster", is_flag=True, required=True,
              help="Follow the Releases of a cluster, elected by a Lease.")  # fmt: skip
@click.option("--listen", metavar="127.0.0.1:PORT", default="127.0.0.1:8080", show_default=True,
              help="Where kubectl port-forward finds the HTTP API.")  # fmt: skip
@click.option("--home", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
              help="The state directory. Default: $HOLDFAST_HOME.")  # fmt: skip
@click.option("--json", "json_wanted", is_flag=True, help="The log is JSON in any case.")
def command(in_cluster: bool, listen: str, home: Path | None, json_wanted: bool) -> int:
    """Be a conductor of the cluster that this process runs in, until SIGTERM.

    On one machine the conductor is started by: holdfast up. Here a Deployment starts it; of
    several, one acts and the others stand by. HOLDFAST_POSTGRES and HOLDFAST_KEYS say where
    history and its keys are.
    """
    from holdfast.cli.installing import need_client
    from holdfast.conductor.daemon import serve_in_cluster
    from holdfast.runtime.home import Home

    del in_cluster, json_wanted  # words that say what is so anyway
    need_client()
    return serve_in_cluster(Home((home or home_of(None)).absolute()), listen)
