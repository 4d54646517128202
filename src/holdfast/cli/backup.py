"""``holdfast backup``: base backups and log of a PostgreSQL, sealed, proven and given back."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli.complaint import FAILED, REFUSED, Complaint
from holdfast.cli.printing import plain, say, say_json, table, tone

if TYPE_CHECKING:
    from holdfast.recovery.entries import Contents, Proof
    from holdfast.recovery.planning import Restore, Target
    from holdfast.recovery.postgres import Cluster
    from holdfast.recovery.repository import Repository

_HELP = {"help_option_names": ["-h", "--help"]}
_PASS_S = 5.0
_TOLD_EVERY = 64 << 20


@dataclass(frozen=True, slots=True)
class Where:
    """The repository meant, and how to answer."""

    repository: Repository
    json: bool


def at_repository(run: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every command here, as one ``Where``."""

    @click.option(
        "--repository", type=click.Path(path_type=Path, file_okay=False), required=True,
        envvar="HOLDFAST_BACKUP_REPOSITORY", metavar="DIR",
        help="Where backups lie. Default: $HOLDFAST_BACKUP_REPOSITORY.",
    )  # fmt: skip
    @click.option(
        "--copy", "copies", type=click.Path(path_type=Path, file_okay=False), multiple=True,
        envvar="HOLDFAST_BACKUP_COPIES", metavar="DIR",
        help="A second place, in another region. Default: $HOLDFAST_BACKUP_COPIES.",
    )  # fmt: skip
    @click.option("--json", "json_wanted", is_flag=True, help="Print JSON for programs.")
    @functools.wraps(run)
    def wrapped(
        repository: Path, copies: tuple[Path, ...], json_wanted: bool,
        **words: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401  # fmt: skip
        from holdfast.recovery.repository import Repository

        with troubles():
            return run(Where(Repository(repository, copies), json_wanted), **words)

    return wrapped


_database = click.option(
    "--database", required=True, envvar="HOLDFAST_BACKUP_DATABASE", metavar="CONNINFO",
    help="Such as 'host=/run/postgresql user=backup'. Default: $HOLDFAST_BACKUP_DATABASE.",
)  # fmt: skip
_key = click.option(
    "--key", required=True, type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="The secret recovery key, mode 0600.",
)  # fmt: skip


def _moment(run: Callable[..., Any]) -> Callable[..., Any]:
    """``--time``, ``--lsn``, ``--marker``: at most one."""

    @click.option("--time", "moment", metavar="TIME", help="Such as 2026-11-25T12:00:00.5Z.")
    @click.option("--lsn", "position", metavar="LSN", help="Such as 16/B374D848.")
    @click.option("--marker", metavar="NAME", help="A moment that holdfast backup mark named.")
    @functools.wraps(run)
    def wrapped(moment: str | None, position: str | None, marker: str | None, **words: Any) -> Any:  # noqa: ANN401
        return run(target=_target(moment, position, marker), **words)

    return wrapped


@contextlib.contextmanager
def troubles() -> Iterator[None]:
    """What goes wrong with a backup, in the words and with the exit codes of commands."""
    from holdfast.recovery.trouble import BackupTrouble, KeyTrouble

    try:
        yield
    except BackupTrouble as error:
        says, _, hint = str(error).partition("; ")
        code = REFUSED if isinstance(error, KeyTrouble) else FAILED
        raise Complaint(
            says, hint or "holdfast backup list", code=error.code, exit_code=code
        ) from error


@click.group(context_settings=_HELP)
def command() -> None:
    """Back a PostgreSQL up, prove it by restoring, give any second back.

    Nothing leaves unsealed: each backup opens only with a secret key that was shown to open it
    before the first one was made. A backup that was never restored is listed as unproven.
    """


@command.command(context_settings=_HELP)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE")
@click.option("--name", metavar="NAME", help="Whose key it is. Default: the file's name.")
@click.option("--json", "json_wanted", is_flag=True, help="Print JSON for programs.")
def key(file: Path, name: str | None, json_wanted: bool) -> None:
    """Make a recovery key: FILE is the secret, FILE.pub seals. Keep FILE off this machine."""
    from holdfast.recovery.keys import make_files

    with troubles():
        public, recipient = make_files(name or file.stem, file)
    if json_wanted:
        say_json({"secret": str(file), "public": str(public), "id": recipient.id})
        return
    say(f"{file} is the secret: whoever loses it loses every backup. Copy it to a safe place.")
    say(f"{public} seals. Next, with the copy from the safe place: holdfast backup escrow")


@command.command(context_settings=_HELP)
@_key
@at_repository
def escrow(where: Where, key: Path) -> None:
    """Show that the kept key opens. Backups are sealed for those who did, and for nobody else."""
    from holdfast.recovery.keys import load_secret

    secret = load_secret(key)
    recipient = secret.recipient
    where.repository.add_recipient(recipient, secret, time.time())
    if where.json:
        say_json({"recipient": recipient.id, "name": recipient.name})
        return
    say(f"{plain(recipient.name)} ({recipient.id}) opens; backups are sealed for it from now on")


@command.command(context_settings=_HELP)
@_database
@at_repository
def run(where: Where, database: str) -> None:
    """Take a base backup. The log that makes it whole comes from holdfast backup stream."""
    from holdfast.recovery.postgres import take_base

    base = take_base(_cluster(database), where.repository, _progress())
    if where.json:
        say_json({"base": base.id, "bytes": base.stored.content, "stored": base.stored.size})
        return
    size = f"{base.stored.content >> 20} MiB, {base.stored.size >> 20} MiB sealed"
    say(f"base {base.id}: {size}. Not proven yet: holdfast backup prove")


@command.command(context_settings=_HELP)
@_database
@click.option(
    "--spool", required=True, type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    envvar="HOLDFAST_BACKUP_SPOOL", help="Where log waits. Default: $HOLDFAST_BACKUP_SPOOL.",
)  # fmt: skip
@click.option("--every", default="5s", show_default=True, metavar="DURATION",
              help="How much history may be lost.")  # fmt: skip
@at_repository
def stream(where: Where, database: str, spool: Path, every: str) -> None:
    """Receive the log and store it, until Ctrl-C."""
    from holdfast.recovery.postgres import beat, receiving
    from holdfast.recovery.trouble import ToolTrouble

    seconds = _duration(every)
    cluster = _cluster(database)
    size = int(cluster.one("SELECT setting FROM pg_settings WHERE name = 'wal_segment_size'"))
    try:
        with receiving(cluster, spool) as receiver:
            while receiver.poll() is None:
                with contextlib.suppress(ToolTrouble):  # the receiver will tell
                    beat(cluster)  # idle servers write no log, and only log can be given back
                _pass(where, spool, size)
                time.sleep(seconds)
    except KeyboardInterrupt:
        _pass(where, spool, size)
        return
    _pass(where, spool, size)
    log = spool.with_name(spool.name + ".log")
    raise Complaint("the receiver of the log ended", f"read {log}", code="tool", exit_code=FAILED)


def _pass(where: Where, spool: Path, size: int) -> None:
    from holdfast.cli.printing import say_json_line
    from holdfast.recovery.postgres import archive

    for segment in archive(spool, where.repository, size):
        if where.json:
            say_json_line({"segment": segment.name, "partial": segment.partial})
        elif not segment.partial:
            say(f"stored {segment.name}")


@command.command(context_settings=_HELP)
@click.argument("name")
@_database
@at_repository
def mark(where: Where, name: str, database: str) -> None:
    """Name this moment, to go back to: before a deploy, before a migration."""
    from holdfast.recovery.entries import lsn_text
    from holdfast.recovery.postgres import mark

    marker = mark(_cluster(database), where.repository, name)
    if where.json:
        say_json({"marker": marker.name, "lsn": lsn_text(marker.lsn)})
        return
    say(f"marker {plain(marker.name)} at {lsn_text(marker.lsn)}")


@command.command("list", context_settings=_HELP)
@at_repository
def list_(where: Where) -> None:
    """What there is: base backups, whether each was proven, markers, how far the log is behind."""
    from holdfast.recovery.planning import behind

    found = where.repository.contents()
    if where.json:
        say_json(_listed(found))
        return
    rows = [_row(found, number) for number in range(len(found.bases))]
    heading = ["base", "taken", "size", "sealed", "state"]
    for line in table(heading, rows) if rows else ["no backup yet: holdfast backup run"]:
        say(line)
    for marker in found.markers.values():
        say(f"marker {plain(marker.name)}  {_date(marker.at)}")
    late = behind(found, time.time())
    if late is not None:
        say(f"history that would be lost now: {late:.1f} s")


def _row(found: Contents, number: int) -> list[str]:
    base = found.bases[number]
    shown = base.id in found.proven
    state = tone("proven", "good") if shown else tone("not proven: no backup yet", "bad")
    sizes = [f"{size >> 20} MiB" for size in (base.stored.content, base.stored.size)]
    return [base.id, _date(base.at), *sizes, state]


def _listed(found: Contents) -> dict[str, Any]:
    from holdfast.recovery.entries import lsn_text
    from holdfast.recovery.planning import behind, gaps

    bases = [
        {
            "id": base.id, "at": _date(base.at), "bytes": base.stored.content,
            "stored": base.stored.size, "proven": base.id in found.proven,
            "missing": list(gaps(found, base)),
        }
        for base in found.bases
    ]  # fmt: skip
    markers = [
        {"name": each.name, "at": _date(each.at), "lsn": lsn_text(each.lsn)}
        for each in found.markers.values()
    ]
    return {"bases": bases, "markers": markers, "behind_s": behind(found, time.time())}


@command.command(context_settings=_HELP)
@_key
@_moment
@at_repository
def prove(where: Where, target: Target, key: Path) -> None:
    """Restore in a scratch directory and read every row. Only then it is a backup."""
    from holdfast.recovery.keys import load_secret
    from holdfast.recovery.restore import prove, read_whole
    from holdfast.recovery.tools import find_tools

    proof = prove(where.repository, load_secret(key), find_tools(), read_whole, target)
    if where.json:
        say_json(_proof(proof))
    else:
        what = f"base {proof.base} to {plain(proof.target)}"
        say(f"{'proven' if proof.holds else 'NOT a backup'}: {what}, {proof.seconds:.1f} s")
        for difference in proof.differences:
            say(f"  {plain(difference)}")
    if not proof.holds:
        raise click.exceptions.Exit(FAILED)


def _proof(proof: Proof) -> dict[str, Any]:
    return {
        "base": proof.base, "target": proof.target, "holds": proof.holds,
        "seconds": round(proof.seconds, 3), "databases": proof.compared,
        "differences": list(proof.differences),
    }  # fmt: skip


@command.command(context_settings=_HELP)
@click.argument("into", type=click.Path(path_type=Path), metavar="DIR")
@_key
@_moment
@click.option("--dry-run", is_flag=True, help="Say what would be fetched and what is given up.")
@at_repository
def restore(where: Where, target: Target, into: Path, key: Path, dry_run: bool) -> None:
    """Give a moment back into DIR, which must be empty. Without a moment: all there is."""
    from holdfast.recovery.keys import load_secret
    from holdfast.recovery.planning import plan_restore
    from holdfast.recovery.restore import restore
    from holdfast.recovery.tools import find_tools

    secret = load_secret(key)
    plan = plan_restore(where.repository.contents(), target)
    _tell_plan(where, plan, dry_run)
    if dry_run:
        return
    done = restore(where.repository, secret, target, into, find_tools())
    if where.json:
        say_json(_planned(plan) | {"directory": str(into), "writable_s": round(done.writable_s, 3)})
        return
    say(f"{into}: writable after {done.writable_s:.1f} s, and stopped again; start it as you like")


def _tell_plan(where: Where, plan: Restore, dry_run: bool) -> None:
    if where.json:
        if dry_run:
            say_json(_planned(plan))
        return
    state = "proven" if plan.proven else "never restored before"
    say(f"base {plan.base.id} ({state}) and {len(plan.log)} segments of log to {plan.target}")
    if plan.target.time is not None and plan.log:
        lost = plan.log[-1].at - plan.target.time
        say(f"given up: what was committed in the {lost:.1f} s after that moment")


def _planned(plan: Restore) -> dict[str, Any]:
    from holdfast.recovery.entries import lsn_text

    return {
        "base": plan.base.id, "proven": plan.proven, "segments": len(plan.log),
        "target": str(plan.target), "log_ends": lsn_text(plan.reaches),
    }  # fmt: skip


@command.command(context_settings=_HELP)
@at_repository
def check(where: Where) -> None:
    """Read every object in every place. This finds bit rot; only holdfast backup prove proves."""
    damaged = where.repository.damaged()
    if where.json:
        say_json({"damaged": list(damaged), "head": where.repository.head()})
    for line in () if where.json else damaged:
        say(line)
    if damaged:
        raise click.exceptions.Exit(FAILED)
    if not where.json:
        say(f"every object is as it was written; head of the catalogue: {where.repository.head()}")


@command.command(context_settings=_HELP)
@click.option("--keep", default="30d", show_default=True, metavar="DURATION",
              help="Every moment since then can still be given back.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Say what would go.")
@at_repository
def expire(where: Where, keep: str, dry_run: bool) -> None:
    """Delete what no moment of the last DURATION needs; never the only proven backup."""
    from holdfast.recovery.planning import expirable

    paths = expirable(where.repository.contents(), time.time(), _duration(keep))
    if not dry_run:
        where.repository.expire(paths, time.time())
    if where.json:
        say_json({"dry_run": dry_run, "paths": list(paths)})
        return
    for path in paths:
        say(f"{'would go' if dry_run else 'gone'}: {path}")
    if not paths:
        say("nothing may go: everything is needed, or nothing newer is proven")


# ---- words -----------------------------------------------------------------------------------


def _cluster(database: str) -> Cluster:
    from holdfast.recovery.postgres import Cluster
    from holdfast.recovery.tools import find_tools

    return Cluster(find_tools(), database)


def _target(moment: str | None, position: str | None, marker: str | None) -> Target:
    from holdfast.recovery.entries import lsn
    from holdfast.recovery.planning import Target

    if sum(each is not None for each in (moment, position, marker)) > 1:
        raise Complaint("more than one moment is wanted", "give --time, --lsn or --marker")
    try:
        when = None if moment is None else _seconds(moment)
        return Target(when, None if position is None else lsn(position), marker)
    except ValueError as error:
        raise Complaint(str(error), "holdfast backup list shows what there is") from error


def _seconds(text: str) -> float:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"found {text[:60]!r}, wanted a time such as 2026-11-25T12:00:00Z"
        ) from None
    if when.tzinfo is None:
        raise ValueError(f"found {text!r} without a time zone, wanted one: {text}Z is UTC")
    return when.timestamp()


def _duration(text: str) -> float:
    from holdfast.runtime.units import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise Complaint(str(error), "such as 5s or 30d") from error


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _progress() -> Callable[[int], None]:
    """Bytes so far, on the other stream."""
    told = 0

    def tell(size: int) -> None:
        nonlocal told
        if size - told >= _TOLD_EVERY:
            told = size
            click.echo(f"read {size >> 20:,} MiB", err=True)

    return tell
