"""No image by a tag that may mean another image tomorrow."""

from __future__ import annotations

import re
from collections.abc import Iterator

from holdfast.artifacts.check.whole import Whole
from holdfast.artifacts.check.written import Written, walk
from holdfast.artifacts.names import image
from holdfast.spec.model import Service
from holdfast.supply.finding import Finding, Severity

#: A tag that names one version: it has a digit and is no mere major or minor (``1``, ``v2``).
_EXACT = re.compile(r"(?=.*\d).*[.\-_].*|[0-9a-f]{7,40}")
_FLOATING = re.compile(
    r"(^|[-_.])(latest|stable|main|master|edge|nightly|dev|current|lts)([-_.]|$)"
)
_FROM = re.compile(r"^FROM\s+(?:--\S+\s+)*(?P<image>\S+)(?:\s+AS\s+(?P<stage>\S+))?", re.I)
_FIELDS = ("image", "imageName")


def check(whole: Whole) -> Iterator[Finding]:
    """Each image is said once, at its first place."""
    places: dict[str, list[tuple[Written, int]]] = {}
    for file in whole.files:
        for line, found in _images(file):
            places.setdefault(found, []).append((file, line))
    for found, each in places.items():
        if _unpinned(found):
            yield _judged(found, each, whole.service)


def _images(file: Written) -> Iterator[tuple[int, str]]:
    if "Dockerfile" in file.path.rpartition("/")[2]:
        yield from _from_lines(file)
    for index, document in enumerate(file.objects):
        for place, value in walk(document):
            if place and place[-1] in _FIELDS and isinstance(value, str) and _is_image(value):
                yield file.line(index, place), value


def _from_lines(file: Written) -> Iterator[tuple[int, str]]:
    stages: set[str] = set()
    for number, line in enumerate(file.text.splitlines(), 1):
        if match := _FROM.match(line):
            if match["image"] not in stages | {"scratch"}:
                yield number, match["image"]
            stages.add(match["stage"] or "")


def _is_image(value: str) -> bool:
    return "/" in value or ":" in value


def _unpinned(found: str) -> bool:
    return not any(sign in found for sign in ("@sha256:", "$", "{{"))


def _judged(found: str, places: list[tuple[Written, int]], service: Service | None) -> Finding:
    file, line = places[0]
    more = f" at {len(places)} places" if len(places) > 1 else ""
    own = service is not None and found == image(service)  # its version is whatever the spec says
    key = "image.digest" if own else file.key
    if not own and _may_move(found):
        words = f"the image {found}, whose tag may move{more}"
        return Finding("holdfast/image-tag", file.path, words, "a version and a digest", line, key)
    words, wanted = f"the image {found} without a digest{more}", f"{found}@sha256:..."
    place = (file.path, words, wanted, line, key)
    return Finding("holdfast/image-digest", *place, severity=Severity.WARNING)


def _may_move(found: str) -> bool:
    name, _, tag = found.rpartition(":")
    if not name or "/" in tag:  # a port of the registry, and no tag
        return True
    return bool(_FLOATING.search(tag)) or not _EXACT.fullmatch(tag)
