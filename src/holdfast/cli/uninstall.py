"""``holdfast uninstall``: the conductor leaves the cluster; what it deployed stays."""

from __future__ import annotations

import click

from holdfast.cli.install import tell
from holdfast.cli.installing import in_cluster, take


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--namespace", default="holdfast", show_default=True, metavar="NAME",
              help="Where the conductor runs.")  # fmt: skip
@click.option("--context", metavar="NAME", help="A kubeconfig's context. Default: the current one.")
@click.option("--json", "json_wanted", is_flag=True, help="Print JSON for programs.")
def command(namespace: str, context: str | None, json_wanted: bool) -> int:
    """Take the conductor out of a Kubernetes cluster.

    Services keep serving. The namespace with its Secrets and the Releases stay, so a later
    install continues where this one ended.
    """
    from holdfast.artifacts.installation.objects import KEPT, objects
    from holdfast.artifacts.installation.wish import Installation

    installed = objects(Installation(f"any@sha256:{'0' * 64}", namespace))
    outcomes = in_cluster(context, lambda client: take(client, installed, KEPT))
    tell(outcomes, with_diff=False, json_wanted=json_wanted)
    return 0
