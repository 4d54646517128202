"""The whole set: every file with its bytes, and a manifest that says where each came from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.format import written

MANIFEST = "manifest.json"
FORMAT = "holdfast-artifacts-1"


@dataclass(frozen=True, slots=True)
class File:
    """An artifact and its bytes."""

    artifact: Artifact
    data: bytes

    @property
    def path(self) -> str:
        return self.artifact.path

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True, slots=True)
class Bundle:
    """All files in the order of their paths. Two files never share a path."""

    files: tuple[File, ...]

    def __iter__(self) -> Iterator[File]:
        return iter(self.files)

    def manifest(self) -> File:
        """Path, digest, keys and rows of every file; the digest of the set over all of them."""
        return manifest([listed(file) for file in self.files])


def bundle(artifacts: Iterable[Artifact]) -> Bundle:
    """Raises ``ValueError`` when two artifacts claim one path."""
    files: dict[str, File] = {}
    for artifact in artifacts:
        if artifact.path in files:
            raise ValueError(f"two artifacts claim {artifact.path}")
        files[artifact.path] = File(artifact, written(artifact))
    return Bundle(tuple(files[path] for path in sorted(files)))


def manifest(entries: Iterable[Object]) -> File:
    """The manifest of the files that ``listed`` described."""
    found = sorted(entries, key=lambda each: str(each["path"]))
    lines = "".join(f"{each['path']}\0{each['digest']}\n" for each in found)
    digest = hashlib.sha256(lines.encode()).hexdigest()
    body: Object = {"format": FORMAT, "digest": f"sha256:{digest}", "artifacts": found}
    about = "Every artifact with its digest, the keys that shaped it and the rows it serves."
    artifact = Artifact(MANIFEST, body, about, keys=())
    return File(artifact, written(artifact))


def listed(file: File) -> Object:
    """A file as the manifest names it."""
    found: Object = {
        "path": file.path,
        "digest": f"sha256:{file.digest}",
        "about": file.artifact.about,
        "keys": list(file.artifact.keys),
        "rows": list(file.artifact.rows),
    }
    if file.artifact.overrides:
        found["overrides"] = list(file.artifact.overrides)
    return found
