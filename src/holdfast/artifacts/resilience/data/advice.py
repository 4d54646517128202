"""What the database itself knows about its statements, tables and indexes, as advice.

Everything is read from PostgreSQL's own counters; nothing is changed. Sources: PostgreSQL,
pg_stat_statements, The Cumulative Statistics System, pg_index.
"""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.artifacts.artifact import Artifact
from holdfast.artifacts.resilience.objects import DATA
from holdfast.spec.model import Service

PATH = f"{DATA}/advice.sql"
_MILLISECONDS = 1000


def render(service: Service) -> Iterator[Artifact]:
    if service.resilience.database == "postgres":
        yield Artifact(
            PATH, _SQL.replace("SLOW", str(max(1, round(service.promises.p99 * _MILLISECONDS)))),
            "What to do about slow statements, missing and needless indexes; changes nothing.",
            ("resilience.database", "promises.p99"), ("T142",),
        )  # fmt: skip


_SQL = """\
-- psql -d DATABASE -f advice.sql, as a user that may read all statistics (pg_read_all_stats).
-- One row for each advice: what to do, about what, why. Counters begin with the last reset; an
-- index that only copies use looks idle on the primary, so look there before it goes.
BEGIN READ ONLY;
SET LOCAL statement_timeout = '30s';

WITH statements AS (
  SELECT left(regexp_replace(query, '\\s+', ' ', 'g'), 200) AS about, calls, mean_exec_time,
    total_exec_time / sum(total_exec_time) OVER () AS share, temp_blks_written
  FROM pg_stat_statements
  WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
), indexes AS (
  SELECT format('%I.%I on %s', used.schemaname, used.indexrelname, used.relname) AS about,
    used.idx_scan, known.*, pg_relation_size(known.indexrelid) AS size
  FROM pg_stat_user_indexes used JOIN pg_index known USING (indexrelid)
)
SELECT 'make faster: slower than the service promises to answer' AS advice, about,
  format('%s calls of %s ms, %s %% of all time', calls, round(mean_exec_time::numeric, 1),
    round(100 * share::numeric)) AS because
FROM statements WHERE calls >= 10 AND mean_exec_time > SLOW
UNION ALL
SELECT 'give more work_mem or sort less: it spills to disk', about,
  format('%s of temporary files in %s calls',
    pg_size_pretty(temp_blks_written * current_setting('block_size')::bigint), calls)
FROM statements WHERE temp_blks_written > 0
UNION ALL
SELECT 'give an index: whole table is read again and again', format('%I.%I', schemaname, relname),
  format('%s scans of %s rows each, %s by index', seq_scan, seq_tup_read / seq_scan,
    coalesce(idx_scan, 0))
FROM pg_stat_user_tables
WHERE seq_scan >= 50 AND n_live_tup >= 10000 AND seq_tup_read / seq_scan >= 10000
UNION ALL
SELECT 'vacuum more often: dead rows are read with the live ones',
  format('%I.%I', schemaname, relname),
  format('%s dead beside %s live, last vacuum %s', n_dead_tup, n_live_tup,
    coalesce(greatest(last_vacuum, last_autovacuum)::text, 'never'))
FROM pg_stat_user_tables WHERE n_dead_tup >= 10000 AND n_dead_tup > 0.2 * n_live_tup
UNION ALL
SELECT 'drop: no query uses this index, and every write pays for it', about, pg_size_pretty(size)
FROM indexes WHERE idx_scan = 0 AND NOT indisunique AND indisvalid AND size >= 131072
UNION ALL
SELECT 'rebuild (REINDEX CONCURRENTLY): building this index failed', about, pg_size_pretty(size)
FROM indexes WHERE NOT indisvalid
UNION ALL
SELECT 'drop one: another index is the same', more.about, 'the same as ' || least.about
FROM indexes least JOIN indexes more USING (indrelid)
WHERE more.indexrelid > least.indexrelid AND NOT more.indisunique
  AND (more.indkey::text, more.indclass::text, more.indoption::text, more.indcollation::text)
    = (least.indkey::text, least.indclass::text, least.indoption::text, least.indcollation::text)
  AND coalesce(pg_get_expr(more.indpred, more.indrelid), '')
    = coalesce(pg_get_expr(least.indpred, least.indrelid), '')
  AND coalesce(pg_get_expr(more.indexprs, more.indrelid), '')
    = coalesce(pg_get_expr(least.indexprs, least.indrelid), '')
ORDER BY advice, about;

COMMIT;
"""
