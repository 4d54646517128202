"""SQLite as the database of one home.

WAL with ``synchronous=FULL``: a commit returns when it is on the disk. The writer holds a lock
file, which the kernel releases when its process ends, however it ends.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from holdfast.ledger.errors import (
    LedgerBusy,
    LedgerDamaged,
    LedgerError,
    LedgerFull,
    LedgerMissing,
    LedgerReadOnly,
)
from holdfast.ledger.schema import FORMAT_VERSION, in_sqlite, sqlite_schema

APPLICATION_ID = 0x486F6C64  # "Hold"
BUSY_S = 2.0
_FULL = {"SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE"}


def translate(error: sqlite3.Error, path: Path) -> LedgerError:
    """SQLite's words into ours, once, at the border."""
    name = getattr(error, "sqlite_errorname", None) or type(error).__name__
    found = f"{path}: {error} [{name}]"
    if name in _FULL:
        return LedgerFull(found, "free space on the device; a rollback still fits in the reserve")
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return LedgerReadOnly(found, "make the state directory writable for this user")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return LedgerBusy(found, "only one conductor may write a ledger")
    return LedgerDamaged(found, "restore the state directory from its last backup")


@contextlib.contextmanager
def border(path: Path) -> Iterator[None]:
    """Everything SQLite raises inside leaves as a ``LedgerError``."""
    try:
        yield
    except sqlite3.Error as error:
        raise translate(error, path) from error


class Sqlite:
    """One connection to one file; with ``lock``, the only one that writes."""

    shared = False

    def __init__(self, path: Path, db: sqlite3.Connection, lock: int | None = None) -> None:
        self.name = str(path)
        self._path, self._db, self._lock = path, db, lock

    def close(self) -> None:
        self._db.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @contextlib.contextmanager
    def transaction(self, write: bool = True, durable: bool = True) -> Iterator[None]:
        with border(self._path):
            if self._inside():  # a read inside a read
                yield
                return
            if write:
                self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
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

    def run(self, sql: str, *values: object) -> int:
        with border(self._path):
            return self._db.execute(sql, values).rowcount

    def run_many(self, sql: str, rows: Iterable[tuple[object, ...]]) -> None:
        with border(self._path):
            self._db.executemany(sql, rows)

    def all(self, sql: str, *values: object) -> list[Any]:
        # Whole pages, never an open cursor: a rollback would end it in the middle.
        with border(self._path):
            return self._db.execute(sql, values).fetchall()

    def wall(self, here: float) -> float:
        return here


# ---- the file of a ledger -----------------------------------------------------------------------


def ledger_file(path: Path, writable: bool) -> Sqlite:
    """The ledger in ``path``; made, and locked against other writers, when it is to be written."""
    lock = _lock(path) if writable else None
    try:
        with border(path):
            database = Sqlite(path, _connect(path, writable), lock)
            try:
                _check_format(database)
            except BaseException:
                database._db.close()
                raise
    except BaseException:
        if lock is not None:
            os.close(lock)
        raise
    return database


def _check_format(database: Sqlite) -> None:
    version = database.all("PRAGMA user_version")[0][0]
    application = database.all("PRAGMA application_id")[0][0]
    if version != FORMAT_VERSION or application != APPLICATION_ID:
        raise LedgerDamaged(
            f"{database.name}: found format {version}, wanted a ledger of format {FORMAT_VERSION}"
        )


def _lock(path: Path) -> int:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path.with_name(f"{path.stem}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise LedgerReadOnly(f"{path}: {error}", "make the state directory writable") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise LedgerBusy(f"{path}: another process writes it", "stop that conductor") from error
    return handle


def _connect(path: Path, writable: bool) -> sqlite3.Connection:
    if not path.exists() or not path.stat().st_size:
        if not writable:
            raise LedgerMissing(f"{path}: there is no ledger", "deploy something, or name --home")
        _make(path)
    mode = "rw" if writable else "ro"
    db = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=BUSY_S
    )
    if writable:
        db.execute("PRAGMA journal_mode = WAL")
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
                f"BEGIN IMMEDIATE; {sqlite_schema()} PRAGMA application_id = {APPLICATION_ID};"
                f"PRAGMA user_version = {FORMAT_VERSION}; COMMIT;"
            )
        os.replace(fresh, path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise LedgerFull(f"{path}: {error}", "free space on the device") from error
        raise LedgerReadOnly(f"{path}: {error}", "make the directory writable") from error


# ---- the file of leases -------------------------------------------------------------------------


def lease_file(path: Path, schema: str) -> Sqlite:
    """The leases in ``path``; made when there are none."""
    with border(path):
        db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
        path.chmod(0o600)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute(in_sqlite(schema))
        except BaseException:
            db.close()
            raise
    return Sqlite(path, db)
