"""``holdfast sbom``: what is in the built image, as CycloneDX and SPDX."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli.printing import say, say_json
from holdfast.cli.problems import count, located
from holdfast.cli.shipping import shipping

if TYPE_CHECKING:
    from holdfast.supply.images.layout import Image

_NOBODY_KNOWS = "1970-01-01T00:00:00Z"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-f", "--file", type=click.Path(path_type=Path), metavar="FILE",
    help="The spec file, or its directory. Default: the nearest holdfast.yaml.",
)  # fmt: skip
@click.option(
    "-i", "--image", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    default=Path("build/image"), show_default=True, help="The image that holdfast build left.",
)  # fmt: skip
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    default=Path("build"), show_default=True, help="Where the two files go.",
)  # fmt: skip
@click.option("--json", "json_wanted", is_flag=True, help="Print JSON for programs.")
def command(file: Path | None, image: Path, output: Path, json_wanted: bool) -> None:
    """List what is installed in the built image: sbom.cdx.json and sbom.spdx.json.

    The records of Debian's, Python's and Node's package managers are read; what is compiled in
    is not seen. Each platform has files of its own.
    """
    with shipping():
        written = _written(file, image, output)
    if json_wanted:
        say_json({"files": written})
        return
    for each in written:
        say(f"{each['path']}: {count(each['packages'], 'package')} of {each['platform']}")


def _written(file: Path | None, image: Path, output: Path) -> list[dict[str, Any]]:
    from holdfast.artifacts import names
    from holdfast.spec.load import load
    from holdfast.supply.images import inventory, sbom
    from holdfast.supply.images.layout import Layout
    from holdfast.supply.tree import write

    service, layout = load(located(file)), Layout(image)
    name, version = service.service, names.version(service)
    images, listed = list(layout.images()), []
    for each in images:
        found, digest = inventory.packages(layout, each), each.manifest.digest
        middle = "" if len(images) == 1 else f".{each.platform.replace('/', '-')}"
        for suffix, body in (
            ("cdx", sbom.cyclonedx(name, version, digest, found)),
            ("spdx", sbom.spdx(name, version, digest, _created(each), found)),
        ):
            path = output / f"sbom{middle}.{suffix}.json"
            write(path, (json.dumps(body, indent=2) + "\n").encode())
            told = {"path": str(path), "platform": each.platform, "packages": len(found)}
            listed.append(told | {"image": digest})
    return listed


def _created(image: Image) -> str:
    """Whole seconds, as SPDX wants them."""
    given = str(image.about.get("created", ""))
    return f"{given[:19]}Z" if len(given) >= 19 and given[10:11] == "T" else _NOBODY_KNOWS
