"""What holds for every test: no property fails because the machine is busy; shared servers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

import postgres_rig
from kubernetes_rig import api_server as rig

# Speed is measured by benchmarks; 200 ms per example fail at random where others work, too.
settings.register_profile("holdfast", deadline=None)
settings.load_profile("holdfast")


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[rig.Server]:
    """A real API server for whoever needs one in this session; skips where there is none."""
    with rig.running(tmp_path_factory.mktemp("api-server")) as running:
        yield running


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres_rig.PostgresServer]:
    """A real PostgreSQL for whoever needs one in this session; skips where there is none."""
    with postgres_rig.running() as running:
        yield running
