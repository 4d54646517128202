"""History in PostgreSQL: fencing, lost connections, killed servers, changed rows."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

import postgres_rig
from holdfast.ledger import (
    Archive,
    Broken,
    Draft,
    Intact,
    Ledger,
    LedgerBusy,
    LedgerDamaged,
    LedgerError,
    LedgerFull,
    LedgerInDoubt,
    LedgerMissing,
    LedgerReadOnly,
    LedgerTampered,
    LedgerUnreachable,
    Proof,
    log,
)
from postgres_rig import PostgresServer

only_postgres = pytest.mark.parametrize("path", ["postgres"], indirect=True)


def sql(path: Path, statement: str) -> list[tuple]:
    import psycopg

    url = (path.parent / "postgres.url").read_text().strip()
    with psycopg.connect(url, autocommit=True) as db:
        cursor = db.execute(statement)
        return cursor.fetchall() if cursor.description else []


# ---- one writer ---------------------------------------------------------------------------------


@only_postgres
def test_a_replaced_writer_appends_nothing_whatever_it_still_believes(path, origin, make_drafts):
    stale = Ledger.open(path, origin)
    stale.append_now(make_drafts(3))
    with Ledger.open(path, origin, takeover=True) as successor:
        for _ in range(2):  # its session was ended; the one that it makes again is refused
            with pytest.raises(LedgerBusy, match="took over"):
                stale.append_now(make_drafts(1, 3))
        successor.append_now(make_drafts(2, 3))
        assert successor.size == 5 and isinstance(successor.verify(), Intact)
    stale.close()


@only_postgres
def test_a_writer_whose_session_was_ended_goes_on_when_nobody_replaced_it(ledger, make_drafts):
    ledger.append_now(make_drafts(1))
    sql(ledger.path, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> "
        "pg_backend_pid() AND application_name = 'holdfast'")  # fmt: skip
    assert ledger.append_now(make_drafts(1, 1))[0].index == 1
    with pytest.raises(LedgerBusy, match="another process"):
        Ledger.open(ledger.path, ledger.origin)
    assert isinstance(ledger.verify(), Intact)


@only_postgres
def test_the_fence_holds_inside_the_transaction_of_the_append(path, origin, make_drafts):
    with Ledger.open(path, origin) as ledger:
        sql(path, "UPDATE writer SET epoch = epoch + 1")  # as a successor does, session and all
        with pytest.raises(LedgerBusy, match="took over"):
            ledger.append_now(make_drafts(1))
    assert sql(path, "SELECT count(*) FROM entries") == [(0,)]


# ---- lost connections ---------------------------------------------------------------------------


class Cutter:
    """Relays to the server's socket and cuts the line at the next COMMIT."""

    def __init__(self, server: PostgresServer, folder: Path) -> None:
        self.folder, self._server = folder, server.folder / ".s.PGSQL.5432"
        self.cut: str | None = None  # "before" or "after" the server hears of the commit
        self.open = True
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / ".s.PGSQL.5432"))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if not self.open:
                client.close()
                continue
            server = socket.socket(socket.AF_UNIX)
            server.connect(str(self._server))
            for ends in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._relay, args=ends, daemon=True).start()

    def _relay(self, source: socket.socket, sink: socket.socket, upward: bool) -> None:
        try:
            while data := source.recv(65536):
                if upward and self.cut and b"COMMIT" in data:
                    if self.cut == "after":
                        source.shutdown(socket.SHUT_RDWR)
                        sink.sendall(data)
                    self.cut = None
                    break
                sink.sendall(data)
        except OSError:
            pass
        time.sleep(0.05)  # what was sent is read before the end of the line is seen
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)  # the other thread still reads from it
            end.close()

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def cutter(postgres_server: PostgresServer, path: Path) -> Iterator[Cutter]:
    folder = postgres_server.folder / f"cut{time.monotonic_ns()}"
    folder.mkdir(mode=0o755)
    cutter = Cutter(postgres_server, folder)
    away, here = (quote(str(each), safe="") for each in (postgres_server.folder, folder))
    postgres_rig.point(path.parent, postgres_server.schema_url().replace(away, here))
    yield cutter
    cutter.close()


