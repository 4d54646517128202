"""Pure: which copies give a moment back, where history has gaps, what may be deleted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from holdfast.recovery.entries import (
    Base,
    Contents,
    Entry,
    Escrow,
    Expired,
    Marker,
    Proof,
    Segment,
    lsn_text,
    segment_name,
    segment_number,
)
from holdfast.recovery.trouble import BackupTrouble, Gap, Unreachable


@dataclass(frozen=True, slots=True)
class Target:
    """The moment that is wanted. At most one is given; none means: as late as possible."""

    time: float | None = None  # Unix seconds
    lsn: int | None = None
    marker: str | None = None

    def __str__(self) -> str:
        if self.time is not None:
            return f"time {self.time:.6f}"
        if self.lsn is not None:
            return f"log position {lsn_text(self.lsn)}"
        return f"marker {self.marker}" if self.marker is not None else "the end of the log"


@dataclass(frozen=True, slots=True)
class Restore:
    """What to fetch, in order, and what is known of the result."""

    base: Base
    log: tuple[Segment, ...]
    histories: tuple[Segment, ...]
    target: Target
    reaches: int  # log position up to which the log is whole
    proven: bool


def fold(entries: Iterable[Entry]) -> Contents:
    found = Contents()
    for entry in entries:
        found = _with(found, entry)
    return found


def _with(found: Contents, entry: Entry) -> Contents:
    match entry:
        case Escrow():
            return replace(found, escrow=(*found.escrow, entry))
        case Base():
            return replace(found, bases=(*found.bases, entry))
        case Segment():
            found.segments[entry.name] = entry
            return found
        case Marker():
            found.markers[entry.name] = entry
            return found
        case Proof():
            return replace(found, proofs=(*found.proofs, entry))
        case Expired():
            return _without(found, frozenset(entry.paths))
        case _:
            assert_never(entry)


def _without(found: Contents, paths: frozenset[str]) -> Contents:
    return replace(
        found,
        bases=tuple(base for base in found.bases if base.stored.path not in paths),
        segments={n: s for n, s in found.segments.items() if s.stored.path not in paths},
    )


def whole_log(found: Contents, base: Base) -> tuple[tuple[Segment, ...], int]:
    """The unbroken log from the start of ``base``, and the position up to which it reaches.

    A timeline ends where the next one begins: the name of the segment is then the next one's.
    """
    timeline, size = base.timeline, base.segment_size
    number, reaches = base.start // size, base.start
    log: list[Segment] = []
    while True:
        segment = _on(found, timeline, number, size)
        if segment is None:
            return tuple(log), reaches
        timeline = segment_number(segment.name, size)[0]
        log.append(segment)
        reaches = segment.until or (number + 1) * size
        if segment.partial:
            return tuple(log), reaches
        number += 1


def _on(found: Contents, timeline: int, number: int, size: int) -> Segment | None:
    """The segment on the youngest timeline that has it, not older than ``timeline``."""
    candidates = (
        found.segments.get(segment_name(line, number, size))
        for line in range(_youngest(found, timeline), timeline - 1, -1)
    )
    return next((each for each in candidates if each is not None), None)


def _youngest(found: Contents, least: int) -> int:
    histories = (int(n[:8], 16) for n in found.segments if n.endswith(".history"))
    return max((least, *histories))


def plan_restore(found: Contents, target: Target) -> Restore:
    """The latest base from which an unbroken log leads to ``target``; a proven one is preferred.

    Raises ``Unreachable`` when the moment lies outside and ``Gap`` when a part is missing.
    """
    if not found.bases:
        raise Unreachable("there is no base backup yet; holdfast backup run")
    early = [base for base in found.bases if _begins_before(found, base, target)]
    if not early:
        first = min(found.bases, key=lambda base: base.at)
        words = f"{target} is before the first backup, which was whole at {first.at:.6f}"
        raise Unreachable(f"{words} ({lsn_text(first.stop)})")
    choices = sorted(early, key=lambda base: (base.id in found.proven, base.at), reverse=True)
    problems: list[BackupTrouble] = []
    for base in choices:
        try:
            return _from(found, base, target)
        except BackupTrouble as error:
            problems.append(error)
    raise problems[0]


def _begins_before(found: Contents, base: Base, target: Target) -> bool:
    position = _position(found, target)
    if position is not None:
        return base.stop <= position
    return target.time is None or base.at <= target.time


def _position(found: Contents, target: Target) -> int | None:
    if target.marker is None:
        return target.lsn
    if target.marker not in found.markers:
        known = ", ".join(list(found.markers)[-5:]) or "none"
        raise Unreachable(f"there is no marker {target.marker!r}; the latest are: {known}")
    return found.markers[target.marker].lsn


def _from(found: Contents, base: Base, target: Target) -> Restore:
    log, reaches = whole_log(found, base)
    gap = next(iter(gaps(found, base)), None)
    if reaches < base.stop:
        missing = segment_name(base.timeline, reaches // base.segment_size, base.segment_size)
        raise Gap(f"base {base.id} is not consistent: log is missing from {missing} on")
    position = _position(found, target)
    late = position is not None and reaches < position
    late |= target.time is not None and (not log or log[-1].at < target.time)
    if late and gap is not None:
        raise Gap(f"log segment {gap} is missing, so {target} cannot be reached")
    if late:
        raise Unreachable(
            f"{target} is later than the stored log, which ends at {lsn_text(reaches)}"
        )
    histories = tuple(s for n, s in sorted(found.segments.items()) if n.endswith(".history"))
    return Restore(base, log, histories, target, reaches, base.id in found.proven)


def gaps(found: Contents, base: Base) -> tuple[str, ...]:
    """Names of segments that are missing between the start of ``base`` and the latest one."""
    size = base.segment_size
    stored = sorted(
        segment_number(name, size) for name in found.segments if not name.endswith(".history")
    )
    numbers = {number for timeline, number in stored if timeline >= base.timeline}
    later = [number for number in numbers if number >= base.start // size]
    if not later:
        return ()
    whole = range(base.start // size, max(later) + 1)
    return tuple(segment_name(base.timeline, n, size) for n in whole if n not in numbers)


def behind(found: Contents, now: float) -> float | None:
    """Seconds of history that would be lost if the database vanished now; None without log."""
    stored = [segment.at for segment in found.segments.values()]
    return max(0.0, now - max(stored)) if stored else None


def expirable(found: Contents, now: float, keep_s: float) -> tuple[str, ...]:
    """Paths that no moment of the last ``keep_s`` seconds needs.

    The latest proven base stays with all its log, however old: an unproven one may be no backup.
    """
    kept = _kept_bases(found.bases, found.proven, now - keep_s)
    if not kept:
        return ()
    first = min(kept, key=lambda base: base.start)
    bases = [base.stored.path for base in found.bases if base not in kept]
    size = first.segment_size
    log = [
        segment.stored.path
        for name, segment in found.segments.items()
        if not name.endswith(".history") and segment_number(name, size)[1] < first.start // size
    ]
    return tuple(sorted(bases + log))


def _kept_bases(bases: Sequence[Base], proven: frozenset[str], since: float) -> list[Base]:
    """Those since then, the last before it (it gives the first moments back), the last proven."""
    ordered = sorted(bases, key=lambda base: base.at)
    young = [base for base in ordered if base.at >= since]
    old = [base for base in ordered if base.at < since]
    shown = [base for base in ordered if base.id in proven]
    return [*old[-1:], *young, *(base for base in shown[-1:] if base not in (*old[-1:], *young))]
