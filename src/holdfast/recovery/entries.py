"""What the catalogue says, as values: one class for each kind of entry.

Times are Unix seconds of the database's host, log positions are bytes from the beginning of the
write-ahead log, timelines count from 1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_SEGMENT = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})")
_LSN = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")


@dataclass(frozen=True, slots=True)
class Escrow:
    """A recipient showed that the secret half opens. Sealed for nobody else."""

    at: float
    recipient: str  # id
    name: str


@dataclass(frozen=True, slots=True)
class Stored:
    """One object as it lies in the repository."""

    path: str
    size: int  # bytes, sealed
    sha256: str
    content: int  # bytes, inside


@dataclass(frozen=True, slots=True)
class Base:
    """A base backup: consistent from ``stop`` on."""

    at: float  # when it was whole
    id: str
    began: float
    timeline: int
    start: int  # log position from which the log is needed
    stop: int
    segment_size: int
    server: str  # version, e.g. "15.18"
    superuser: str  # whom the cluster was made by; a restored server can be asked as that role
    system: str  # the cluster's identifier: log of another cluster does not fit
    stored: Stored


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment of the write-ahead log, or a history file of a timeline."""

    at: float  # when it was stored
    name: str
    stored: Stored
    until: int = 0  # the log is whole up to here, when the segment is not: it was copied half full

    @property
    def partial(self) -> bool:
        return self.until > 0


@dataclass(frozen=True, slots=True)
class Marker:
    """A named moment, made before a deploy or a migration."""

    at: float
    name: str
    timeline: int
    lsn: int


@dataclass(frozen=True, slots=True)
class Proof:
    """A base backup was restored in a scratch instance and compared with what was known before."""

    at: float
    base: str
    target: str
    seconds: float  # from asking to the first write that was accepted
    compared: int  # facts that were compared
    differences: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        return not self.differences and self.compared > 0


@dataclass(frozen=True, slots=True)
class Expired:
    """These paths were deleted: nothing that is kept needs them."""

    at: float
    paths: tuple[str, ...]


Entry = Escrow | Base | Segment | Marker | Proof | Expired


@dataclass(frozen=True, slots=True)
class Contents:
    """The fold of the catalogue: what is there now."""

    escrow: tuple[Escrow, ...] = ()
    bases: tuple[Base, ...] = ()
    segments: dict[str, Segment] = field(default_factory=dict)  # by name; a later copy replaces
    markers: dict[str, Marker] = field(default_factory=dict)
    proofs: tuple[Proof, ...] = ()

    @property
    def proven(self) -> frozenset[str]:
        """Bases whose last proof holds. Everything else is not a backup yet."""
        last = {proof.base: proof.holds for proof in self.proofs}
        return frozenset(base for base, holds in last.items() if holds)


def segment_number(name: str, segment_size: int) -> tuple[int, int]:
    """Timeline, and which segment of the log it is. Raises ``ValueError``."""
    found = _SEGMENT.fullmatch(name)
    if found is None:
        raise ValueError(f"found {name[:60]!r}, wanted 24 hexadecimal digits of a log segment")
    timeline, high, low = (int(part, 16) for part in found.groups())
    return timeline, high * (0x1_0000_0000 // segment_size) + low


def segment_name(timeline: int, number: int, segment_size: int) -> str:
    high, low = divmod(number, 0x1_0000_0000 // segment_size)
    return f"{timeline:08X}{high:08X}{low:08X}"


def lsn(text: str) -> int:
    """``16/B374D848`` as a number of bytes. Raises ``ValueError``."""
    found = _LSN.fullmatch(text)
    if found is None:
        raise ValueError(f"found {text[:40]!r}, wanted a log position such as 16/B374D848")
    return (int(found[1], 16) << 32) + int(found[2], 16)


def lsn_text(position: int) -> str:
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"
