"""Giving a moment back, and proving that it can be given.

A restore is over when the server has left recovery (PostgreSQL ends with an error when the moment
was not reached), and has accepted a write. Everything that is read is held against a digest first:
the sealed objects against the catalogue, the files of the base against its manifest.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import stat
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from holdfast.recovery.entries import Proof, lsn_text
from holdfast.recovery.keys import SecretKey
from holdfast.recovery.planning import Restore, Target, plan_restore
from holdfast.recovery.postgres import Cluster
from holdfast.recovery.repository import Repository
from holdfast.recovery.tools import Tools, owner, server_user
from holdfast.recovery.trouble import BackupTrouble, Damaged, ToolTrouble

_LOG = ".holdfast-log"  # below the data directory, which is where PostgreSQL's commands run
_START_WITHIN_S = 3600
_NOT_YET = re.compile(r"the database system is (starting up|not (yet )?accepting connections)")
_MINE = "# from here on by holdfast backup restore\n"


@dataclass(frozen=True, slots=True)
class Restored:
    """What came back. Times in seconds from the beginning of the restore."""

    directory: Path
    plan: Restore
    fetched_s: float
    writable_s: float


def restore(
    repository: Repository, key: SecretKey, target: Target, into: Path, tools: Tools
) -> Restored:
    """Lay the data directory out, recover to ``target``, and leave it stopped and whole.

    Raises a ``BackupTrouble``; then what was laid out is left for a look and said to be no server.
    """
    began = time.monotonic()
    plan = plan_restore(repository.contents(), target)
    _room_for(plan, into)
    lay_out(repository, key, plan, into)
    fetched = time.monotonic() - began
    with recovered(into, tools, plan.base.superuser):
        writable = time.monotonic() - began
    _tidy(into)
    return Restored(into, plan, fetched, writable)


def prove(
    repository: Repository,
    key: SecretKey,
    tools: Tools,
    compare: Callable[[Cluster, Restore], tuple[int, tuple[str, ...]]],
    target: Target | None = None,
) -> Proof:
    """Restore in a scratch directory and compare; the outcome is recorded, good or bad.

    ``compare`` gives how many facts were compared, and what differs.
    """
    began, at = time.monotonic(), time.time()
    plan = plan_restore(repository.contents(), target or Target())
    with _scratch() as into:
        try:
            lay_out(repository, key, plan, into)
            with recovered(into, tools, plan.base.superuser) as cluster:
                seconds = time.monotonic() - began
                compared, differences = compare(cluster, plan)
        except BackupTrouble as error:
            seconds, compared, differences = time.monotonic() - began, 0, (str(error),)
    proof = Proof(at, plan.base.id, str(plan.target), seconds, compared, differences)
    repository.record(proof)
    return proof


def read_whole(cluster: Cluster, _plan: Restore) -> tuple[int, tuple[str, ...]]:
    """Every row of every table of every database is read: a damaged page shows here."""
    names = "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate"
    compared = 0
    differences: list[str] = []
    for (name,) in cluster.ask(names):
        words = (f"{cluster.database} dbname={_word(name)}", "-Fc", "--no-sync", "-f", os.devnull)
        try:
            cluster.tools.run("pg_dump", "--no-password", "-d", *words, user=server_user())
            compared += 1
        except ToolTrouble as error:
            differences.append(f"database {name} cannot be read: {error}")
    return compared, tuple(differences)


def lay_out(repository: Repository, key: SecretKey, plan: Restore, into: Path) -> None:
    """The files of the base and the log, checked, owned by who will run the server."""
    into.mkdir(parents=True, exist_ok=True, mode=0o700)
    if any(into.iterdir()):
        raise ToolTrouble(f"{into} is not empty; a restore never goes over what is there")
    _unpack(repository.fetch(plan.base.stored, key), into)
    check_manifest(into)
    log = into / _LOG
    log.mkdir(mode=0o700)
    for segment in (*plan.histories, *plan.log):
        with open(log / segment.name, "wb") as file:
            for piece in repository.fetch(segment.stored, key):
                file.write(piece)
    _configure(plan, into)
    _give_to(server_user(), into)


def _unpack(pieces: Iterator[bytes], into: Path) -> None:
    try:
        with tarfile.open(fileobj=cast(IO[bytes], _Pieces(pieces)), mode="r|") as archive:
            archive.extractall(into, filter="data")
    except tarfile.TarError as error:
        raise Damaged(f"the base backup is no tar that can be unpacked: {error}") from error
    for _ in pieces:  # what follows the end of a tar is authentic too, or the object is cut off
        pass


class _Pieces:
    """An iterator of bytes as a file to read from."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._left = pieces, b""

    def read(self, size: int) -> bytes:
        parts, missing = [self._left], size - len(self._left)
        while missing > 0 and (piece := next(self._pieces, None)) is not None:
            parts.append(piece)
            missing -= len(piece)
        whole = b"".join(parts)
        self._left = whole[size:]
        return whole[:size]


def check_manifest(directory: Path) -> int:
    """Hold every file against ``backup_manifest``; how many there were. Raises ``Damaged``.

    Read here, because ``pg_verifybackup`` of some builds crashes.
    """
    path = directory / "backup_manifest"
    try:
        files = json.loads(path.read_bytes())["Files"]
        told = {each["Path"]: (each["Size"], each["Checksum"]) for each in files if "Path" in each}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Damaged(f"the manifest of the base backup cannot be read: {error}") from error
    for name, (size, checksum) in told.items():
        _check_file(directory / name, name, size, checksum)
    return len(told)


