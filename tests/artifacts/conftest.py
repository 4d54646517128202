"""Four services of different kinds, rendered once a session."""

from __future__ import annotations

import pytest
from upstream import SPECS

from holdfast.artifacts.bundle import Bundle
from holdfast.artifacts.catalog import render
from holdfast.spec.load import load
from holdfast.spec.model import Service


@pytest.fixture(scope="session", params=SPECS, ids=str)
def service(request: pytest.FixtureRequest) -> Service:
    """Each of the four services in turn."""
    return load(SPECS[request.param])


@pytest.fixture(scope="session")
def reference() -> Service:
    """The reference service: the trading engine."""
    return load(SPECS["trading-engine"])


@pytest.fixture(scope="session")
def rendered(service: Service) -> Bundle:
    """The whole set of each service."""
    return render(service)
