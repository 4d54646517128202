"""Output of instances: they append to plain files themselves, so it survives the supervisor.

The file is rotated by copy and truncate: the writer keeps its descriptor, and because it was
opened for appending it goes on at the new end. A line written between copy and truncate is lost;
that is the price of instances that need no living supervisor to log.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from pathlib import Path

TAIL_BYTES = 16_384
_PART_BYTES = 1 << 20
_FLOOD = 8  # times the wanted size between two looks: of more than that only the end is kept


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
        _copy_end(path, numbered(path, 1), max_size * _FLOOD)
    os.truncate(path, 0)
    return True


def _copy_end(source: Path, target: Path, most: int) -> None:
    """The last ``most`` bytes of now: one who writes faster than we copy must not lead us on."""
    with source.open("rb") as file, open(target, "wb", opener=_private) as copy:
        end = file.seek(0, os.SEEK_END)
        left = min(end, most)
        file.seek(end - left)
        while left and (part := file.read(min(left, _PART_BYTES))):
            copy.write(part)
            left -= len(part)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def forget(directory: Path, keep: int, in_use: Collection[str]) -> None:
    """Remove the logs of all but the ``keep`` latest releases, and never of those in use."""
    old = [each for each in directory.iterdir() if each.is_dir() and each.name not in in_use]
    for each in sorted(old, key=lambda each: each.stat().st_mtime)[: -keep or None]:
        shutil.rmtree(each, ignore_errors=True)


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