def _check_file(path: Path, name: str, size: int, checksum: str) -> None:
    try:
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
            length = file.tell()
    except OSError as error:
        raise Damaged(f"{name} of the base backup is missing: {error.strerror}") from error
    if (length, found) != (size, checksum):
        raise Damaged(f"{name} of the base backup is not what its manifest says")


def _configure(plan: Restore, into: Path) -> None:
    """A target for the recovery, and a server of its own: nobody else may reach it yet."""
    for name in ("postgresql.conf", "pg_ident.conf"):
        (into / name).touch(mode=0o600)
    for name in ("pg_hba.conf", "postgresql.auto.conf"):
        _set_aside(into / name)
    (into / "pg_hba.conf").write_text("local all all trust\n")
    (into / "postgresql.auto.conf").write_text(_MINE + _settings(plan))
    (into / "recovery.signal").touch(mode=0o600)


def _set_aside(path: Path) -> None:
    if path.exists():
        path.rename(path.with_name(f".holdfast-{path.name}"))


def _settings(plan: Restore) -> str:
    target = plan.target
    lines = {
        "restore_command": f'cp "{_LOG}/%f" "%p"',
        "recovery_target_action": "promote",
        "recovery_target_timeline": "latest",
        "hot_standby": "off",  # then limits need not be those of the server it came from
        "archive_mode": "off",
        "listen_addresses": "",
        "ssl": "off",
        "shared_preload_libraries": "",
        "synchronous_standby_names": "",
        "logging_collector": "off",
        "log_destination": "stderr",
    }
    if target.time is not None:
        lines["recovery_target_time"] = _utc(target.time)
    elif target.lsn is not None:
        lines["recovery_target_lsn"] = lsn_text(target.lsn)
    elif target.marker is not None:
        lines["recovery_target_name"] = target.marker
    doubled = {name: value.replace("'", "''") for name, value in lines.items()}
    return "".join(f"{name} = '{value}'\n" for name, value in doubled.items())


def _utc(seconds: float) -> str:
    whole, micros = divmod(round(seconds * 1_000_000), 1_000_000)
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(whole)) + f".{micros:06d}+00"


@contextmanager
def recovered(into: Path, tools: Tools, role: str) -> Iterator[Cluster]:
    """The server, recovered and writable, on a socket that only this user's processes reach."""
    user = server_user()
    with tempfile.TemporaryDirectory(prefix="holdfast-pg-") as sockets:
        _give_to(user, Path(sockets))
        said = into / "holdfast-restore.log"
        files = f"-c config_file={into}/postgresql.conf -c hba_file={into}/pg_hba.conf"
        options = f"-k {sockets} {files}"
        words = ["-D", str(into), "-l", str(said), "-w", "-t", str(_START_WITHIN_S), "-o", options]
        try:
            with _as_told(said):
                tools.run("pg_ctl", "start", *words, user=user)
                cluster = Cluster(tools, f"host={sockets} user={_word(role)} dbname=template1")
                _await_writable(cluster)
            yield cluster
        finally:
            with contextlib.suppress(ToolTrouble):
                tools.run("pg_ctl", "stop", "-D", str(into), "-m", "fast", "-w", user=user)


def _word(text: str) -> str:
    """One value of a connection string."""
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{quoted}'"


@contextmanager
def _as_told(said: Path) -> Iterator[None]:
    """``pg_ctl`` says that it may have failed; the server says why."""
    try:
        yield
    except ToolTrouble as error:
        lines = said.read_text(errors="replace").splitlines() if said.exists() else []
        fatal = [line for line in lines if re.search(r"(FATAL|PANIC):  (?!the database)", line)]
        why = fatal[-1].partition(":  ")[2].strip() if fatal else str(error)
        raise ToolTrouble(f"the recovery failed: {why}") from error


def _await_writable(cluster: Cluster) -> None:
    """``pg_ctl`` says yes before the recovery is over, and when it died right after."""
    deadline = time.monotonic() + _START_WITHIN_S
    while True:
        try:
            if cluster.one("SELECT pg_is_in_recovery()") == "f":
                cluster.one("SELECT pg_current_xact_id()")
                return
        except ToolTrouble as error:
            if not _NOT_YET.search(str(error)):
                raise
        if time.monotonic() > deadline:
            raise ToolTrouble("the recovery was not over in time")
        time.sleep(0.02)


def _tidy(into: Path) -> None:
    """What was ours goes; what the server had comes back."""
    shutil.rmtree(into / _LOG)
    for name in ("pg_hba.conf", "postgresql.auto.conf"):
        aside = into / f".holdfast-{name}"
        if aside.exists():
            aside.replace(into / name)
        elif name == "postgresql.auto.conf":
            (into / name).write_text("")


@contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="holdfast-proof-") as scratch:
        _give_to(server_user(), Path(scratch))
        yield Path(scratch) / "data"


def _give_to(user: str | None, directory: Path) -> None:
    """Recursively, and closed for others, as PostgreSQL demands."""
    uid, gid = owner(user)
    for path in (directory, *directory.rglob("*")):
        if uid is not None and gid is not None:
            os.lchown(path, uid, gid)
        if path.is_dir() and not path.is_symlink():
            path.chmod(stat.S_IRWXU)


def _room_for(plan: Restore, into: Path) -> None:
    there = next(each for each in (into, *into.parents) if each.exists())
    needed = plan.base.stored.content + sum(segment.stored.content for segment in plan.log)
    free = shutil.disk_usage(there).free
    if needed > free:
        raise ToolTrouble(f"{into} needs {needed >> 20} MiB and {free >> 20} MiB are free")
