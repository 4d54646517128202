"""An image as files: the OCI image layout, read and verified.

Source: opencontainers/image-spec, image-layout.md, manifest.md and config.md. Every blob is
addressed by its SHA-256 and is read only if it has it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
#: What buildx adds to an index beside the platforms: provenance and SBOM.
ATTESTATION = "attestation-manifest"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_CHUNK = 2**20


class BadImage(Exception):
    """Bytes that are not the image they say they are."""


@dataclass(frozen=True, slots=True)
class Blob:
    """A piece of an image: what it is, its address and its size in bytes."""

    media_type: str
    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class Image:
    """One platform of an image."""

    manifest: Blob
    config: Blob
    layers: tuple[Blob, ...]
    about: dict[str, Any]  # the configuration

    @property
    def platform(self) -> str:
        return f"{self.about.get('os', '?')}/{self.about.get('architecture', '?')}"

    @property
    def user(self) -> str:
        return str((self.about.get("config") or {}).get("User", ""))

    def steps(self) -> list[str]:
        """What made each layer, oldest first; empty where nobody wrote it down."""
        said = [
            str(each.get("created_by", ""))
            for each in self.about.get("history") or ()
            if not each.get("empty_layer")
        ]
        return [*said, *[""] * len(self.layers)][: len(self.layers)]


@dataclass(frozen=True)
class Layout:
    """A directory of the layout's form."""

    root: Path

    def top(self) -> Blob:
        """The one image of the directory: an index over platforms or one manifest."""
        path = self.root / "index.json"
        try:
            listed = json.loads(path.read_bytes())["manifests"]
            found = [blob_of(each) for each in listed]
        except FileNotFoundError:
            raise BadImage(f"{self.root} is no OCI image layout: it has no index.json") from None
        except (ValueError, KeyError, TypeError) as error:
            raise BadImage(f"{path} cannot be read: {error}") from None
        if len(found) != 1:
            raise BadImage(f"{path} lists {len(found)} images; one is wanted")
        return found[0]

    def path(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise BadImage(f"{digest!r} is no SHA-256 digest")
        return self.root / "blobs" / "sha256" / digest.partition(":")[2]

    def read(self, blob: Blob) -> bytes:
        """A small blob as a whole, verified. Raises ``BadImage``."""
        try:
            data = self.path(blob.digest).read_bytes()
        except OSError as error:
            raise BadImage(f"{blob.digest} is missing: {error.strerror}") from None
        if f"sha256:{hashlib.sha256(data).hexdigest()}" != blob.digest:
            raise BadImage(f"{blob.digest} has other bytes than its digest says")
        return data

    def verify(self, blob: Blob) -> None:
        """A large blob, without holding it. Raises ``BadImage``."""
        if digest_of(self.path(blob.digest)) != blob.digest:
            raise BadImage(f"{blob.digest} has other bytes than its digest says")

    def images(self) -> Iterator[Image]:
        """Every platform; attestations are no platform. Raises ``BadImage``."""
        for manifest in self.manifests():
            body = parsed(self.read(manifest))
            if "layers" in body:
                config = blob_of(body["config"])
                layers = tuple(blob_of(each) for each in body["layers"])
                yield Image(manifest, config, layers, parsed(self.read(config)))

    def manifests(self) -> Iterator[Blob]:
        """The manifests of the platforms."""
        top = self.top()
        if top.media_type not in INDEX_TYPES:
            yield top
            return
        for each in parsed(self.read(top))["manifests"]:
            kind = (each.get("annotations") or {}).get("vnd.docker.reference.type")
            if kind != ATTESTATION:
                yield blob_of(each)


def blob_of(descriptor: Any) -> Blob:  # noqa: ANN401  # JSON
    """A descriptor of a manifest. Raises ``BadImage``."""
    try:
        digest, size = descriptor["digest"], descriptor["size"]
        media_type = str(descriptor.get("mediaType", ""))
    except (KeyError, TypeError, AttributeError):
        raise BadImage("a descriptor has no digest or no size") from None
    if not isinstance(size, int) or not _DIGEST.fullmatch(str(digest)):
        raise BadImage(f"{digest!r} of {size!r} bytes is no blob")
    return Blob(media_type, digest, size)


def parsed(data: bytes) -> dict[str, Any]:
    """A JSON object. Raises ``BadImage``."""
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise BadImage("a manifest or configuration is no JSON object")
    return found


def digest_of(path: Path) -> str:
    """Raises ``BadImage`` where the file cannot be read."""
    summed = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while piece := file.read(_CHUNK):
                summed.update(piece)
    except OSError as error:
        raise BadImage(f"{path} cannot be read: {error.strerror}") from None
    return f"sha256:{summed.hexdigest()}"
