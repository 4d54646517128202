"""Four services of different kinds, rendered once a session."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.artifacts.bundle import Bundle
from holdfast.artifacts.catalog import render
from holdfast.spec.load import load
from holdfast.spec.model import Service

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "10-production"
SPECS = {
    "trading-engine": EXAMPLE / "holdfast.yaml",
    "web-app": EXAMPLE / "web-app.yaml",
    "worker": EXAMPLE / "worker.yaml",
    "stateful": EXAMPLE / "stateful.yaml",
}


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