@pytest.mark.parametrize("cut", ["before", "after"])
def test_a_commit_whose_end_was_not_heard_is_looked_up(cutter, path, origin, make_drafts, cut):
    with Ledger.open(path, origin) as ledger:
        ledger.append_now(make_drafts(2))
        cutter.cut = cut
        if cut == "after":  # it was made, so it is an append like any other
            assert ledger.append_now(make_drafts(1, 2))[0].index == 2
        else:
            with pytest.raises(LedgerUnreachable, match="not made"):
                ledger.append_now(make_drafts(1, 2))
        last = ledger.append_now(make_drafts(1, 3))
        assert last[0].index == (3 if cut == "after" else 2)
        assert [e.body for e in ledger.entries(0, 9)] == [
            d.body for d in make_drafts(4) if cut == "after" or b":2}" not in d.body
        ]
        assert isinstance(ledger.verify(), Intact)


def test_while_nobody_can_tell_what_became_of_a_commit_nothing_is_appended(
    cutter, path, origin, make_drafts, monkeypatch
):
    monkeypatch.setattr(log, "SETTLE_S", 0.3)
    ledger = Ledger.open(path, origin)
    cutter.cut, cutter.open = "after", False
    for _ in range(2):
        with pytest.raises(LedgerInDoubt):
            ledger.append_now(make_drafts(1))
    cutter.open = True
    with pytest.raises(LedgerInDoubt):  # only who opens it anew learns it
        ledger.append_now(make_drafts(1))
    with Ledger.open(path, origin, takeover=True) as again:
        assert again.size == 1 and isinstance(again.verify(), Intact)


@only_postgres
def test_a_server_without_space_refuses_and_the_ledger_goes_on(ledger, path, make_drafts):
    ledger.append_now(make_drafts(1))
    sql(
        path,
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'no space' USING ERRCODE = '53100'; END $$;"
        "CREATE TRIGGER full_disk BEFORE INSERT ON entries EXECUTE FUNCTION full_disk()",
    )
    with pytest.raises(LedgerFull, match="database's disk"):
        ledger.append_now([Draft("quotes", "RevertOrdered", b"{}", 1.0, urgent=True)])
    assert ledger.full and ledger.size == 1
    sql(path, "DROP TRIGGER full_disk ON entries")
    assert ledger.append_now(make_drafts(1, 1))[0].index == 1
    assert not ledger.full and isinstance(ledger.verify(), Intact)


# ---- a server of its own: killed, or not to be trusted ------------------------------------------


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[tuple[PostgresServer, Path]]:
    with postgres_rig.running() as server:
        postgres_rig.point(tmp_path / "home", server.schema_url())
        yield server, tmp_path / "home" / "ledger.db"


@pytest.mark.live
@pytest.mark.req("I4")
def test_nothing_acknowledged_is_lost_when_the_server_is_killed(own_server, origin, make_drafts):
    server, path = own_server
    acknowledged: list[bytes] = []
    with Ledger.open(path, origin) as ledger:
        for turn in range(3):
            killer = threading.Timer(0.15 + turn * 0.037, lambda: (server.kill(), server.start()))
            killer.start()
            while killer.is_alive() or len(acknowledged) < 20 * (turn + 1):
                (draft,) = make_drafts(1, len(acknowledged))
                try:
                    ledger.append_now([draft])
                except LedgerUnreachable:
                    time.sleep(0.05)
                else:
                    acknowledged.append(draft.body)
        assert [entry.body for entry in ledger.entries(0, 10**9)] == acknowledged
        assert isinstance(ledger.verify(), Intact)


def test_a_server_that_forgets_commits_is_refused(own_server, origin):
    server, path = own_server
    server.run("ALTER SYSTEM SET fsync = off")
    server.run("SELECT pg_reload_conf()")
    with pytest.raises(LedgerDamaged, match="fsync is off"):
        for _ in range(100):  # the signal takes a moment
            Ledger.open(path, origin).close()
            time.sleep(0.02)


# ---- what was changed is found ------------------------------------------------------------------

