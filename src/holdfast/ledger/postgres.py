"""PostgreSQL as the database of conductors on several machines.

The writer holds an advisory lock, which the server releases when its session ends, and an epoch,
which every transaction of its looks up under a row lock. So a writer that was replaced while it
was cut off, suspended or slow writes nothing any more: fencing in the same transaction as the
append. Who replaces one (``takeover``) ends the old session first. A pooler between must keep
sessions apart (PgBouncer: ``pool_mode=session``).

psycopg, because the ledger is synchronous on purpose and libpq knows several hosts
(``target_session_attrs``), TLS, and files of passwords.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, cast

from holdfast.ledger.errors import (
    LedgerBusy,
    LedgerDamaged,
    LedgerError,
    LedgerFull,
    LedgerInDoubt,
    LedgerMissing,
    LedgerReadOnly,
    LedgerUnreachable,
)
from holdfast.ledger.postgres_url import connection_words, shown
from holdfast.ledger.schema import FORMAT_VERSION, in_postgres, postgres_schema

try:
    import psycopg
    from psycopg import pq
except ImportError as missing:
    raise LedgerError(
        "history in PostgreSQL needs psycopg", "pip install 'holdfast[postgres]'"
    ) from missing

#: Longer than a commit ever takes, shorter than a lease: whoever waits can still step down. What
#: a broken connection left open on the server ends before whoever waits for it gives up.
IDLE_S, LOCK_S, STATEMENT_S = 3, 6, 8
_SESSION = (
    f"SET lock_timeout = '{LOCK_S}s'; SET statement_timeout = '{STATEMENT_S}s';"
    f"SET idle_in_transaction_session_timeout = '{IDLE_S}s'"
)
#: Advisory locks are numbers: this word and the schema make ours.
_KEY = "hashtext(?), hashtext(current_schema())"
_HOLDERS = (
    "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND classid = (hashtext(?)::bigint & 4294967295)::oid"
    " AND objid = (hashtext(current_schema())::bigint & 4294967295)::oid"
    " AND pid <> pg_backend_pid()"
)
WRITER = "holdfast-writer"
_READ_ONLY = ("25006", "42501", "3F000")
_BUSY = ("55P03", "40001", "40P01")


def translate(error: psycopg.Error, name: str) -> LedgerError:
    """PostgreSQL's words into ours, once, at the border."""
    state = error.sqlstate or ""
    found = f"{name}: {str(error).strip() or type(error).__name__}" + (
        f" [{state}]" if state else ""
    )
    if state == "53100":
        return LedgerFull(found, "free space on the database's disk")
    if state in _READ_ONLY:
        return LedgerReadOnly(found, "GRANT USAGE, CREATE ON SCHEMA to its role; on the primary")
    if state in _BUSY:
        return LedgerBusy(found, "only one conductor may write a ledger")
    if state.startswith("28"):
        return LedgerUnreachable(found, "check user and password in postgres.url")
    if isinstance(error, psycopg.OperationalError):
        return LedgerUnreachable(found, "nothing was written; the database must answer first")
    return LedgerDamaged(found, "restore the database from its last backup")


@contextlib.contextmanager
def border(name: str) -> Iterator[None]:
    """Everything psycopg raises inside leaves as a ``LedgerError``."""
    try:
        yield
    except psycopg.Error as error:
        raise translate(error, name) from error


@lru_cache(maxsize=256)
def _placed(sql: str) -> str:
    return sql.replace("?", "%s")


