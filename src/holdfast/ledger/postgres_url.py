"""The URL of a PostgreSQL database: how it is checked, completed and shown without its password.

    postgresql://holdfast:SECRET@db.example.com/holdfast?sslrootcert=/etc/ssl/db-ca.pem

To another machine a connection is encrypted and its certificate checked unless the URL says
otherwise: ``sslmode=verify-full``, with the system's authorities where it names no others.
"""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote, urlsplit

from holdfast.ledger.errors import LedgerError

#: Seconds, and for ``tcp_user_timeout`` milliseconds, after which a silent server is given up.
DEFAULTS = {
    "application_name": "holdfast",
    "connect_timeout": "3",
    "keepalives_idle": "3",
    "keepalives_interval": "2",
    "keepalives_count": "2",
    "tcp_user_timeout": "8000",
}
_HERE = ("", "localhost", "127.0.0.1", "::1")
_NOT_SAFE = ("allow", "prefer")  # anybody on the way can make them plain text
_WANTED = "wanted postgresql://USER:PASSWORD@HOST/DATABASE?sslmode=verify-full"


def connection_words(url: str, writable: bool) -> dict[str, str]:
    """What libpq is told. Raises ``LedgerError`` without repeating the URL, it holds a password."""
    query, hosts = _parts(url)
    words = {**DEFAULTS, **query}
    if writable:
        words.setdefault("target_session_attrs", "read-write")
    if query.get("sslmode") in _NOT_SAFE:
        says = f"postgres.url: found sslmode={query['sslmode']}, wanted verify-full"
        raise LedgerError(says, "say disable where the network itself is trusted")
    if not all(host in _HERE or host.startswith("/") for host in hosts):
        words.setdefault("sslmode", "verify-full")
        if words["sslmode"].startswith("verify"):
            words.setdefault("sslrootcert", "system")
    return {"conninfo": url, **{k: v for k, v in words.items() if k not in query}}


def _parts(url: str) -> tuple[dict[str, str], list[str]]:
    """The query and the hosts of a URL; libpq allows several hosts with a comma between."""
    try:
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
    except ValueError:
        raise LedgerError("postgres.url: found no URL", _WANTED) from None
    if parts.scheme not in ("postgresql", "postgres") or "\n" in url:
        raise LedgerError("postgres.url: found no PostgreSQL URL", _WANTED)
    netloc = parts.netloc.rpartition("@")[2]
    hosts = [_host(each) for each in netloc.split(",")]
    if query.get("host"):
        hosts = query["host"].split(",")
    return query, hosts


def _host(place: str) -> str:
    """The host of HOST:PORT or [V6]:PORT."""
    if place.startswith("["):
        return place[1:].partition("]")[0]
    return unquote(place.partition(":")[0])


def shown(url: str) -> str:
    """For messages: no user, no password, no options."""
    parts = urlsplit(url)
    return f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}"
