"""The real promtool and amtool, for tests that need them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml


def run(program: str, *words: str | Path) -> str:
    """What it says; a test is skipped where it is not installed, and fails where it refuses."""
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed")
    done = subprocess.run([path, *words], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def parses(expressions: dict[str, str], tmp_path: Path) -> None:
    """Every expression is PromQL; the keys say where it is from."""
    said = [{"record": f"x:{n}", "expr": e} for n, e in enumerate(expressions.values())]
    file = tmp_path / "expressions.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": said}]}))
    run("promtool", "check", "rules", file)
