"""A real PostgreSQL for one test session, on a socket in a directory of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from urllib.parse import quote

import pytest

STARTS_WITHIN = 60  # seconds, on a machine that is busy with other tests
ROLE = "holdfast"
_SETTINGS = {"listen_addresses": "", "shared_buffers": "16MB", "max_connections": "40"}


def programs() -> Path:
    """Where ``postgres`` and ``initdb`` are; skips the test where there are none."""
    places = [*Path("/usr/lib/postgresql").glob("*/bin")]
    if (found := shutil.which("initdb")) is not None:
        places.append(Path(found).resolve().parent)
    for place in places:
        if (place / "initdb").is_file() and (place / "postgres").is_file():
            return place
    pytest.skip("no PostgreSQL server here (Debian: apt-get install postgresql)")


@dataclass
class PostgresServer:
    """One server process, and a fresh schema for whoever asks."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None
    settings: dict[str, str] = field(default_factory=dict)
    port: int = 5432  # of the socket's name, and of TCP where the settings listen there
    _schemas: Iterator[int] = field(default_factory=count)

    @property
    def url(self) -> str:
        where = quote(str(self.folder), safe="")
        return f"postgresql://{ROLE}@/postgres?host={where}&port={self.port}"

    def schema_url(self) -> str:
        """A URL whose tables are nobody else's."""
        name = f"t{next(self._schemas)}"
        self.run(f"CREATE SCHEMA {name}")
        return f"{self.url}&options={quote(f'-csearch_path={name}')}"

    def run(self, sql: str) -> list[tuple]:
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as db:
            cursor = db.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def start(self) -> None:
        words = [f"-c{name}={value}" for name, value in {**_SETTINGS, **self.settings}.items()]
        command = [programs() / "postgres", "-D", self.folder / "data", "-k", self.folder, *words]
        log = (self.folder / "log").open("ab")
        with log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, **_as_nobody())
        self._wait()

    def _wait(self) -> None:
        import psycopg

        until = time.monotonic() + STARTS_WITHIN
        while True:
            try:
                self.run("SELECT 1")
            except psycopg.OperationalError as error:
                assert time.monotonic() < until, f"{error}\n{(self.folder / 'log').read_text()}"
                assert self.process is not None and self.process.poll() is None
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        """kill -9, as a power cut that the file system survives. Its children end by themselves."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)  # sessions are ended, nothing is lost
            self.process.wait(60)


@contextmanager
def running(**settings: str) -> Iterator[PostgresServer]:
    """A new server with these settings; gone afterwards."""
    where = programs()
    # Below /tmp and short: a socket's path has at most 107 bytes, and another user must reach it.
    folder = Path(tempfile.mkdtemp(prefix="holdfast-pg-", dir="/tmp"))
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    command = [where / "initdb", "-D", folder / "data", "-U", ROLE, "-A", "trust", "--no-sync",
               "-E", "UTF8", "--no-locale"]  # fmt: skip
    server = PostgresServer(folder, settings=settings)
    try:
        subprocess.run(command, check=True, capture_output=True, **_as_nobody())
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def own(path: Path) -> None:
    """Gives a private file to whoever runs the server."""
    path.chmod(0o600)
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(path, nobody.pw_uid, nobody.pw_gid)


def _as_nobody() -> dict:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def point(home: Path, url: str) -> None:
    """Makes ``home`` one whose history is in PostgreSQL."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = home / "postgres.url"
    path.write_text(f"{url}\n")
    path.chmod(0o600)
