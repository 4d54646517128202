"""Schemas of other systems' formats in a directory: an ``index.json`` and the files it names."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

INDEX = "index.json"


@dataclass(frozen=True)
class SchemaDirectory:
    """Files are read when asked for, and once."""

    root: Path

    def exists(self) -> bool:
        return (self.root / INDEX).is_file()

    @cached_property
    def index(self) -> dict[str, dict[str, Any]]:
        """From ``apps/v1/Deployment`` to ``file`` and ``pointer``. Raises as ``read`` does."""
        found: dict[str, dict[str, Any]] = self.read(INDEX)
        return found

    @cached_property
    def _files(self) -> dict[str, Any]:
        return {}

    def read(self, name: str) -> Any:  # noqa: ANN401  # JSON
        """A parsed file of the directory. Raises ``OSError`` and ``ValueError``."""
        if name not in self._files:
            self._files[name] = json.loads((self.root / name).read_text("utf-8"))
        return self._files[name]
