"""What is in a repository, and how it is made smaller."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from holdfast.supply.images.layout import BadImage, blob_of, parsed
from holdfast.supply.registry.client import Registry
from holdfast.supply.registry.retention import Verdict, Version

_CREATED = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)")


def versions(registry: Registry, repository: str) -> Iterator[Version]:
    """Every tag with its digest and age. Raises ``RegistryError`` and ``BadImage``."""
    for tag in registry.tags(repository):
        manifest = registry.manifest(repository, tag)
        body = parsed(manifest.data)
        refers = tuple(blob_of(each).digest for each in body.get("manifests") or ())
        created = _created(registry, repository, body, refers)
        yield Version(tag, manifest.digest, created, refers)


def _created(
    registry: Registry, repository: str, body: dict[str, Any], refers: tuple[str, ...]
) -> float:
    """The configuration's date; of an index that of its first platform."""
    if refers:
        body = parsed(registry.manifest(repository, refers[0]).data)
    if "config" not in body:
        return 0.0
    try:
        about = parsed(registry.blob(repository, blob_of(body["config"]).digest))
    except BadImage:
        return 0.0
    found = _CREATED.match(str(about.get("created", "")))
    if not found:
        return 0.0
    return datetime.fromisoformat(found[1] + found[2].replace("Z", "+00:00")).timestamp()


def doomed(verdicts: Sequence[Verdict]) -> list[str]:
    """Digests to delete: indexes before their platforms, never what a kept version refers to."""
    kept = {
        digest
        for each in verdicts
        if each.stays
        for digest in (each.version.digest, *each.version.refers)
    }
    found: dict[str, None] = {}
    for each in verdicts:
        if not each.stays:
            for digest in (each.version.digest, *each.version.refers):
                if digest not in kept:
                    found[digest] = None
    return list(found)
