"""Base backups and log of a PostgreSQL server, taken with its own programs.

``pg_basebackup`` streams a tar that is compressed and sealed on the way: nothing readable touches
a disk of ours. ``pg_receivewal`` writes the log into a spool as the server makes it; whole segments
are stored once, the last one is stored again while it grows, so the history that may be lost is
the time between two passes and never the time that a segment takes to fill.
"""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from holdfast.recovery.entries import Base, Marker, Segment, lsn, segment_number
from holdfast.recovery.keys import Recipient
from holdfast.recovery.repository import Repository
from holdfast.recovery.tools import Tools, checked, environment, last_words
from holdfast.recovery.trouble import ToolTrouble

SLOT = "holdfast"
_SEGMENT = re.compile(r"[0-9A-F]{24}")
_HISTORY = re.compile(r"[0-9A-F]{8}\.history")
_START = re.compile(r"write-ahead log start point: (\S+) on timeline (\d+)")
_STOP = re.compile(r"write-ahead log end point: (\S+)")
_WHAT_IT_IS = """
    SELECT current_setting('server_version'),
           (SELECT rolname FROM pg_roles WHERE oid = 10),
           (SELECT system_identifier FROM pg_control_system()),
           (SELECT setting FROM pg_settings WHERE name = 'wal_segment_size')
"""
#: ``pg_receivewal`` looks at what is there to know where to go on.
_KEPT_IN_SPOOL = 2


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running server. ``database`` is a libpq connection string without a password."""

    tools: Tools
    database: str

    def ask(self, sql: str) -> list[list[str]]:
        return self.tools.ask(checked(self.database), sql)

    def one(self, sql: str) -> str:
        rows = self.ask(sql)
        if not rows:
            raise ToolTrouble(f"the server gave no row for: {sql}")
        return rows[0][0]


def take_base(cluster: Cluster, repository: Repository, progress: Callable[[int], None]) -> Base:
    """A base backup, stored and in the catalogue. ``progress`` is told the bytes so far.

    Consistent only with the log up to its end: ``archive`` stores that.
    """
    recipients = repository.recipients()
    began = time.time()
    identity = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(began))
    server, superuser, system, size = cluster.ask(_WHAT_IT_IS)[0]
    with _base_stream(cluster) as stream:
        stored = repository.store(f"base/{identity}", _Watched(stream, progress), recipients)
        start, timeline, stop = stream.points()
    base = Base(
        time.time(),
        identity,
        began,
        timeline,
        start,
        stop,
        int(size),
        server,
        superuser,
        system,
        stored,
    )
    repository.record(base)
    cluster.one("SELECT pg_switch_wal()")  # so that the log it needs is soon whole
    return base


class _BaseStream:
    """The tar of ``pg_basebackup``, and what it says besides."""

    def __init__(self, process: subprocess.Popen[bytes], said: io.BufferedRandom) -> None:
        assert process.stdout is not None, "opened with a pipe"
        self.process, self.read, self._said = process, process.stdout.read, said

    def words(self) -> str:
        self._said.seek(0)
        return self._said.read().decode(errors="replace")

    def points(self) -> tuple[int, int, int]:
        """Start, timeline and stop. Only true when the program ended well."""
        words = self.words()
        start, stop = _START.search(words), _STOP.search(words)
        if start is None or stop is None:
            raise ToolTrouble(f"pg_basebackup did not say from where to where: {last_words(words)}")
        return lsn(start[1]), int(start[2]), lsn(stop[1])


@contextmanager
def _base_stream(cluster: Cluster) -> Iterator[_BaseStream]:
    words = [
        cluster.tools.path("pg_basebackup"), "-d", checked(cluster.database), "-D", "-", "-Ft",
        "-X", "fetch", "-c", "fast", "-v", "--no-password", "--manifest-checksums=SHA256",
    ]  # fmt: skip
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=said, stdin=subprocess.DEVNULL, env=environment()
        )
        stream = _BaseStream(process, said)
        try:
            yield stream
            if process.wait():
                raise ToolTrouble(f"pg_basebackup: {last_words(stream.words())}")
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


class _Watched:
    """Tells how much was read."""

    def __init__(self, source: _BaseStream, progress: Callable[[int], None]) -> None:
        self._source, self._progress, self._bytes = source, progress, 0

    def read(self, size: int) -> bytes:
        piece = self._source.read(size)
        if not piece and self._source.process.wait():
            # Before anything is called stored: half a backup is none.
            raise ToolTrouble(f"pg_basebackup: {last_words(self._source.words())}")
        self._bytes += len(piece)
        self._progress(self._bytes)
        return piece


def mark(cluster: Cluster, repository: Repository, name: str) -> Marker:
    """A named moment to go back to: before a deploy, before a migration."""
    if name in repository.contents().markers:
        raise ToolTrouble(f"there is a marker {name!r} already; choose another name")
    quoted = name.replace("'", "''")
    position = cluster.one(f"SELECT pg_create_restore_point('{quoted}')")
    timeline = int(cluster.one("SELECT timeline_id FROM pg_control_checkpoint()"))
    marker = Marker(time.time(), name, timeline, lsn(position))
    repository.record(marker)
    beat(cluster)
    return marker


def beat(cluster: Cluster) -> None:
    """A commit without content: a moment can be reached only when something happened after it."""
    cluster.one("SELECT pg_current_xact_id()")


@contextmanager
def receiving(cluster: Cluster, spool: Path, slot: str = SLOT) -> Iterator[subprocess.Popen[bytes]]:
    """``pg_receivewal`` runs while this is entered; what it says goes to ``spool.log``."""
    spool.mkdir(parents=True, exist_ok=True, mode=0o700)
    words = ["-d", checked(cluster.database), "--no-password", f"--slot={slot}"]
    cluster.tools.run("pg_receivewal", *words, "--create-slot", "--if-not-exists", within=60.0)
    command = [cluster.tools.path("pg_receivewal"), *words, "-D", str(spool), "--synchronous"]
    with open(spool.with_name(spool.name + ".log"), "ab") as log:
        process = subprocess.Popen(command, stderr=log, stdout=log, stdin=subprocess.DEVNULL,
                                   env=environment())  # fmt: skip
        try:
            yield process
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5.0)
            process.kill()
            process.wait()


def archive(spool: Path, repository: Repository, segment_size: int) -> tuple[Segment, ...]:
    """One pass: store what is new in the spool. Needs no database, so it works after a disaster."""
    found = repository.contents().segments
    store = _Store(repository, repository.recipients(), segment_size)
    stored = tuple(
        segment
        for path in sorted(spool.iterdir())
        if (segment := _stored(path, store, found.get(path.name[:24])))
    )
    _tidy(spool, {**found, **{each.name: each for each in stored}})
    return stored


@dataclass(frozen=True, slots=True)
class _Store:
    """Where one pass stores, and for whom: read once, however many segments there are."""

    repository: Repository
    recipients: tuple[Recipient, ...]
    segment_size: int


def _stored(path: Path, store: _Store, before: Segment | None) -> Segment | None:
    """The entry of one file of the spool, or None when it is stored already or no log."""
    name, partial = path.name.removesuffix(".partial"), path.name.endswith(".partial")
    log = _SEGMENT.fullmatch(name) is not None
    if not log and not _HISTORY.fullmatch(name):
        return None
    if before is not None and not before.partial:
        return None
    at = time.time()  # everything that is read below was there at this moment or later
    try:
        data = path.read_bytes()
    except FileNotFoundError:  # it became whole, and has another name: the next pass stores it
        return None
    until = 0
    if partial:
        _timeline, number = segment_number(name, store.segment_size)
        begin = number * store.segment_size
        until = begin + len(data.rstrip(b"\0"))
        if until == begin or (before is not None and until <= before.until):
            return None
    kept = store.repository.store(f"log/{name}", io.BytesIO(data), store.recipients)
    segment = Segment(at, name, kept, until)
    store.repository.record(segment)
    if before is not None:
        store.repository.forget([before.stored.path])
    return segment


def _tidy(spool: Path, stored: dict[str, Segment]) -> None:
    whole = sorted(path for path in spool.iterdir() if _SEGMENT.fullmatch(path.name))
    for path in whole[:-_KEPT_IN_SPOOL]:
        if path.name in stored and not stored[path.name].partial:
            path.unlink()
