"""Images into a registry: from a layout on disk, or from another registry. Resumable.

Blobs first, then platforms, then the index, then the tag: a reader never sees half an image. What
is there is not sent again; an upload that was broken off goes on where the registry has got to,
even in another process, because its place is written down. A registry that lost its place (as
distribution 2.8 does when a request was cut in the middle) is sent that one blob again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast.supply.images.layout import (
    INDEX_TYPES,
    BadImage,
    Blob,
    Layout,
    blob_of,
    digest_of,
    parsed,
)
from holdfast.supply.registry.client import TRIES, Manifest, Registry, RegistryError

PIECE = 4 * 2**20  # bytes of one request of an upload


@dataclass
class Sent:
    """What a transfer did, in blobs and bytes."""

    uploaded: int = 0
    there: int = 0
    mounted: int = 0
    resumed: int = 0
    bytes: int = 0
    tags: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Place:
    """Where an image goes, and where half-done work is written down (a directory of our own)."""

    registry: Registry
    repository: str
    spool: Path
    siblings: tuple[str, ...] = ()  # repositories whose blobs may be mounted


#: Gives the path of a verified file with the blob's bytes.
Fetch = Callable[[Blob], Path]


def push(layout: Layout, place: Place, tag: str) -> tuple[str, Sent]:
    """A layout under a tag; its digest. Raises ``RegistryError``, ``BadImage``, ``OSError``."""
    sent = Sent()
    top = layout.top()

    def read(blob: Blob) -> Manifest:
        return Manifest(blob.media_type, blob.digest, layout.read(blob))

    def fetch(blob: Blob) -> Path:
        layout.verify(blob)
        return layout.path(blob.digest)

    _send(read(top), read, fetch, place, sent)
    place.registry.put_manifest(place.repository, tag, read(top))
    sent.tags.append(tag)
    return top.digest, sent


def copy(source: Registry, repository: str, tag: str, place: Place) -> tuple[str, Sent]:
    """A tag from another registry; its digest. Raises as ``push`` does."""
    sent = Sent()
    manifest = source.manifest(repository, tag)

    def read(blob: Blob) -> Manifest:
        return source.manifest(repository, blob.digest)

    def fetch(blob: Blob) -> Path:
        return _downloaded(source, repository, blob, place.spool)

    if not is_there(place, tag, manifest.digest):
        _send(manifest, read, fetch, place, sent)
        place.registry.put_manifest(place.repository, tag, manifest)
        sent.tags.append(tag)
    return manifest.digest, sent


def is_there(place: Place, tag: str, digest: str) -> bool:
    """Whether the tag is this image already."""
    try:
        return place.registry.manifest(place.repository, tag).digest == digest
    except RegistryError as error:
        if error.status == 404:
            return False
        raise


def _send(
    manifest: Manifest, read: Callable[[Blob], Manifest], fetch: Fetch, place: Place, sent: Sent
) -> None:
    """What a manifest refers to, then itself, by digest."""
    body = parsed(manifest.data)
    if manifest.media_type in INDEX_TYPES or "manifests" in body:
        for each in body.get("manifests") or ():
            _send(read(blob_of(each)), read, fetch, place, sent)
    else:
        for blob in _blobs(body):
            _send_blob(blob, fetch, place, sent)
    place.registry.put_manifest(place.repository, manifest.digest, manifest)


def _blobs(body: dict[str, Any]) -> Iterator[Blob]:
    layers = body.get("layers")
    if "config" not in body or not isinstance(layers, list):
        raise BadImage("a manifest has no configuration or no layers")
    seen: set[str] = set()
    for each in (*layers, body["config"]):
        blob = blob_of(each)
        if blob.digest not in seen:
            seen.add(blob.digest)
            yield blob


def _send_blob(blob: Blob, fetch: Fetch, place: Place, sent: Sent) -> None:
    if place.registry.has_blob(place.repository, blob.digest):
        sent.there += 1
        return
    if _mounted(blob, place):
        sent.mounted += 1
        return
    path = fetch(blob)
    _upload(path, blob, place, sent)
    sent.uploaded += 1
    if path.parent == place.spool:
        path.unlink()


def _mounted(blob: Blob, place: Place) -> bool:
    """A blob that another repository of the registry has is not sent."""
    for sibling in place.siblings:
        if place.registry.has_blob(sibling, blob.digest):
            return not place.registry.start(place.repository, blob.digest, sibling)
    return False


def _upload(path: Path, blob: Blob, place: Place, sent: Sent) -> None:
    """Pieces in order; after a stumble the registry is asked how far it got."""
    note = _note(place, blob)
    location, offset = _begun(note, place, blob)
    sent.resumed += bool(offset)
    failures = 0
    with path.open("rb") as file:
        while offset < blob.size:
            file.seek(offset)
            piece = file.read(PIECE)
            try:
                location = place.registry.append(place.repository, location, offset, piece)
            except RegistryError as error:
                failures += 1
                if failures >= TRIES or (error.status and error.status < 500):
                    raise
                location, offset = _again(location, place)
                continue
            offset, failures = offset + len(piece), 0
            sent.bytes += len(piece)
            _write(note, {"location": location})
    place.registry.finish(place.repository, location, blob.digest)
    note.unlink(missing_ok=True)


def _begun(note: Path, place: Place, blob: Blob) -> tuple[str, int]:
    """An upload that another process began, or a new one."""
    location = _read(note).get("location")
    if isinstance(location, str) and location.startswith(("http://", "https://")):
        found = place.registry.progress(place.repository, location)
        if found is not None and found[1] <= blob.size:
            return found
    location = place.registry.start(place.repository)
    _write(note, {"location": location})
    return location, 0


def _again(location: str, place: Place) -> tuple[str, int]:
    found = place.registry.progress(place.repository, location)
    return found if found is not None else (place.registry.start(place.repository), 0)


def _downloaded(source: Registry, repository: str, blob: Blob, spool: Path) -> Path:
    """A verified file in the spool; what an earlier process got of it is not fetched again."""
    spool.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = spool / blob.digest.partition(":")[2]
    if path.is_file() and digest_of(path) == blob.digest:
        return path
    part = path.with_suffix(".part")
    have = part.stat().st_size if part.is_file() else 0
    with source.stream(repository, blob.digest, have if have < blob.size else 0) as (begins, data):
        _store(part, begins, data)
    if digest_of(part) != blob.digest:
        part.unlink()
        raise RegistryError(f"{source.host} gave other bytes for {blob.digest}")
    part.rename(path)
    return path


def _store(part: Path, begins: int, data: Iterable[bytes]) -> None:
    with part.open("r+b" if begins else "wb") as file:
        file.seek(begins)
        for piece in data:
            file.write(piece)
        file.truncate()


def _note(place: Place, blob: Blob) -> Path:
    key = f"{place.registry.host}/{place.repository}@{blob.digest}"
    return place.spool / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.upload"


def _write(note: Path, body: dict[str, str]) -> None:
    note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside = note.with_suffix(".new")
    beside.write_text(json.dumps(body))
    os.replace(beside, note)


def _read(note: Path) -> dict[str, Any]:
    try:
        found = json.loads(note.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
