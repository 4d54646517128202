"""One API server for all tests that need one."""

from __future__ import annotations

from collections.abc import Iterator

import kube_api
import pytest


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kube_api.Server]:
    """A real API server, empty at the start of the session; skips where there is none."""
    with kube_api.running(tmp_path_factory.mktemp("api-server")) as running:
        yield running
