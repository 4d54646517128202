"""The statements of a ledger and nothing else; the same for every database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

from holdfast.ledger.database import Database, ledger_database
from holdfast.ledger.entry import Entry, digest_of
from holdfast.ledger.errors import LedgerDamaged
from holdfast.ledger.tiles import TILE_WIDTH, Tile

T = TypeVar("T")

#: Signed heads younger than this many entries are all kept; of older ones, one a tile.
HEADS_KEPT = 1024
PAGE = 512  # entries read at once

#: Called now and then by what takes long: how many entries are done, and of how many.
Progress = Callable[[int, int], None]


def unheard(done: int, of: int) -> None:
    """For callers who do not want to know."""


_ENTRY = (
    "SELECT e.idx, e.stream, e.kind, coalesce(e.body, b.data), e.wall_us, e.blob "
    "FROM entries e LEFT JOIN blobs b ON b.digest = e.blob "
)


class Store:
    """One connection. The writer has the only one that may write.

    ``path`` is where the ledger's file is, or would be: its keys and witness lie beside it.
    """

    def __init__(self, path: Path, writable: bool, takeover: bool = False) -> None:
        self.path = path
        self._db: Database = ledger_database(path, writable, takeover)
        self.name, self.shared = self._db.name, self._db.shared

    def close(self) -> None:
        self._db.close()

    def transaction(self, write: bool = True) -> AbstractContextManager[None]:
        """All or nothing. Reads inside see one moment of the ledger."""
        return self._db.transaction(write)

    def holds(self, size: int, note: str) -> bool:
        """Whether a commit whose end was not heard was made; waits until it can be known."""
        with self._db.transaction():
            return self.head() == (size, note)

    # ---- writing, inside a transaction ----------------------------------------------------------

    def set_meta(self, name: str, value: str) -> None:
        self._db.run("INSERT INTO meta VALUES (?, ?)", name, value)

    def add_blob(self, data: bytes) -> str:
        digest = digest_of(data)
        self._db.run("INSERT INTO blobs VALUES (?, ?) ON CONFLICT DO NOTHING", digest, data)
        return digest

    def add_entries(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if entry.blob:
                self.add_blob(entry.body)
        rows = (
            (e.index, e.stream, e.kind, None if e.blob else e.body, e.blob, e.wall_us)
            for e in entries
        )
        self._db.run_many("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)", rows)

    def put_tiles(self, tiles: Iterable[tuple[Tile, bytes]]) -> None:
        rows = ((level, index, hashes) for (level, index), hashes in tiles)
        self._db.run_many(
            "INSERT INTO tiles VALUES (?, ?, ?)"
            " ON CONFLICT (level, idx) DO UPDATE SET hashes = excluded.hashes",
            rows,
        )

    def add_head(self, size: int, note: str, previous: int) -> None:
        milestone = int(size // TILE_WIDTH > previous // TILE_WIDTH or size == 0)
        self._db.run("INSERT INTO heads VALUES (?, ?, ?)", size, note, milestone)
        self._db.run("DELETE FROM heads WHERE milestone = 0 AND size < ?", size - HEADS_KEPT)

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
        where, values = ["e.kind <> ?" for _ in without], [*without]
        if stream is not None:
            where.append("(e.stream = ? OR (e.stream > ? AND e.stream < ?))")
            values += [stream, f"{stream}/", f"{stream}0"]  # "0" follows "/"
        sql = f"WHERE {' AND '.join(where) or '1 = 1'} ORDER BY e.idx DESC LIMIT ?"
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
        return dict(self._all("SELECT size, note FROM heads ORDER BY size"))

    def _entries(self, where: str, *values: object) -> list[Entry]:
        return [Entry(*row) for row in self._all(_ENTRY + where, *values)]

    def _all(self, sql: str, *values: object) -> list[Any]:
        return self._db.all(sql, *values)

    def _one(self, kind: type[T], sql: str, *values: object) -> T | None:
        rows = self._all(sql, *values)
        if not rows or rows[0][0] is None:
            return None
        if not isinstance(rows[0][0], kind):
            raise LedgerDamaged(f"{self.name}: found {rows[0][0]!r}, wanted {kind.__name__}")
        return rows[0][0]
