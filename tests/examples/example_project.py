"""A copy of an example on a port of its own, worked with by the command line alone."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@dataclass(frozen=True)
class Program:
    """An example, and what it needs on the machine."""

    name: str
    needs: str


class Project:
    """A copy of an example with a home and a port of its own."""

    def __init__(self, program: Program, folder: Path) -> None:
        self.program, self.folder, self.port = program, folder, _free_port()
        shutil.copytree(EXAMPLES / program.name, folder)
        spec = yaml.safe_load((folder / "holdfast.yaml").read_text("utf-8"))
        traffic = spec["traffic"]
        spec["traffic"] = {**(traffic if isinstance(traffic, dict) else {}), "port": self.port}
        (folder / "holdfast.yaml").write_text(yaml.safe_dump(spec), "utf-8")
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin"
        self.env = {**os.environ, "PATH": path, "HOLDFAST_HOME": str(folder / ".holdfast")}

    def holdfast(self, *words: str, expect: int = 0) -> str:
        command = [sys.executable, "-m", "holdfast.cli", *words]
        done = subprocess.run(
            command, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=240
        )
        said = done.stdout + done.stderr
        assert done.returncode == expect, f"holdfast {' '.join(words)}: {said}"
        return done.stdout

    def stable(self) -> str:
        return str(json.loads(self.holdfast("status", "--json"))["state"]["stable"]["version"])

    @contextmanager
    def client(self, *command: str) -> Iterator[dict[str, int]]:
        """A client of the example's own, told the port, until the block ends; then its counts."""
        pipe = subprocess.PIPE
        words = [*command, str(self.port)]
        with subprocess.Popen(
            words, cwd=self.folder, stdin=pipe, stdout=pipe, text=True
        ) as process:
            result: dict[str, int] = {}
            try:
                yield result
            finally:
                said, _ = process.communicate(timeout=90)
            result |= json.loads(said)


@contextmanager
def project_of(program: Program, tmp_path: Path) -> Iterator[Project]:
    """The program's project, taken down at the end. Skips where the program is not installed."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin:/usr/bin"
    if shutil.which(program.needs, path=path) is None:
        pytest.skip(f"{program.needs} is not installed")
    made = Project(program, tmp_path / program.name)
    try:
        yield made
    finally:
        made.holdfast("down", "--yes")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
