"""Advice about queries, given by a real PostgreSQL out of its own counters."""

from __future__ import annotations

import subprocess
import time

import pytest
from family import file, rendered, spec

from postgres_rig import programs, running

USUAL = "promises: {p99: 10ms}\n"


def advice(server, given) -> list[tuple[str, str, str]]:
    """Each row as psql prints it: what to do, about what, why."""
    words = [programs() / "psql", "-XqAt", "-F\t", "-v", "ON_ERROR_STOP=1", "-f", "-", server.url]
    body = file(given, "data/advice.sql").body
    done = subprocess.run(words, input=body, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [tuple(line.split("\t")) for line in done.stdout.splitlines()]


def about(found, beginning) -> list[str]:
    return [each[1] for each in found if each[0].startswith(beginning)]


@pytest.fixture(scope="module")
def server():
    """A database in which everything that is advised about has happened."""
    with running(
        shared_preload_libraries="pg_stat_statements", work_mem="64kB", autovacuum="off"
    ) as server:
        server.run("CREATE EXTENSION pg_stat_statements")
        server.run("CREATE TABLE orders (id int PRIMARY KEY, customer int, note text)")
        server.run("INSERT INTO orders SELECT i, i % 500, repeat('x', 20)"
                   " FROM generate_series(1, 20000) i")  # fmt: skip
        server.run("CREATE INDEX idle ON orders (note)")
        server.run("CREATE INDEX twin ON orders (note)")
        server.run("CREATE TABLE calm AS SELECT * FROM orders")
        server.run("UPDATE calm SET note = 'y'")
        server.run("ANALYZE")
        server.run("DO $$ BEGIN FOR i IN 1..60 LOOP"
                   " PERFORM count(*) FROM orders WHERE customer = i;"
                   " END LOOP; END $$")  # fmt: skip
        for _ in range(10):
            server.run("SELECT pg_sleep(0.02)")
        server.run("SELECT id FROM orders ORDER BY note || id")
        time.sleep(1.1)  # PostgreSQL tells its counters once a second
        yield server


@pytest.mark.live
@pytest.mark.req("T142")
def test_postgresql_says_which_statements_tables_and_indexes_deserve_work(server):
    found = advice(server, spec(USUAL))
    assert any("pg_sleep" in each for each in about(found, "make faster"))
    assert any("ORDER BY" in each for each in about(found, "give more work_mem"))
    assert about(found, "give an index") == ["public.orders"]
    assert about(found, "vacuum more often") == ["public.calm"]
    assert {"public.idle on orders", "public.twin on orders"} == set(about(found, "drop: "))
    assert about(found, "drop one") == ["public.twin on orders"]
    assert not any("orders_pkey" in each[1] for each in found)


@pytest.mark.live
@pytest.mark.req("T142")
def test_what_is_slow_is_measured_by_what_the_service_promises(server):
    found = advice(server, spec("promises: {p99: 5s}\n"))
    assert not about(found, "make faster")


@pytest.mark.req("T142")
def test_advice_exists_for_postgresql_alone_and_only_reads():
    body = file(spec(USUAL), "data/advice.sql").body
    assert body.index("BEGIN READ ONLY") < body.index("WITH statements")
    other = rendered(spec("resilience: {database: cockroach}"))
    assert not [each for each in other if each.path.endswith("advice.sql")]
