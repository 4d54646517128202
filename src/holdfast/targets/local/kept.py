"""The files of a release, as they were when it was deployed.

A replica that dies is replaced, and a rollback starts an old release again, long after somebody
edited the program in place for the next deploy. What starts then must still be the release: never
a newer program that nobody judged, under the old one's name.

So the files that make a release are copied when it is prepared. While those in the project are
the same, the program starts in the project. Once they differ, it starts in a shadow of its
directory: the copies, and symbolic links to everything else.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from holdfast.rollout.model import Failure
from holdfast.spec.digest import named_files
from holdfast.targets.base import Bundle
from holdfast.targets.local import records
from holdfast.targets.local.reasons import failure

COPIES_MAX = 12  # releases whose copies stay; older ones are only recognised
BYTES_MAX = 1 << 30  # of one release
_NEVER_LINKED = frozenset({"__pycache__", ".holdfast"})
Hashes = Mapping[str, str]  # path below the working directory -> SHA-256


@dataclass(frozen=True, slots=True)
class Manifest:
    """What was there; ``files`` is what the release is."""

    files: dict[str, str]


class Kept:
    """Below the directory of a service: ``kept/<digest>/manifest.json`` and ``files/``."""

    def __init__(self, root: Path) -> None:
        self._root = root / "kept"

    def keep(self, bundle: Bundle, cwd: Path, in_use: Iterable[str]) -> None:
        """Copy what makes the release, the first time it is prepared. Raises ``OSError``.

        Copies of the digests ``in_use`` are never given up.
        """
        place = self._place(bundle)
        if (place / "manifest.json").exists():
            os.utime(place)
            return
        files = _hashes(bundle, cwd)
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True, mode=0o700)
        if sum((cwd / name).stat().st_size for name in files) <= BYTES_MAX:
            for name in files:
                _copy(cwd / name, place / "files" / name)
        records.save(place / "manifest.json", Manifest(files))
        self._forget_old(set(in_use))

    def directory(self, bundle: Bundle, cwd: Path) -> Path | Failure:
        """Where the program must start to be this release, or why there is no such place."""
        place = self._place(bundle)
        manifest = records.load(place / "manifest.json", Manifest)
        if manifest is None or not (changed := differences(manifest.files, _now(bundle, cwd))):
            return cwd
        if not all((place / "files" / name).is_file() for name in manifest.files):
            what = f"{', '.join(changed)} changed since {bundle.release.version} was deployed"
            return failure("config-missing", f"{what}, and no copy was kept: put it back")
        shadow = place / "shadow"
        _cast(shadow, cwd, place / "files", tuple(manifest.files))
        return shadow

    def _place(self, bundle: Bundle) -> Path:
        return self._root / bundle.release.digest

    def _forget_old(self, in_use: set[str]) -> None:
        places = [place for place in self._root.iterdir() if place.name not in in_use]
        for place in sorted(places, key=lambda place: place.stat().st_mtime)[:-COPIES_MAX]:
            for copies in ("files", "shadow"):
                shutil.rmtree(place / copies, ignore_errors=True)


def differences(then: Hashes, now: Hashes) -> list[str]:
    return sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name))


def _now(bundle: Bundle, cwd: Path) -> Hashes:
    try:
        return _hashes(bundle, cwd)
    except OSError:
        return {}  # something is gone: not what was deployed


def _hashes(bundle: Bundle, cwd: Path) -> dict[str, str]:
    return {name: _hash(cwd / name) for name in named_files(bundle.service.run, cwd)}


def _hash(path: Path) -> str:
    found = path.stat()
    return _hash_of(path, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


@functools.lru_cache(maxsize=65_536)
def _hash_of(path: Path, *_stamp: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    shutil.copy2(source, target)


def _cast(shadow: Path, cwd: Path, copies: Path, names: tuple[str, ...]) -> None:
    """Real directories on the way to each copy; links to the neighbours of what is real."""
    real = {Path()} | {above for name in names for above in Path(name).parents}
    for directory in sorted(real):
        (shadow / directory).mkdir(parents=True, exist_ok=True, mode=0o700)
        for entry in _entries(cwd / directory):
            inner, link = directory / entry, shadow / directory / entry
            if inner not in real and str(inner) not in names and not link.exists():
                link.unlink(missing_ok=True)
                link.symlink_to(cwd / inner)
    for name in names:
        if not (shadow / name).exists():
            shutil.copy2(copies / name, shadow / name)


def _entries(directory: Path) -> list[str]:
    try:
        return [name for name in os.listdir(directory) if name not in _NEVER_LINKED]
    except OSError:
        return []  # the directory is gone; its kept files are not
