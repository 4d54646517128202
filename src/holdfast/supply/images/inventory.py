"""What is installed in an image, by the records that package managers leave.

Debian: ``/var/lib/dpkg/status`` or ``status.d/*`` in distroless (deb822). Python: ``METADATA`` of
``*.dist-info`` (PEP 566). Node: ``package.json`` below ``node_modules``. Addresses are package
URLs (package-url/purl-spec).
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import Parser
from urllib.parse import quote

from holdfast.supply.images.contents import entries
from holdfast.supply.images.layout import Image, Layout

_RECORD = re.compile(
    r"(?P<deb>var/lib/dpkg/status(\.d/(?!.*\.md5sums$)[^/]+)?)"
    r"|(?P<pypi>.*\.dist-info/METADATA)"
    r"|(?P<npm>.*node_modules/(@[^/]+/)?[^/]+/package\.json)"
)
_LARGEST = 32 * 2**20  # a record larger than this is none
_WHITEOUT = ".wh."


@dataclass(frozen=True, slots=True, order=True)
class Package:
    """``kind`` is the type of a package URL: deb, pypi, npm."""

    kind: str
    name: str
    version: str

    @property
    def url(self) -> str:
        name = self.name
        if self.kind == "pypi":
            name = re.sub(r"[-_.]+", "-", name).lower()
        place = "debian/" if self.kind == "deb" else ""
        return f"pkg:{self.kind}/{place}{quote(name, safe='/')}@{quote(self.version, safe='')}"


def packages(layout: Layout, image: Image) -> list[Package]:
    """Everything a record names, once, in a stable order. Raises ``BadImage``."""
    records: dict[str, list[Package]] = {}
    for blob in image.layers:
        layout.verify(blob)
        for entry, archive in entries(layout.path(blob.digest)):
            path = posixpath.normpath(entry.name).lstrip("/")
            _forget(records, path)
            kind = _RECORD.fullmatch(path)
            if kind and entry.isreg() and entry.size <= _LARGEST:
                file = archive.extractfile(entry)
                text = file.read().decode(errors="replace") if file else ""
                records[path] = list(_read(str(kind.lastgroup), text))
    return sorted({each for found in records.values() for each in found})


def _forget(records: dict[str, list[Package]], path: str) -> None:
    """A later layer removes a file or a directory by a name of its own."""
    directory, name = posixpath.split(path)
    if not name.startswith(_WHITEOUT):
        return
    gone = directory if name == ".wh..wh..opq" else f"{directory}/{name.removeprefix(_WHITEOUT)}"
    for known in [each for each in records if each == gone or each.startswith(f"{gone}/")]:
        del records[known]


def _read(kind: str, text: str) -> Iterator[Package]:
    if kind == "npm":
        yield from _node(text)
        return
    name, paragraphs = ("Package", text.split("\n\n")) if kind == "deb" else ("Name", [text])
    for paragraph in paragraphs:
        fields = Parser().parsestr(paragraph.lstrip(), headersonly=True)
        if fields[name] and fields["Version"]:
            yield Package(kind, str(fields[name]).strip(), str(fields["Version"]).strip())


def _node(text: str) -> Iterator[Package]:
    try:
        body = json.loads(text)
        name, version = body["name"], body["version"]
    except (ValueError, KeyError, TypeError):
        return
    if isinstance(name, str) and isinstance(version, str):
        yield Package("npm", name, version)
