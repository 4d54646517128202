"""What a ledger and the leases need of a database, and which one a home uses.

SQLite in one file, or PostgreSQL where several conductors share the history. The statements are
the same (``?`` for values); what differs is how a writer is kept alone, what survives a power cut
and what can go wrong, and that is all a ``Database`` hides.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from holdfast.ledger.errors import LedgerError
from holdfast.ledger.sqlite import lease_file, ledger_file
from holdfast.runtime.home import POSTGRES_NAME, UnsafeHome, read_private


class Database(Protocol):
    """One connection, used by one thread. Everything it raises is a ``LedgerError``."""

    @property
    def name(self) -> str:
        """For people; without a password."""
        ...

    @property
    def shared(self) -> bool:
        """Whether conductors on other machines may use it too."""
        ...

    def transaction(self, write: bool = True, durable: bool = True) -> AbstractContextManager[None]:
        """All or nothing; one writer at a time; reads inside see one moment.

        Raises ``LedgerInDoubt`` when the connection broke while it was being committed. Without
        ``durable`` a power cut may forget it.
        """
        ...

    def run(self, sql: str, *values: object) -> int:
        """How many rows were touched."""
        ...

    def run_many(self, sql: str, rows: Iterable[tuple[object, ...]]) -> None: ...

    def all(self, sql: str, *values: object) -> list[Any]:
        """Every row. Outside of a transaction it is asked again once when the connection broke."""
        ...

    def wall(self, here: float) -> float:
        """Seconds since 1970 by the one clock of all who use it; ``here`` is this machine's."""
        ...

    def close(self) -> None: ...


def ledger_database(path: Path, writable: bool, takeover: bool = False) -> Database:
    """The database of the ledger at ``path``. ``takeover``: its last writer's lease has ended."""
    url = postgres_url(path.parent)
    if url is None:
        return ledger_file(path, writable)
    if path.exists() and path.stat().st_size:
        detail = f"{path.parent}: found {path.name} and {POSTGRES_NAME}, wanted one of them"
        raise LedgerError(detail, "move the one away that is not this home's history")
    from holdfast.ledger.postgres import ledger_schema

    return ledger_schema(url, writable, takeover)


def lease_database(path: Path, schema: str) -> Database:
    """The database of the leases at ``path``, with the table of a template of ``ledger.schema``."""
    url = postgres_url(path.parent)
    if url is None:
        return lease_file(path, schema)
    from holdfast.ledger.postgres import lease_schema

    return lease_schema(url, schema)


def postgres_url(home: Path) -> str | None:
    """What ``postgres.url`` says; None where history is a file."""
    path = home / POSTGRES_NAME
    try:
        text = read_private(path).decode()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (UnsafeHome, UnicodeDecodeError, OSError) as error:
        raise LedgerError(str(error), f"chmod 600 {path}; one line: postgresql://...") from error
    return text.strip()
