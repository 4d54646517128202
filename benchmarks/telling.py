"""How a benchmark ends: the result printed, written, and held against its bounds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path


def told(result: Mapping[str, object], path: str | None) -> int:
    """The exit code: 1 when ``result["holds"]`` is false."""
    text = json.dumps(result, indent=2)
    print(text)
    if path:
        Path(path).write_text(text + "\n", encoding="utf-8")
    return 0 if result["holds"] else 1
