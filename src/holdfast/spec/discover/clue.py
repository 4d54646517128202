"""What one file of a project says about how it runs, and bounded reading of such files."""

from __future__ import annotations

import json
import os
import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

FILE_BYTES_MAX = 256 * 1024
FILES_MAX = 300
DEPTH_MAX = 4
_SKIPPED = frozenset({
    "node_modules", "target", "dist", "build", "venv", "env", "site-packages", "vendor", "tests",
    "test", "docs",
})  # fmt: skip
SOURCES = (".py", ".js", ".mjs", ".cjs", ".ts", ".go", ".rs")


@dataclass(frozen=True)
class Clue:
    """One file and what it says. ``sure``: of two commands the surer one is taken."""

    file: str
    says: str
    name: str | None = None
    command: str | None = None
    port: int | None = None
    ready: str | None = None
    build: str | None = None  # to be run before the first deploy
    sure: int = 0


class Project:
    """A directory that is looked at but never run."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.unread: dict[str, Clue] = {}  # files that are there and could not be understood

    def text(self, name: str) -> str | None:
        """The file's text, or None where there is none that could be read."""
        path = self.directory / name
        try:
            if not path.is_file():
                return None
            with path.open("rb") as file:
                return file.read(FILE_BYTES_MAX).decode("utf-8", "replace")
        except OSError:
            return None

    def table(self, name: str) -> dict[str, Any] | None:
        """A TOML, JSON or YAML file whose top is a table; None when it is not."""
        text = self.text(name)
        if text is None:
            return None
        read: Any = {".toml": tomllib.loads, ".json": json.loads}.get(Path(name).suffix)
        try:
            value = (read or yaml.safe_load)(text)
        except (ValueError, yaml.YAMLError, RecursionError):
            value = None
        if isinstance(value, dict):
            return value
        kind = {".toml": "TOML", ".json": "JSON"}.get(Path(name).suffix, "YAML")
        self.unread[name] = Clue(name, f"is no {kind} table and was passed over")
        return None

    @cached_property
    def sources(self) -> dict[str, str]:
        """Source files by relative path, nearest to the top first."""
        return {name: self.text(name) or "" for name in self._source_names()}

    def _source_names(self) -> list[str]:
        found: list[str] = []
        for directory, below, files in os.walk(self.directory):
            here = Path(directory).relative_to(self.directory)
            below[:] = sorted(b for b in below if b not in _SKIPPED and not b.startswith("."))
            if len(here.parts) >= DEPTH_MAX:
                below.clear()
            found += [(here / f).as_posix() for f in sorted(files) if f.endswith(SOURCES)]
            if len(found) >= FILES_MAX:
                break
        return sorted(found[:FILES_MAX], key=lambda name: (name.count("/"), name))

    def program(self, name: str) -> str:
        """The project's own copy of a program where it has one."""
        for place in (".venv/bin", "venv/bin", "node_modules/.bin"):
            if (self.directory / place / name).is_file():
                return f"{place}/{name}"
        return name


def names_project(file: str, name: object) -> Clue:
    if isinstance(name, str) and name.strip():
        return Clue(file, "names the project", name=name)
    return Clue(file, "does not name the project")


def shell(command: str) -> str:
    """For lines that only a shell understands; ``exec`` keeps signals with the program."""
    return f"sh -c {shlex.quote(f'exec {command}')}"


def table_at(value: object, *names: str) -> dict[str, Any]:
    """A table inside tables; empty where the file has something else there."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


_READY = re.compile(r"""["'`](/(?:ready|readyz|healthz?|health/ready|livez|ping|status))/?["'`]""")
_BETTER = (
    "/ready",
    "/readyz",
    "/health/ready",
    "/healthz",
    "/health",
    "/ping",
    "/status",
    "/livez",
)


def ready_path(project: Project) -> Iterator[Clue]:
    """A path in the sources that looks like a health check."""
    seen: dict[str, str] = {}
    for name, text in project.sources.items():
        for match in _READY.finditer(text):
            seen.setdefault(match[1], name)
    for path in _BETTER:
        if path in seen:
            yield Clue(seen[path], f"mentions {path}", ready=path)
            return
