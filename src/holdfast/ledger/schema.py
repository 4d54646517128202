"""The tables of a ledger for both databases: one template, in the words of each."""

from __future__ import annotations

FORMAT_VERSION = 1

_TABLES = """
CREATE TABLE meta (name {text} PRIMARY KEY, value {text} NOT NULL){strict};
CREATE TABLE blobs (digest {text} PRIMARY KEY, data {bytes} NOT NULL){strict};
CREATE TABLE entries (
  idx {integer} PRIMARY KEY, stream {text} NOT NULL, kind {text} NOT NULL, body {bytes},
  blob {text} REFERENCES blobs (digest), wall_us {integer} NOT NULL,
  CHECK ((body IS NULL) <> (blob IS NULL))
){strict};
CREATE INDEX entries_by_stream ON entries (stream, idx);
CREATE TABLE tiles (
  level {integer} NOT NULL, idx {integer} NOT NULL, hashes {bytes} NOT NULL,
  PRIMARY KEY (level, idx)
){strict};
CREATE TABLE heads (
  size {integer} PRIMARY KEY, note {text} NOT NULL, milestone {integer} NOT NULL
){strict};
CREATE INDEX heads_passing ON heads (size) WHERE milestone = 0;
"""
#: Who may write: a writer of a smaller epoch was replaced. One row.
_WRITER = """
CREATE TABLE writer (
  one integer PRIMARY KEY CHECK (one = 1), format integer NOT NULL, epoch bigint NOT NULL
);
INSERT INTO writer VALUES (1, {format}, 0);
"""


def in_sqlite(template: str) -> str:
    """STRICT tables: a value of the wrong type or an entry without its blob cannot be written."""
    return template.format(
        text="TEXT", bytes="BLOB", integer="INTEGER", real="REAL", strict=" STRICT"
    )


def in_postgres(template: str) -> str:
    """Text is compared byte by byte, as in SQLite, whatever language the server speaks."""
    return template.format(
        text='text COLLATE "C"', bytes="bytea", integer="bigint", real="double precision", strict=""
    )


def sqlite_schema() -> str:
    return in_sqlite(_TABLES)


def postgres_schema() -> str:
    return in_postgres(_TABLES) + _WRITER.format(format=FORMAT_VERSION)
