"""``holdfast build``: the image of the spec, built here, and held against what it promised."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli.complaint import FAILED, Complaint
from holdfast.cli.printing import plain, say, say_json, tone
from holdfast.cli.shipping import shipping

if TYPE_CHECKING:
    from holdfast.cli.rendering import Rendered
    from holdfast.supply.images.builder import Wanted
    from holdfast.supply.images.contents import Contents
    from holdfast.supply.images.promises import Broken

TARGETS = ("runtime", "debug", "profiling", "testing", "benchmark")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-f", "--file", type=click.Path(path_type=Path), metavar="FILE",
    help="The spec file, or its directory. Default: the nearest holdfast.yaml.",
)  # fmt: skip
@click.option(
    "--target", type=click.Choice(TARGETS), default="runtime", show_default=True,
    help="Which image. Only runtime is held against budget, user and absence of a shell.",
)  # fmt: skip
@click.option(
    "--platform", "platforms", multiple=True, metavar="PLATFORM",
    help="Such as linux/arm64, several times. Default: this machine's.",
)  # fmt: skip
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False),
    default=Path("build/image"), metavar="DIR", show_default=True,
    help="Where the image goes, as an OCI layout.",
)  # fmt: skip
@click.option(
    "--build-arg", "arguments", multiple=True, metavar="NAME=VALUE",
    help="An argument of the Dockerfile, such as BUILDER, BASE, CPU.",
)  # fmt: skip
@click.option(
    "--builder", type=click.Choice(("buildah", "docker")), help="Default: whichever is installed."
)
@click.option("--dry-run", is_flag=True, help="Print the commands and build nothing.")
@click.option("--json", "json_wanted", is_flag=True, help="Print JSON for programs.")
def command(**words: Any) -> int:  # noqa: ANN401
    """Build the image that the spec describes, and hold it against its promises.

    The Dockerfile is rendered from the spec; its directory is what is built. Exits 1 when the
    image is larger than image.budget (the largest layers are named), runs as somebody else than
    image.user, or has a shell.
    """
    with shipping():
        return _run(Wish(**words))


@dataclass(frozen=True, slots=True)
class Wish:
    """What was typed."""

    file: Path | None
    target: str
    platforms: tuple[str, ...]
    output: Path
    arguments: tuple[str, ...]
    builder: str | None
    dry_run: bool
    json_wanted: bool


def _run(wish: Wish) -> int:
    from holdfast.cli.rendering import rendered
    from holdfast.supply.images import builder

    made = rendered(wish.file, None, False)
    with tempfile.TemporaryDirectory(prefix="holdfast-build-") as directory:
        wanted = _wanted(wish, made, Path(directory))
        if wish.dry_run:
            name = wish.builder or builder.installed()
            _tell_calls(name, builder.commands(name, wanted), wish.json_wanted)
            return 0
        name = builder.installed(wish.builder)
        builder.build(name, wanted, _progress)
    return _judged(wish, made, name)


def _wanted(wish: Wish, made: Rendered, directory: Path) -> Wanted:
    from holdfast.artifacts import names
    from holdfast.supply.images import builder

    for file in made.bundle:
        if file.path.startswith("containers/Dockerfile"):
            (directory / file.path.rpartition("/")[2]).write_bytes(file.data)
    context = made.spec.resolve().parent
    commit, date = builder.revision(context)
    told = {"VERSION": names.version(made.service), "REVISION": commit, "CREATED": date}
    return builder.Wanted(
        dockerfile=directory / "Dockerfile",
        context=context,
        target=wish.target,
        platforms=wish.platforms or (_here(),),
        output=wish.output.resolve(),
        name=f"localhost/{made.service.service}:{wish.target}",
        arguments={name: value for name, value in told.items() if value} | _given(wish),
    )


def _given(wish: Wish) -> dict[str, str]:
    found = {}
    for word in wish.arguments:
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise Complaint(f"{word!r} is no NAME=VALUE", "--build-arg CPU=x86-64-v4")
        found[name] = value
    return found


def _here() -> str:
    machine = os.uname().machine
    return f"linux/{ {'x86_64': 'amd64', 'aarch64': 'arm64'}.get(machine, machine) }"


def _progress(line: str) -> None:
    """On the other stream: what programs read stays clean."""
    print(plain(line), file=sys.stderr, flush=True)


def _tell_calls(name: str, calls: list[list[str]], json_wanted: bool) -> None:
    if json_wanted:
        say_json({"builder": name, "commands": calls})
        return
    for call in calls:
        say(shlex.join(call))


def _judged(wish: Wish, made: Rendered, name: str) -> int:
    from holdfast.artifacts import names
    from holdfast.supply.images.contents import look
    from holdfast.supply.images.layout import Layout
    from holdfast.supply.images.promises import broken

    layout = Layout(wish.output)
    found = [look(layout, image) for image in layout.images()]
    image = made.service.image
    kept = wish.target == "runtime"
    most = names.budget(made.service)
    failed = [b for each in found for b in broken(each, most, image.user)] if kept else []
    told = {"builder": name, "directory": str(wish.output), "digest": layout.top().digest}
    if wish.json_wanted:
        say_json(
            told | {"platforms": [_as_json(each) for each in found], "broken": _listed(failed)}
        )
    else:
        _tell(wish, layout.top().digest, found, failed)
    return FAILED if failed else 0


def _tell(wish: Wish, digest: str, found: list[Contents], failed: list[Broken]) -> None:
    from holdfast.supply.images.promises import megabytes

    for each in found:
        say(
            f"{each.platform}: {megabytes(each.unpacked)} unpacked, {megabytes(each.stored)} to"
            f" pull, {len(each.layers)} layers, user {plain(each.user) or 'root'},"
            f" {'no shell' if not each.shells else 'a shell'}"
        )
    for broken in failed:
        say(f"{tone('broken', 'bad')} {broken.platform}: {plain(broken.says)}")
    say(f"{wish.output}: {digest}")


def _as_json(found: Contents) -> dict[str, Any]:
    return {
        "platform": found.platform,
        "user": found.user,
        "unpacked": found.unpacked,
        "stored": found.stored,
        "shells": list(found.shells),
        "layers": [
            {"digest": e.digest, "unpacked": e.unpacked, "stored": e.stored, "made_by": e.made_by}
            for e in found.layers
        ],
    }


def _listed(failed: list[Broken]) -> list[dict[str, str]]:
    return [{"code": b.code, "platform": b.platform, "detail": b.says} for b in failed]
