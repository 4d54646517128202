"""A real PostgreSQL of one's own, and a repository beside it."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

import postgres_rig
from holdfast.recovery.keys import SecretKey
from holdfast.recovery.postgres import Cluster
from holdfast.recovery.repository import Repository
from holdfast.recovery.tools import Tools, find_tools
from holdfast.recovery.trouble import ToolTrouble


@pytest.fixture(scope="session")
def tools() -> Tools:
    try:
        return find_tools()
    except ToolTrouble as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def cluster(tools):
    with postgres_rig.running(wal_keep_size="0", track_commit_timestamp="on") as server:
        where = f"host={server.folder} user={postgres_rig.ROLE} dbname=postgres"
        yield Cluster(tools, where)


@pytest.fixture(scope="session")
def key() -> SecretKey:
    return SecretKey.make("ops")


@pytest.fixture
def repository(tmp_path, key) -> Repository:
    made = Repository(tmp_path / "repository", [tmp_path / "copy"])
    made.add_recipient(key.recipient, key, 1.0)
    return made


@pytest.fixture
def into(tmp_path):
    """Where PostgreSQL's own user may go."""
    with tempfile.TemporaryDirectory(prefix="holdfast-test-into-") as root:
        Path(root).chmod(0o755)
        yield Path(root) / "data"
        shutil.rmtree(Path(root) / "data", ignore_errors=True)
