"""A real PostgreSQL of one's own, and a repository beside it."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from holdfast.recovery.keys import SecretKey
from holdfast.recovery.postgres import Cluster
from holdfast.recovery.repository import Repository
from holdfast.recovery.tools import Tools, find_tools, owner, server_user
from holdfast.recovery.trouble import ToolTrouble


@contextmanager
def running(tools: Tools):
    """A new cluster with commit times, on a socket below a directory of its own."""
    user = server_user()
    with tempfile.TemporaryDirectory(prefix="holdfast-test-pg-") as root:
        uid, gid = owner(user)
        if uid is not None:
            os.chown(root, uid, gid)
        data = Path(root) / "data"
        tools.run("initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "-k", user=user)
        with open(data / "postgresql.conf", "a") as conf:
            conf.write(
                f"listen_addresses = ''\nunix_socket_directories = '{root}'\n"
                "track_commit_timestamp = on\nwal_keep_size = 0\nmax_connections = 20\n"
            )
        tools.run("pg_ctl", "start", "-D", str(data), "-w", "-l", f"{root}/log", user=user)
        try:
            yield Cluster(tools, f"host={root} user=postgres dbname=postgres")
        finally:
            tools.run("pg_ctl", "stop", "-D", str(data), "-m", "immediate", "-w", user=user)


@pytest.fixture(scope="session")
def tools() -> Tools:
    try:
        return find_tools()
    except ToolTrouble as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def cluster(tools):
    with running(tools) as found:
        yield found


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
