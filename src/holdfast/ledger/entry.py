"""What one entry of the ledger is, and the exact bytes of its leaf.

A leaf is one line of canonical JSON after a format word, then the body as it is::

    holdfast-entry/v1 {"body":"inline","bytes":17,"index":4,"kind":"Started",...,"wall_us":...}\\n
    <body>

Entries of a tiled log may not exceed 65,535 bytes. A body that would is kept as a blob, and the
leaf carries ``"body":"sha256:<hex>"`` in its place, so the leaf commits to it all the same.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

from holdfast.runtime.codec import canonical

LEAF_BYTES_MAX = 65_535
NAME_BYTES_MAX = 255
INLINE_BYTES_MAX = 62_000  # leaves room for the longest header
FORMAT = b"holdfast-entry/v1 "


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry before it has a place in history.

    ``urgent`` entries may use the reserve when the disk is full: what ends or takes back a
    rollout. Everything else is then refused with ``LedgerFull``.
    """

    stream: str
    kind: str
    body: bytes
    wall: float  # seconds since 1970, kept to the microsecond
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of history. ``blob`` is the digest when the body is kept beside the leaf."""

    index: int
    stream: str
    kind: str
    body: bytes
    wall_us: int
    blob: str | None = None

    @property
    def wall(self) -> float:
        return self.wall_us / 1e6


def check(draft: Draft) -> None:
    """Refuse what cannot become an entry, before it joins a batch with others."""
    for name, word in (("stream", draft.stream), ("kind", draft.kind)):
        if not 1 <= len(word.encode()) <= NAME_BYTES_MAX:
            raise ValueError(f"found {name} {word[:40]!r}, wanted 1 to {NAME_BYTES_MAX} bytes")
        if "\0" in word:  # PostgreSQL keeps no such text
            raise ValueError(f"found {name} {word[:40]!r}, wanted no NUL in it")
    if not (math.isfinite(draft.wall) and 0 <= draft.wall < 2**43):
        raise ValueError(f"found wall {draft.wall!r}, wanted seconds since 1970")


def place(draft: Draft, index: int) -> Entry:
    """The entry that a checked draft becomes at ``index``."""
    body = bytes(draft.body)
    blob = digest_of(body) if len(body) > INLINE_BYTES_MAX else None
    return Entry(index, draft.stream, draft.kind, body, round(draft.wall * 1e6), blob)


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def leaf_data(entry: Entry) -> bytes:
    """The bytes that are hashed into the tree and exported."""
    header = {
        "body": f"sha256:{entry.blob}" if entry.blob else "inline",
        "bytes": len(entry.body),
        "index": entry.index,
        "kind": entry.kind,
        "stream": entry.stream,
        "wall_us": entry.wall_us,
    }
    inline = b"" if entry.blob else entry.body
    return FORMAT + canonical(header) + b"\n" + inline
