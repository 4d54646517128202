"""``holdfast install``: the conductor inside a cluster."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli.complaint import FAILED, Complaint
from holdfast.cli.installing import Outcome, bring, in_cluster
from holdfast.cli.printing import plain, say, say_json, tone

if TYPE_CHECKING:
    from holdfast.artifacts.installation.wish import Installation

MARKS = {"new": ("+", "good"), "changed": ("~", "wait"), "unchanged": ("=", "dim"),
         "removed": ("-", "bad"), "kept": ("=", "dim")}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Way:
    """What is done with the objects."""

    context: str | None
    output: Path | None
    dry_run: bool
    diff: bool
    force: bool
    json: bool


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--image", required=True, metavar="NAME@sha256:DIGEST", help="Holdfast's own image.")
@click.option("--namespace", default="holdfast", show_default=True, metavar="NAME",
              help="Where the conductor runs.")  # fmt: skip
@click.option("--replicas", default=2, show_default=True, type=click.IntRange(1, 5),
              help="One acts, the others stand by.")  # fmt: skip
@click.option("--context", metavar="NAME", help="A kubeconfig's context. Default: the current one.")
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
              help="Write holdfast.yaml there, and ask no cluster.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Let the server check everything; change nothing.")
@click.option("--diff", is_flag=True, help="Print what would change; exit 1 if anything would.")
@click.option("--force", is_flag=True, help="Take over fields that somebody else manages.")
@click.option("--json", "json", is_flag=True, help="Print JSON for programs.")
def command(image: str, namespace: str, replicas: int, **words: Any) -> int:  # noqa: ANN401
    """Install the conductor into a Kubernetes cluster.

    Two Secrets of its namespace are yours: holdfast-postgres (url) and holdfast-ledger-keys
    (log.pem, made by: holdfast audit new-keys log.pem).
    """
    from holdfast.artifacts.installation.wish import Installation

    try:
        wish = Installation(image, namespace, replicas)
    except ValueError as error:
        raise Complaint(str(error), "the digest is what cannot be changed later") from error
    return _run(wish, Way(**words))


def _run(wish: Installation, way: Way) -> int:
    from holdfast.artifacts.installation.objects import objects

    if way.output is not None:
        return _write(wish, way.output, way.json)
    dry = way.dry_run or way.diff
    outcomes = in_cluster(way.context, lambda client: bring(client, objects(wish), dry, way.force))
    tell(outcomes, way.diff, way.json)
    return FAILED if way.diff and any(each.change != "unchanged" for each in outcomes) else 0


def _write(wish: Installation, folder: Path, json_wanted: bool) -> int:
    from holdfast.artifacts.installation.objects import text

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "holdfast.yaml"
    path.write_text(text(wish), encoding="utf-8")
    if json_wanted:
        say_json({"file": str(path)})
    else:
        say(f"wrote {path}; apply it with: kubectl apply --server-side -f {path}")
    return 0


def tell(outcomes: list[Outcome], with_diff: bool, json_wanted: bool) -> None:
    if json_wanted:
        say_json({"objects": [asdict(each) for each in outcomes]})
        return
    for each in outcomes:
        mark, colour = MARKS[each.change]
        say(f"{tone(mark, colour)} {plain(each.title)}")
        if with_diff and each.change == "changed":
            for line in each.diff:
                say(f"    {plain(line)}")