class Postgres:
    """One connection, made again when it broke; a writer's transactions check its epoch."""

    shared = True

    def __init__(self, url: str, writable: bool = True) -> None:
        self.name = shown(url)
        self._words = connection_words(url, writable)
        self._epoch: int | None = None
        self._returning = False
        self._db = self._connect()

    def close(self) -> None:
        """Ends the session; a writer's lock is free when it returns, not a moment later."""
        if self._epoch is not None and not self._db.closed:
            with contextlib.suppress(psycopg.Error):
                self._db.execute("SELECT pg_advisory_unlock_all()")
        self._db.close()

    # ---- connecting

    def _connect(self) -> psycopg.Connection[Any]:
        with border(self.name):
            # Connection words come from a file; psycopg types each of libpq's by itself.
            db = psycopg.connect(**cast(Any, self._words), autocommit=True)
            db.execute(_SESSION)
        return db

    def _reconnect(self) -> None:
        self._db.close()
        self._db = self._connect()
        if self._epoch is not None:
            self._returning = True
            try:
                self._reclaim()
            finally:
                self._returning = False

    def claim(self, takeover: bool) -> None:
        """Become the writer. Raises ``LedgerBusy`` while there is one, unless it is replaced."""
        with border(self.name):
            if not self._locked():
                if not takeover:
                    says = f"{self.name}: another process writes it"
                    raise LedgerBusy(says, "stop that conductor")
                self._evict()
            with self.transaction():
                if not self.all("SELECT to_regclass('writer')")[0][0]:
                    self._db.execute(postgres_schema())
                sql = "UPDATE writer SET epoch = epoch + 1 RETURNING epoch"
                epoch = self.all(sql)[0][0]
            self._epoch = int(epoch)

    def _reclaim(self) -> None:
        """Take the lock again after our session broke; nobody may have become the writer since."""
        with self.transaction():
            pass  # looks at the epoch
        if not self._locked():
            self._evict()  # what is left of our own session on the server

    def _locked(self) -> bool:
        return bool(self.all(f"SELECT pg_try_advisory_lock({_KEY})", WRITER)[0][0])

    def _evict(self) -> None:
        self.all(f"SELECT pg_terminate_backend(pid) FROM ({_HOLDERS}) AS holders", WRITER)
        self.all(f"SELECT pg_advisory_lock({_KEY})", WRITER)

    def check_format(self) -> None:
        """A ledger of ours is here. Raises ``LedgerMissing`` and ``LedgerDamaged``."""
        if not self.all("SELECT to_regclass('writer')")[0][0]:
            raise LedgerMissing(f"{self.name}: there is no ledger", "deploy something first")
        found = self.all("SELECT format FROM writer")
        if found != [(FORMAT_VERSION,)]:
            raise LedgerDamaged(f"{self.name}: found format {found}, wanted {FORMAT_VERSION}")

    def check_durable(self) -> None:
        """Refuses a server that forgets commits when its power is cut."""
        for setting in ("fsync", "full_page_writes"):
            if self.all(f"SHOW {setting}")[0][0] != "on":
                raise LedgerDamaged(f"{self.name}: {setting} is off, wanted on", "turn it on")
        if self.all("SHOW synchronous_commit")[0][0] == "off":
            self.run("SET synchronous_commit = on")

    # ---- transactions and statements

    @contextlib.contextmanager
    def transaction(self, write: bool = True, durable: bool = True) -> Iterator[None]:
        if self._inside():  # a read inside a read
            yield
            return
        try:
            self._begin(write)
            if not durable:
                self.run("SET LOCAL synchronous_commit = off")
            yield
        except BaseException:
            self._abandon()
            raise
        self._commit()

    def _inside(self) -> bool:
        return self._db.info.transaction_status in (
            pq.TransactionStatus.INTRANS,
            pq.TransactionStatus.INERROR,
        )

    def _begin(self, write: bool) -> None:
        sql = "BEGIN" if write else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        self._ask(sql, ())
        if not write:
            return
        if self._epoch is None:  # as SQLite's BEGIN IMMEDIATE: one at a time
            self.all(f"SELECT pg_advisory_xact_lock({_KEY})", "holdfast-write")
            return
        found = self.all("SELECT epoch FROM writer FOR UPDATE")
        if found != [(self._epoch,)]:
            says = f"{self.name}: another conductor took over ({found}, ours is {self._epoch})"
            raise LedgerBusy(says, "this one must stop")

    def _commit(self) -> None:
        try:
            said = self._db.execute("COMMIT", prepare=False).statusmessage
        except psycopg.OperationalError as error:
            self._db.close()
            says = f"{self.name}: no answer to a commit: {error}"
            raise LedgerInDoubt(says, "it is asked for when the database answers") from error
        except psycopg.Error as error:
            raise translate(error, self.name) from error
        if said != "COMMIT":
            raise LedgerDamaged(f"{self.name}: found {said} at the end of a commit")

    def _abandon(self) -> None:
        # A session that cannot say ROLLBACK is closed, which says the same.
        try:
            if self._inside():
                self._db.execute("ROLLBACK")
        except psycopg.Error:
            self._db.close()

    def run(self, sql: str, *values: object) -> int:
        return self._ask(sql, values).rowcount

    def run_many(self, sql: str, rows: Iterable[tuple[object, ...]]) -> None:
        with border(self.name):
            self._db.cursor().executemany(_placed(sql), rows)

    def all(self, sql: str, *values: object) -> list[Any]:
        cursor = self._ask(sql, values)
        with border(self.name):
            return cursor.fetchall()

    def _ask(self, sql: str, values: tuple[object, ...]) -> psycopg.Cursor[Any]:
        """Outside of a transaction nothing is lost with the connection: another one is made."""
        inside = self._inside()
        with border(self.name):
            try:
                return self._db.execute(_placed(sql), values)
            except psycopg.OperationalError:
                if inside or self._returning or not self._db.closed:
                    raise
        self._reconnect()
        with border(self.name):
            return self._db.execute(_placed(sql), values)

    def wall(self, here: float) -> float:
        del here  # machines disagree; the database has one clock
        return float(self.all("SELECT extract(epoch FROM clock_timestamp())::float8")[0][0])


def ledger_schema(url: str, writable: bool, takeover: bool) -> Postgres:
    """The ledger in the database's current schema; made when it is to be written."""
    database = Postgres(url, writable)
    try:
        if writable:
            database.check_durable()
            database.claim(takeover)
        database.check_format()
    except BaseException:
        database.close()
        raise
    return database


def lease_schema(url: str, schema: str) -> Postgres:
    """The leases in the database's current schema."""
    database = Postgres(url)
    try:
        with database.transaction():
            database.run(in_postgres(schema))
    except BaseException:
        database.close()
        raise
    return database
