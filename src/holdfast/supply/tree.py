"""A directory that a program writes again and again, and in which people may have written too.

What an earlier run wrote is known by its manifest; everything else is foreign and is never
touched. A file changed by hand is a conflict and not overwritten. Nothing is followed out of
the directory, and a reader sees the old or the new bytes of a file and never half of them.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

#: Where new bytes lie until all of them are there.
STAGE: Final = ".holdfast-render"
_HIDDEN: Final = {".git", STAGE}


@dataclass(frozen=True, slots=True)
class Change:
    """One file: ``old`` is None where it is new, ``new`` is None where it goes."""

    path: str
    old: bytes | None
    new: bytes | None
    conflict: str = ""  # why it must not be done without being told to


class Outside(ValueError):
    """A path that leads out of the directory."""


def changes(
    root: Path, wanted: Mapping[str, bytes], owned: Mapping[str, Collection[str]]
) -> tuple[Change, ...]:
    """What must happen so that the directory holds ``wanted``.

    ``owned`` are the paths that earlier runs wrote, with the digests (``sha256:...``) of what they
    may have written there; those that are no longer wanted go. Raises ``OSError`` and ``Outside``.
    """
    found = [_written(root, path, new, owned.get(path, ())) for path, new in wanted.items()]
    found += [_removed(root, path, owned[path]) for path in owned if path not in wanted]
    return tuple(sorted((each for each in found if each), key=lambda change: change.path))


def write(path: Path, data: bytes) -> None:
    """Replace a file as a whole; scripts can be executed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(beside, 0o755 if data.startswith(b"#!") else 0o644)
        os.replace(beside, path)
    except BaseException:
        os.unlink(beside)
        raise


def digest(data: bytes) -> str:
    """As a manifest says it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def files(root: Path) -> dict[str, bytes]:
    """Every regular file below a directory but hidden ones such as ``.git``. Raises ``OSError``."""
    found = {}
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        if path.is_file() and not path.is_symlink() and not _HIDDEN & {*relative.parts}:
            found[relative.as_posix()] = path.read_bytes()
    return found


def inside(root: Path, path: str) -> Path:
    """The file of a path in the directory, links resolved. Raises ``Outside``."""
    parts = PurePosixPath(path).parts
    found = root.joinpath(*parts)
    top = root.resolve()
    if not parts or ".." in parts or not found.parent.resolve().is_relative_to(top):
        raise Outside(f"{path} leads out of {root}")
    if PurePosixPath(path).is_absolute() or found.is_symlink():
        raise Outside(f"{path} leads out of {root}")
    return found


def _written(root: Path, path: str, new: bytes, digests: Collection[str]) -> Change | None:
    old = _bytes(inside(root, path))
    if old == new:
        return None
    return Change(path, old, new, _conflict(old, digests))


def _removed(root: Path, path: str, digests: Collection[str]) -> Change | None:
    old = _bytes(inside(root, path))
    return Change(path, old, None, _conflict(old, digests)) if old is not None else None


def _conflict(old: bytes | None, digests: Collection[str]) -> str:
    if old is None or digest(old) in digests:
        return ""
    return "changed by hand" if digests else "not written by holdfast render"


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def prune(directory: Path, root: Path) -> None:
    """Remove directories that became empty, up to the root."""
    while directory != root:
        try:
            directory.rmdir()
        except OSError:
            return
        directory = directory.parent
