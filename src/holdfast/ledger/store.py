"""The SQLite file under the ledger: statements and nothing else.

WAL with ``synchronous=FULL``: a commit returns when it is on the disk. STRICT tables and foreign
keys: a value of the wrong type or an entry without its blob cannot be written through here.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from holdfast.ledger.entry import Entry, digest_of
from holdfast.ledger.errors import LedgerDamaged, LedgerFull, LedgerMissing, LedgerReadOnly, border
from holdfast.ledger.tiles import TILE_WIDTH, Tile

T = TypeVar("T")

FORMAT_VERSION = 1
APPLICATION_ID = 0x486F6C64  # "Hold"
#: Signed heads younger than this many entries are all kept; of older ones, one a tile.
HEADS_KEPT = 1024
PAGE = 512  # entries read at once

#: Called now and then by what takes long: how many entries are done, and of how many.
Progress = Callable[[int, int], None]


def unheard(done: int, of: int) -> None:
    """For callers who do not want to know."""


_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE blobs (digest TEXT PRIMARY KEY, data BLOB NOT NULL) STRICT;
CREATE TABLE entries (
  idx INTEGER PRIMARY KEY, stream TEXT NOT NULL, kind TEXT NOT NULL, body BLOB,
  blob TEXT REFERENCES blobs (digest), wall_us INTEGER NOT NULL,
  CHECK ((body IS NULL) <> (blob IS NULL))
) STRICT;
CREATE INDEX entries_by_stream ON entries (stream, idx);
CREATE TABLE tiles (
  level INTEGER NOT NULL, idx INTEGER NOT NULL, hashes BLOB NOT NULL, PRIMARY KEY (level, idx)
) STRICT;
CREATE TABLE heads (
  size INTEGER PRIMARY KEY, note TEXT NOT NULL, milestone INTEGER NOT NULL
) STRICT;
CREATE INDEX heads_passing ON heads (size) WHERE milestone = 0;
"""
_ENTRY = (
    "SELECT e.idx, e.stream, e.kind, coalesce(e.body, b.data), e.wall_us, e.blob "
    "FROM entries e LEFT JOIN blobs b ON b.digest = e.blob "
)


