"""What is inside an image: sizes of its layers unpacked, and programs that should not be there."""

from __future__ import annotations

import gzip
import posixpath
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from holdfast.supply.images.layout import BadImage, Image, Layout

#: Programs that turn a hole in a service into a way to work in its container.
SHELLS = frozenset({
    "sh", "ash", "bash", "dash", "ksh", "zsh", "csh", "tcsh", "fish", "busybox", "toybox",
})  # fmt: skip
PACKAGE_MANAGERS = frozenset({"apk", "apt", "apt-get", "dpkg", "dnf", "yum", "rpm", "pip", "pip3"})
_DIRECTORIES = ("bin", "sbin", "usr/bin", "usr/sbin", "usr/local/bin", "usr/local/sbin", "busybox")
_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"
_MAGIC_ZSTD, _MAGIC_GZIP = b"\x28\xb5\x2f\xfd", b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Layer:
    """``stored`` and ``unpacked`` are bytes; ``made_by`` is the step of the Dockerfile."""

    digest: str
    stored: int
    unpacked: int
    made_by: str


@dataclass(frozen=True, slots=True)
class Contents:
    """One platform, looked into."""

    platform: str
    user: str
    layers: tuple[Layer, ...]
    shells: tuple[str, ...]
    managers: tuple[str, ...]

    @property
    def unpacked(self) -> int:
        """What it takes on the disk of a node."""
        return sum(layer.unpacked for layer in self.layers)

    @property
    def stored(self) -> int:
        """What is pulled."""
        return sum(layer.stored for layer in self.layers)


def look(layout: Layout, image: Image) -> Contents:
    """Read every layer once. Raises ``BadImage``."""
    programs: dict[str, str] = {}
    layers = []
    for blob, step in zip(image.layers, image.steps(), strict=True):
        layout.verify(blob)
        size = _unpacked(layout.path(blob.digest), programs)
        layers.append(Layer(blob.digest, blob.size, size, step))
    shells = tuple(sorted(path for path, name in programs.items() if name in SHELLS))
    managers = tuple(sorted(path for path, name in programs.items() if name in PACKAGE_MANAGERS))
    return Contents(image.platform, image.user, tuple(layers), shells, managers)


def _unpacked(path: Path, programs: dict[str, str]) -> int:
    """Bytes of the files of a layer; what it adds and removes is applied to ``programs``."""
    size = 0
    for entry, _ in entries(path):
        size += entry.size if entry.isreg() else 0
        _apply(entry, programs)
    return size


def entries(path: Path) -> Iterator[tuple[tarfile.TarInfo, tarfile.TarFile]]:
    """The entries of a packed layer, each to be read before the next. Raises ``BadImage``."""
    try:
        with _opened(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            for entry in archive:
                yield entry, archive
    except (tarfile.TarError, OSError, EOFError) as error:
        raise BadImage(f"the layer {path.name[:12]} cannot be unpacked: {error}") from None


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes] | gzip.GzipFile]:
    with path.open("rb") as file:
        magic = file.read(4)
        file.seek(0)
        if magic.startswith(_MAGIC_GZIP):
            with gzip.open(file) as stream:
                yield stream
        elif magic == _MAGIC_ZSTD:
            import zstandard

            try:
                with zstandard.ZstdDecompressor().stream_reader(file) as stream:
                    yield stream
            except zstandard.ZstdError as error:
                raise BadImage(f"the layer {path.name[:12]} is no zstd: {error}") from None
        else:
            yield file


def _apply(entry: tarfile.TarInfo, programs: dict[str, str]) -> None:
    path = posixpath.normpath(entry.name).lstrip("/")
    directory, name = posixpath.split(path)
    if name == _OPAQUE:
        _forget(programs, directory)
    elif name.startswith(_WHITEOUT):
        _forget(programs, posixpath.join(directory, name.removeprefix(_WHITEOUT)))
    elif directory in _DIRECTORIES and (entry.isreg() or entry.islnk() or entry.issym()):
        programs[f"/{path}"] = name


def _forget(programs: dict[str, str], path: str) -> None:
    for known in [each for each in programs if each == f"/{path}" or each.startswith(f"/{path}/")]:
        del programs[known]