CHANGES = {
    "UPDATE entries SET body = 'x' WHERE idx = 3": (Proof.LEAF, 3),
    "DELETE FROM entries WHERE idx = 3": (Proof.SEQUENCE, 3),
    "UPDATE heads SET note = replace(note, '10', '9') WHERE size = 10": (Proof.SIGNATURE, None),
    "UPDATE entries SET idx = -idx WHERE idx = 9": (Proof.SEQUENCE, 9),
}


@only_postgres
@pytest.mark.parametrize("change", CHANGES)
def test_a_row_that_was_changed_is_found_by_a_proof(path, origin, make_drafts, change):
    with Ledger.open(path, origin) as ledger:
        ledger.append_now(make_drafts(10))
    sql(path, change)
    with Archive.read(path) as archive:
        found = archive.verify()
    assert isinstance(found, Broken) and (found.proof, found.seq) == CHANGES[change]


@only_postgres
def test_an_older_backup_of_the_database_is_contradicted_by_what_this_machine_saw(
    path, origin, make_drafts
):
    with Ledger.open(path, origin) as ledger:
        ledger.append_now(make_drafts(5))
        ledger.append_now(make_drafts(5, 5))
    # What a restore of the backup after the first commit would leave.
    sql(path, "DELETE FROM entries WHERE idx >= 5; DELETE FROM heads WHERE size > 5;"
        "UPDATE tiles SET hashes = substring(hashes for 5 * 32)")  # fmt: skip
    with pytest.raises(LedgerTampered, match="truncated, or an old backup"):
        Ledger.open(path, origin)


# ---- reading ------------------------------------------------------------------------------------


@only_postgres
def test_an_export_is_checked_by_the_program_that_knows_no_database(ledger, path, make_drafts):
    ledger.append_now([*make_drafts(300), Draft("quotes", "Report", b"x" * 90_000, 1.0)])
    ledger.export(path.parent / "out")
    words = ["-m", "holdfast.ledger.verify_export", path.parent / "out"]
    done = subprocess.run([sys.executable, *words, path.parent / "keys" / "log.vkey"])
    assert done.returncode == 0


@only_postgres
def test_a_reader_may_be_a_role_that_can_only_read(
    ledger, path, tmp_path, make_drafts, postgres_server
):
    ledger.append_now(make_drafts(3))
    schema = sql(path, "SELECT current_schema()")[0][0]
    role = f"reader_{schema}"
    postgres_server.run(f"CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA {schema} TO {role};"
                        f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}")  # fmt: skip
    shutil.copytree(path.parent / "keys", tmp_path / "there" / "keys")
    url = (path.parent / "postgres.url").read_text().strip()
    postgres_rig.point(tmp_path / "there", url.replace("//holdfast@", f"//{role}@"))
    with Archive.read(tmp_path / "there" / "ledger.db") as archive:
        assert isinstance(archive.verify(), Intact) and archive.size == 3
    with pytest.raises(LedgerReadOnly, match="GRANT"):
        Ledger.open(tmp_path / "there" / "ledger.db", ledger.origin, takeover=True)
    ledger.append_now(make_drafts(1, 3))  # who may not write could not replace the writer either


@only_postgres
def test_an_empty_database_holds_no_ledger(path):
    with pytest.raises(LedgerMissing):
        Archive.read(path)


@only_postgres
def test_a_home_with_two_histories_is_refused(path, origin):
    path.write_bytes(b"a ledger in a file")
    with pytest.raises(LedgerError, match="wanted one of them"):
        Ledger.open(path, origin)


@only_postgres
def test_a_url_that_others_can_read_is_refused(path, origin):
    (path.parent / "postgres.url").chmod(0o640)
    with pytest.raises(LedgerError, match="chmod 600"):
        Ledger.open(path, origin)


def test_a_server_that_is_not_there_is_named_and_its_password_is_not(path, origin):
    postgres_rig.point(path.parent, "postgresql://u:hunter2@127.0.0.1:9/db?sslmode=disable")
    with pytest.raises(LedgerUnreachable, match=r"127\.0\.0\.1:9/db") as caught:
        Ledger.open(path, origin)
    assert "hunter2" not in str(caught.value) + repr(caught.value.__cause__)
