"""``holdfast registry``: images into a registry, what is there, what goes, copies elsewhere."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli.complaint import Complaint
from holdfast.cli.printing import plain, say, say_json, table, tone
from holdfast.cli.problems import count, located
from holdfast.cli.shipping import shipping

if TYPE_CHECKING:
    from holdfast.spec.model import Service
    from holdfast.supply.registry.client import Registry
    from holdfast.supply.registry.retention import Verdict
    from holdfast.supply.registry.transfer import Place, Sent

_HELP = {"help_option_names": ["-h", "--help"]}


@dataclass(frozen=True, slots=True)
class Where:
    """The repository meant, and who we are there."""

    service: Service
    repository: str  # with its registry
    auth: Path | None
    json: bool

    @property
    def host(self) -> str:
        return self.repository.partition("/")[0]

    @property
    def name(self) -> str:
        return self.repository.partition("/")[2]


def at_registry(run: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every command here, as one ``Where``."""

    @click.option(
        "-f", "--file", type=click.Path(path_type=Path), metavar="FILE",
        help="The spec file, or its directory. Default: the nearest holdfast.yaml.",
    )  # fmt: skip
    @click.option(
        "--repository", metavar="NAME", help="Registry and name. Default: image.repository."
    )
    @click.option(
        "--auth", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
        help="A file of docker login, mode 0600. Default: $HOLDFAST_REGISTRY_AUTH.",
    )  # fmt: skip
    @click.option("--json", "json_wanted", is_flag=True, help="Print JSON for programs.")
    @functools.wraps(run)
    def wrapped(
        file: Path | None, repository: str | None, auth: Path | None, json_wanted: bool,
        **words: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401  # fmt: skip
        with shipping():
            return run(_where(file, repository, auth, json_wanted), **words)

    return wrapped


def _where(file: Path | None, repository: str | None, auth: Path | None, as_json: bool) -> Where:
    from holdfast.artifacts import names
    from holdfast.spec.load import load

    service = load(located(file))
    given = repository or names.repository(service)
    if "/" not in given:
        raise Complaint(f"{given!r} names no registry", "--repository registry.example.com/shop")
    return Where(service, given, auth, as_json)


@click.group(context_settings=_HELP)
def command() -> None:
    """Push, list, prune and copy images of a registry.

    Any registry of the OCI distribution specification. What is sent is verified by digest and
    goes on after an interruption; nothing that is deployed is ever deleted.
    """


@command.command(context_settings=_HELP)
@click.argument("tags", nargs=-1, metavar="[TAG]...")
@click.option(
    "-i", "--image", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    default=Path("build/image"), show_default=True, help="The image that holdfast build left.",
)  # fmt: skip
@click.option(
    "--mount-from",
    "siblings",
    multiple=True,
    metavar="NAME",
    help="A repository of the registry that may have the same layers.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be sent.")
@at_registry
def push(
    where: Where, tags: tuple[str, ...], image: Path, siblings: tuple[str, ...], dry_run: bool
) -> None:
    """Push the built image as TAG. Default: the spec's version."""
    from holdfast.artifacts import names
    from holdfast.supply.images.layout import Layout
    from holdfast.supply.registry import transfer

    wanted = tags or (names.version(where.service),)
    layout = Layout(image)
    digest = layout.top().digest
    done: list[Sent] = []
    if not dry_run:
        with _place(where, where.host, siblings) as place:
            done = [transfer.push(layout, place, tag)[1] for tag in wanted]
    told = {"repository": where.repository, "digest": digest, "tags": list(wanted)}
    if where.json:
        say_json(told | {"dry_run": dry_run, "sent": [_sent(each) for each in done]})
        return
    for tag in wanted:
        say(f"{'would push ' if dry_run else ''}{where.repository}:{tag} {digest}")
    for each in done:
        say(_words(each))


@command.command("list", context_settings=_HELP)
@at_registry
def list_(where: Where) -> None:
    """List the versions of the repository: tag, age, digest."""
    from holdfast.supply.registry.versions import versions

    with _connected(where, where.host) as registry:
        found = sorted(versions(registry, where.name), key=lambda v: (-v.created, v.tag))
    if where.json:
        listed = [{"tag": v.tag, "digest": v.digest, "created": _date(v.created)} for v in found]
        say_json({"repository": where.repository, "versions": listed})
        return
    rows = [[plain(v.tag), _date(v.created) or "unknown", v.digest] for v in found]
    for line in table(["tag", "created", "digest"], rows) if rows else ["no versions"]:
        say(line)


@command.command(context_settings=_HELP)
@click.option("--keep", type=click.IntRange(1), metavar="N", help="Default: image.keep.")
@click.option("--keep-for", metavar="DURATION", help="Such as 90d. Default: image.keep_for.")
@click.option("--protect", multiple=True, metavar="GLOB", help="Tags that always stay.")
@click.option(
    "--deployed", multiple=True, metavar="TAG|DIGEST",
    help="What runs somewhere and stays, besides the spec's version and digest.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Say what would go, and why, and delete nothing.")
@at_registry
def prune(where: Where, dry_run: bool, **words: Any) -> None:  # noqa: ANN401
    """Delete versions that nothing keeps: not deployed, not new, not young, not protected."""
    from holdfast.supply.registry.retention import judge
    from holdfast.supply.registry.versions import doomed, versions

    policy = _policy(where.service, **words)
    with _connected(where, where.host) as registry:
        verdicts = judge(list(versions(registry, where.name)), policy, time.time())
        digests = doomed(verdicts)
        for digest in () if dry_run else digests:
            registry.delete_manifest(where.name, digest)
    if where.json:
        listed = [_verdict(each) for each in verdicts]
        told = {"repository": where.repository, "dry_run": dry_run, "versions": listed}
        say_json(told | {"deleted": [] if dry_run else digests})
        return
    for each in verdicts:
        mark = tone("stays", "good") if each.stays else tone("goes ", "bad")
        say(f"{mark} {plain(each.version.tag)}: {each.why}")
    gone = sum(not each.stays for each in verdicts)
    say(f"{where.repository}: {count(gone, 'version')} {'would go' if dry_run else 'gone'}")


@command.command(context_settings=_HELP)
@click.argument("tags", nargs=-1, metavar="[TAG]...")
@click.option(
    "--to", "targets", multiple=True, metavar="HOST", help="Default: the registries of regions."
)
@click.option("--dry-run", is_flag=True, help="Say what would be copied.")
@at_registry
def sync(where: Where, tags: tuple[str, ...], targets: tuple[str, ...], dry_run: bool) -> None:
    """Copy TAGs, or all, to the registries of other regions; run it again after an interruption."""
    listed = []
    with _connected(where, where.host) as source:
        wanted = tags or tuple(source.tags(where.name))
        for host in targets or _mirrors(where):
            with _place(where, host) as place:
                for tag in wanted:
                    listed.append(_synced(source, where.name, tag, place, dry_run))
                    if not where.json:
                        say(_told(listed[-1]))
    if where.json:
        say_json({"repository": where.repository, "dry_run": dry_run, "copies": listed})


def _synced(source: Registry, name: str, tag: str, place: Place, dry_run: bool) -> dict[str, Any]:
    from holdfast.supply.registry import transfer

    told: dict[str, Any] = {"to": f"{place.registry.host}/{name}", "tag": tag}
    if dry_run:
        digest = source.manifest(name, tag).digest
        there = transfer.is_there(place, tag, digest)
        return told | {"digest": digest, "change": "same" if there else "would copy"}
    digest, sent = transfer.copy(source, name, tag, place)
    return told | {"digest": digest, "change": "copied" if sent.tags else "same", **_sent(sent)}


def _told(copied: dict[str, Any]) -> str:
    size = f", {copied['bytes'] / 1e6:.1f} MB sent" if "bytes" in copied else ""
    resumed = f", {copied['resumed']} resumed" if copied.get("resumed") else ""
    name = f"{copied['to']}:{plain(copied['tag'])}"
    return f"{copied['change']} {name} {copied['digest']}{size}{resumed}"


def _policy(
    service: Service,
    keep: int | None,
    keep_for: str | None,
    protect: tuple[str, ...],
    deployed: tuple[str, ...],
) -> Any:  # noqa: ANN401  # retention.Policy, imported late
    from holdfast.runtime.units import parse_duration
    from holdfast.supply.registry.retention import Policy

    try:
        age = parse_duration(keep_for) if keep_for else service.image.keep_for
    except ValueError:
        raise Complaint(f"{keep_for!r} is no duration", "--keep-for 90d") from None
    running = {*deployed, service.version or "", service.image.digest or ""} - {""}
    return Policy(keep or service.image.keep, age, protect, frozenset(running))


def _mirrors(where: Where) -> list[str]:
    from holdfast.artifacts import names

    hosts = dict.fromkeys(names.mirror(where.service, each) for each in where.service.regions)
    return [host for host in hosts if host != where.host]


@contextmanager
def _connected(where: Where, host: str) -> Iterator[Registry]:
    from holdfast.supply.registry.client import Registry
    from holdfast.supply.registry.credentials import login

    registry = Registry(host, login(host, where.auth))
    try:
        yield registry
    finally:
        registry.close()


@contextmanager
def _place(where: Where, host: str, siblings: tuple[str, ...] = ()) -> Iterator[Place]:
    from holdfast.supply.registry.transfer import Place

    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    with _connected(where, host) as registry:
        yield Place(registry, where.name, cache / "holdfast" / "registry", siblings)


def _sent(sent: Sent) -> dict[str, int]:
    return {
        "uploaded": sent.uploaded, "there": sent.there, "mounted": sent.mounted,
        "resumed": sent.resumed, "bytes": sent.bytes,
    }  # fmt: skip


def _words(sent: Sent) -> str:
    said = [f"{count(sent.uploaded, 'blob')} sent, {sent.bytes / 1e6:.1f} MB"]
    said += [f"{sent.there} there already"] if sent.there else []
    said += [f"{sent.mounted} mounted"] if sent.mounted else []
    said += [f"{sent.resumed} resumed"] if sent.resumed else []
    return "; ".join(said)


def _verdict(verdict: Verdict) -> dict[str, Any]:
    found = verdict.version
    return {
        "tag": found.tag, "digest": found.digest, "created": _date(found.created),
        "stays": verdict.stays, "why": verdict.why,
    }  # fmt: skip


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds") if seconds else ""
