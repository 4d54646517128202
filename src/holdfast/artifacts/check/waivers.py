"""Findings that a person accepted for a while, and waivers that no longer say anything."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from holdfast.spec.production.waivers import Waiver
from holdfast.supply.finding import Finding, Severity

_DAY = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")


@dataclass(frozen=True, slots=True)
class Settled:
    """``open`` count; ``waived`` are told with the reason."""

    open: tuple[Finding, ...]
    waived: tuple[tuple[Finding, str], ...]


def settle(
    findings: Iterable[Finding], waivers: Sequence[Waiver], today: str, silent: Collection[str] = ()
) -> Settled:
    """Sort findings by whether a waiver accepts them. ``today`` is a day such as 2027-06-30.

    A waiver that has ended or has no day is a finding. So is one that fits nothing, as a warning,
    unless the checker of its rule is in ``silent``: then nobody looked.
    """
    counted, waived, used = [], [], set()
    for finding in findings:
        fits = [i for i, each in enumerate(waivers) if _fits(each, finding)]
        used.update(fits)
        good = [i for i in fits if _counts(waivers[i], today)]
        if good:
            waived.append((finding, waivers[good[0]].reason))
        else:
            counted.append(finding)
    return Settled((*counted, *_idle(waivers, used, today, silent)), tuple(waived))


def _fits(waiver: Waiver, finding: Finding) -> bool:
    return (
        fnmatchcase(finding.rule, waiver.rule)
        and fnmatchcase(finding.artifact, waiver.artifact)
        and fnmatchcase(finding.found, waiver.found)
    )


def _counts(waiver: Waiver, today: str) -> bool:
    return bool(_DAY.fullmatch(waiver.expires)) and not _over(waiver, today)


def _over(waiver: Waiver, today: str) -> bool:
    return waiver.expires < today  # days in this form compare as texts


def _idle(
    waivers: Sequence[Waiver], used: Collection[int], today: str, silent: Collection[str]
) -> Iterator[Finding]:
    for index, waiver in enumerate(waivers):
        key = f"waivers[{index}]"
        if not _DAY.fullmatch(waiver.expires):
            found = f"the day {waiver.expires!r}"
            yield Finding("waiver/day", "holdfast.yaml", found, "such as 2027-06-30", key=key)
        elif _over(waiver, today):
            found = f"a waiver of {waiver.rule} that ended on {waiver.expires}"
            yield Finding("waiver/expired", "holdfast.yaml", found, "a repair", key=key)
        elif index not in used and waiver.rule.partition("/")[0] not in silent:
            found = f"a waiver of {waiver.rule} for {waiver.artifact} that nothing needs"
            where = ("waiver/unused", "holdfast.yaml", found, "no waiver")
            yield Finding(*where, key=key, severity=Severity.WARNING)
