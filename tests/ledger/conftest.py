"""A ledger in a temporary directory, and drafts for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import postgres_rig
from holdfast.ledger import Draft, Ledger

ORIGIN = "example.com/holdfast"
WALL = 1_764_000_000.25


def drafts(count: int, start: int = 0, stream: str = "quotes") -> list[Draft]:
    return [
        Draft(stream, "Note", b'{"by":"anna","n":%d}' % n, WALL + n)
        for n in range(start, start + count)
    ]


@pytest.fixture
def path(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A ledger that is still to be made; a file unless the module asks for other databases."""
    database = getattr(request, "param", "sqlite")
    if database == "postgres":
        server = request.getfixturevalue("postgres_server")
        postgres_rig.point(tmp_path / "home", server.schema_url())
    return tmp_path / "home" / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with Ledger.open(path, ORIGIN) as opened:
        yield opened


@pytest.fixture(scope="session")
def make_drafts():
    return drafts


@pytest.fixture(scope="session")
def origin() -> str:
    return ORIGIN