class Store:
    """One connection. The writer has the only one that may write."""

    def __init__(self, path: Path, writable: bool) -> None:
        self.path = path
        with border(path):
            self._db = _connect(path, writable)
            try:
                self._check_format()
            except BaseException:
                self._db.close()
                raise

    def _check_format(self) -> None:
        version = self._one(int, "PRAGMA user_version")
        if version != FORMAT_VERSION or self._one(int, "PRAGMA application_id") != APPLICATION_ID:
            raise LedgerDamaged(
                f"{self.path}: found format {version}, wanted a ledger of format {FORMAT_VERSION}"
            )

    def close(self) -> None:
        self._db.close()

    @contextlib.contextmanager
    def transaction(self, write: bool = True) -> Iterator[None]:
        """All or nothing. Reads inside see one moment of the ledger."""
        with border(self.path):
            if self._inside():  # a read inside a read
                yield
                return
            self._db.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._inside():
                    self._db.execute("ROLLBACK")
                raise

    def _inside(self) -> bool:
        return self._db.in_transaction

    # ---- writing, inside a transaction ----------------------------------------------------------

    def set_meta(self, name: str, value: str) -> None:
        self._db.execute("INSERT INTO meta VALUES (?, ?)", (name, value))

    def add_blob(self, data: bytes) -> str:
        digest = digest_of(data)
        self._db.execute("INSERT OR IGNORE INTO blobs VALUES (?, ?)", (digest, data))
        return digest

    def add_entries(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if entry.blob:
                self.add_blob(entry.body)
        rows = (
            (e.index, e.stream, e.kind, None if e.blob else e.body, e.blob, e.wall_us)
            for e in entries
        )
        self._db.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)", rows)

    def put_tiles(self, tiles: Iterable[tuple[Tile, bytes]]) -> None:
        rows = ((level, index, hashes) for (level, index), hashes in tiles)
        self._db.executemany("INSERT OR REPLACE INTO tiles VALUES (?, ?, ?)", rows)

    def add_head(self, size: int, note: str, previous: int) -> None:
        milestone = int(size // TILE_WIDTH > previous // TILE_WIDTH or size == 0)
        self._db.execute("INSERT INTO heads VALUES (?, ?, ?)", (size, note, milestone))
        self._db.execute("DELETE FROM heads WHERE milestone = 0 AND size < ?", (size - HEADS_KEPT,))

    # ---- reading --------------------------------------------------------------------------------

    def meta(self, name: str) -> str | None:
        return self._one(str, "SELECT value FROM meta WHERE name = ?", name)

    def size(self) -> int:
        """One more than the last index; holes are for ``audit`` to find."""
        return self._one(int, "SELECT max(idx) + 1 FROM entries") or 0

    def count(self) -> int:
        """Rows of entries, whatever their index."""
        return self._one(int, "SELECT count(*) FROM entries") or 0

    def entries(self, start: int, end: int) -> Iterator[Entry]:
        while page := self._entries(
            "WHERE e.idx >= ? AND e.idx < ? ORDER BY e.idx LIMIT ?", start, end, PAGE
        ):
            yield from page
            start = page[-1].index + 1

    def stream(self, stream: str) -> Iterator[Entry]:
        start = 0
        while page := self._entries(
            "WHERE e.stream = ? AND e.idx >= ? ORDER BY e.idx LIMIT ?", stream, start, PAGE
        ):
            yield from page
            start = page[-1].index + 1

    def latest(self, count: int, stream: str | None, without: Sequence[str] = ()) -> list[Entry]:
        """The last ``count`` entries, oldest first. A stream includes those below it: ``s/...``."""
        where, values = [f"e.kind NOT IN ({', '.join('?' * len(without))})"], [*without]
        if stream is not None:
            where.append("(e.stream = ? OR (e.stream > ? AND e.stream < ?))")
            values += [stream, f"{stream}/", f"{stream}0"]  # "0" follows "/"
        sql = f"WHERE {' AND '.join(where)} ORDER BY e.idx DESC LIMIT ?"
        return self._entries(sql, *values, count)[::-1]

    def blob(self, digest: str) -> bytes | None:
        return self._one(bytes, "SELECT data FROM blobs WHERE digest = ?", digest)

    def blob_digests(self) -> list[str]:
        return [row[0] for row in self._all("SELECT digest FROM blobs ORDER BY digest")]

    def tile(self, level: int, index: int) -> bytes:
        sql = "SELECT hashes FROM tiles WHERE level = ? AND idx = ?"
        return self._one(bytes, sql, level, index) or b""

    def head(self) -> tuple[int, str] | None:
        return next(
            iter(self._all("SELECT size, note FROM heads ORDER BY size DESC LIMIT 1")), None
        )

    def heads(self) -> dict[int, str]:
        return dict(self._all("SELECT size, note FROM heads"))

    def _entries(self, where: str, *values: object) -> list[Entry]:
        return [Entry(*row) for row in self._all(_ENTRY + where, *values)]

    def _all(self, sql: str, *values: object) -> list[Any]:
        # Whole pages, never an open cursor: a rollback would end it in the middle.
        with border(self.path):
            return self._db.execute(sql, values).fetchall()

    def _one(self, kind: type[T], sql: str, *values: object) -> T | None:
        rows = self._all(sql, *values)
        if not rows or rows[0][0] is None:
            return None
        if not isinstance(rows[0][0], kind):
            raise LedgerDamaged(f"{self.path}: found {rows[0][0]!r}, wanted {kind.__name__}")
        return rows[0][0]


def _connect(path: Path, writable: bool) -> sqlite3.Connection:
    if not path.exists() or not path.stat().st_size:
        if not writable:
            raise LedgerMissing(f"{path}: there is no ledger", "deploy something, or name --home")
        _make(path)
    mode = "rw" if writable else "ro"
    db = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=2.0
    )
    if writable:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")
    return db


def _make(path: Path) -> None:
    """A new file appears under its name only with its tables: a crash leaves none or all."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600))
        with contextlib.closing(sqlite3.connect(fresh, isolation_level=None)) as db:
            db.executescript(
                f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA application_id = {APPLICATION_ID};"
                f"PRAGMA user_version = {FORMAT_VERSION}; COMMIT;"
            )
        os.replace(fresh, path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise LedgerFull(f"{path}: {error}", "free space on the device") from error
        raise LedgerReadOnly(f"{path}: {error}", "make the directory writable") from error
