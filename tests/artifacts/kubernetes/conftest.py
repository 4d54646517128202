"""The API server of the session, under the name that the tests of this family use."""

from __future__ import annotations

import pytest

from kubernetes_rig.api_server import Server


@pytest.fixture(scope="session")
def server(api_server: Server) -> Server:
    """A real API server, empty at the start of the session; skips where there is none."""
    return api_server
