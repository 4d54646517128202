"""The last lines of the replicas' log files: ``logs/<release>/<replica>.log``."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path

from holdfast.conductor.client import LogDoc

TAIL_BYTES_MAX = 1024 * 1024
FILES_MAX = 200


def read_logs(
    directory: Path, release: str | None, replica: str | None, lines: int
) -> list[LogDoc]:
    """The latest files that match, at most ``FILES_MAX``, in the order of their names."""
    paths = [
        path
        for path in directory.glob("*/*.log")
        if release in (None, path.parent.name) and replica in (None, path.stem)
    ]
    latest = sorted(paths, key=_modified)[-FILES_MAX:]
    return [
        {"release": path.parent.name, "replica": path.stem, "lines": tail(path, lines)}
        for path in sorted(latest)
    ]


def tail(path: Path, lines: int) -> list[str]:
    """The last lines of a file, reading at most ``TAIL_BYTES_MAX`` of it."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES_MAX))
            text = file.read(TAIL_BYTES_MAX).decode("utf-8", "replace")
    except OSError:
        return []
    return list(deque(text.splitlines(), maxlen=lines))


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
