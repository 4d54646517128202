"""Output of instances: they append to plain files themselves, so it survives the supervisor.

The file is rotated by copy and truncate: the writer keeps its descriptor, and because it was
opened for appending it goes on at the new end. A line written between copy and truncate is lost;
that is the price of instances that need no living supervisor to log.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

TAIL_BYTES = 16_384


def tail(path: Path, since: int = 0, lines: int = 20) -> tuple[str, ...]:
    """The last lines written after byte ``since``."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            start = since if size >= since else 0  # rotated meanwhile
            file.seek(max(start, size - TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ()
    return tuple(line.rstrip() for line in text.splitlines()[-lines:])


def size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def rotate(path: Path, max_size: int, keep: int) -> bool:
    """``x.log`` -> ``x.log.1`` -> ... when it is larger than ``max_size``. True if it was."""
    if size(path) <= max_size:
        return False
    _make_room(path, keep)
    if keep:
        shutil.copyfile(path, numbered(path, 1))
    os.truncate(path, 0)
    return True


def shift(path: Path, max_size: int, keep: int) -> bool:
    """The same for a writer that can be told to open its file anew: nothing is lost."""
    if size(path) <= max_size:
        return False
    _make_room(path, keep)
    if keep:
        os.replace(path, numbered(path, 1))
    else:
        path.unlink()
    return True


def _make_room(path: Path, keep: int) -> None:
    for number in range(keep, 1, -1):
        older = numbered(path, number - 1)
        if older.exists():
            os.replace(older, numbered(path, number))


def numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")
