"""The rendered sets as a reviewer sees them change: every path, and the files that tell most.

A set is 1.4 MB in 333 files, most of them the same text for each region or each alert: kept whole,
one changed label would be a diff of thousands of lines that nobody reads. So of every file of two
services there is a line (how many lines it has, the beginning of its digest, its path), which shows
what appears, goes and changes, and of one file of each kind there are all bytes, which show how.

``HOLDFAST_GOLDEN=1 python -m pytest tests/artifacts/test_golden_trees.py`` rewrites them. What
changed in a file that is not kept whole: render before the change, then ``holdfast render --diff``.
"""

from __future__ import annotations

import difflib
import os
from functools import cache
from pathlib import Path

import pytest
from upstream import SPECS

from holdfast.artifacts.bundle import Bundle
from holdfast.artifacts.catalog import render
from holdfast.spec.load import load, load_text

GOLDEN = Path(__file__).parent / "golden"
REFRESH = "HOLDFAST_GOLDEN=1 python -m pytest tests/artifacts/test_golden_trees.py"
SMALL = "service: small\nrun: python small.py\nregions: [{name: us-east, primary: true}]\n"
#: Of the reference service; one of each kind, the one in which most settings meet.
WHOLE = (
    "containers/Dockerfile",
    "containers/sign.sh",
    "delivery/argocd/projects.yaml",
    "delivery/flagger/base/canary.yaml",
    "delivery/github/workflows/image.yaml",
    "kubernetes/base/deployment.yaml",
    "kubernetes/base/networkpolicies.yaml",
    "kubernetes/base/virtualservice.yaml",
    "kubernetes/overlays/eu-west/kustomization.yaml",
    "observability/alertmanager/alertmanager.yml",
    "observability/prometheus/rules/kubernetes.yml",
    "resilience/aws/us-east/network.yaml",
    "resilience/chaos/experiments/kill-instance.yaml",
    "resilience/overlays/us-east/database.yaml",
    "resilience/runbooks/region-loss.md",
    "resilience/security/secrets.yaml",
)


@cache
def rendered(name: str) -> Bundle:
    return render(load_text(SMALL) if name == "small" else load(SPECS[name]))


def tree(bundle: Bundle) -> str:
    """``  42 0123456789ab path`` of each file."""
    counted = ((file.data.count(b"\n"), file) for file in bundle)
    return "".join(f"{lines:>5} {file.digest[:12]} {file.path}\n" for lines, file in counted)


def hold(found: str, path: Path) -> None:
    """Fails with the difference and the command that accepts it."""
    if os.environ.get("HOLDFAST_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(found, "utf-8")
    kept = path.read_text("utf-8") if path.exists() else ""
    if found != kept:
        lines = difflib.unified_diff(
            kept.splitlines(), found.splitlines(), "kept", "rendered", lineterm="", n=2
        )
        name = path.relative_to(GOLDEN)
        pytest.fail(f"{name} is another:\n" + "\n".join(lines) + f"\naccept: {REFRESH}", False)


@pytest.mark.parametrize("name", ["small", "trading-engine"])
def test_the_set_has_these_files_with_these_bytes(name):
    hold(tree(rendered(name)), GOLDEN / f"{name}.tree")


@pytest.mark.req("T36")
@pytest.mark.parametrize("path", WHOLE)
def test_of_one_file_of_each_kind_every_byte_is_as_it_was(path):
    (file,) = [file for file in rendered("trading-engine") if file.path == path]
    hold(file.data.decode(), GOLDEN / "trading-engine" / f"{path}.golden")


def test_nothing_is_kept_that_is_not_held():
    kept = {path.relative_to(GOLDEN).as_posix() for path in GOLDEN.rglob("*") if path.is_file()}
    whole = {f"trading-engine/{path}.golden" for path in WHOLE}
    assert kept == {"small.tree", "trading-engine.tree"} | whole
