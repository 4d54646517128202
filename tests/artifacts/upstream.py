"""What upstream accepts, for tests: the schemas beside the repository, or a skip that says so."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from holdfast.artifacts.bundle import Bundle
from holdfast.artifacts.check import schema, written
from holdfast.supply.finding import Finding
from holdfast.supply.schemas import SchemaDirectory

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "10-production"
#: The four services that every family renders.
SPECS = {
    "trading-engine": EXAMPLE / "holdfast.yaml",
    "web-app": EXAMPLE / "web-app.yaml",
    "worker": EXAMPLE / "worker.yaml",
    "stateful": EXAMPLE / "stateful.yaml",
}
SHARED = Path(__file__).resolve().parents[3] / "shared" / "schemas"


@cache
def _schemas() -> schema.Schemas | None:
    directory = SchemaDirectory(SHARED)
    return schema.Schemas(directory.index, directory.read) if directory.exists() else None


def files() -> SchemaDirectory:
    """The files of the schemas; skips the test where they are missing."""
    schemas()
    return SchemaDirectory(SHARED)


def schemas() -> schema.Schemas:
    """The schemas; skips the test where they are missing."""
    found = _schemas()
    if found is None:
        pytest.skip("the schemas of upstream are not beside this repository (../shared/schemas)")
    return found


def refusals(bundle: Bundle, *paths: str) -> list[Finding]:
    """What upstream refuses in a bundle, or in those of its files whose path begins so."""
    chosen = [f for f in written.of_bundle(bundle) if f.path.startswith(paths or "")]
    assert chosen, f"nothing is rendered at {paths}"
    return schema.check(chosen, schemas())


def assert_accepted(bundle: Bundle, *paths: str) -> None:
    """Fails with every refusal, a line each."""
    found = refusals(bundle, *paths)
    assert not found, "\n" + "\n".join(map(str, found))
