"""Which versions stay in a registry. Pure.

A version stays while it is deployed, protected by its name, among the newest, or young; only what
is none of these goes. What another version still refers to is never deleted.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

#: Tags that cosign and others make beside an image: they live as long as it does.
_BESIDE = re.compile(r"sha256-(?P<hash>[0-9a-f]{64})(\.[a-z]+)?")


@dataclass(frozen=True, slots=True)
class Version:
    """A tag of a repository. ``created``: seconds since 1970, 0.0 where it is not known."""

    tag: str
    digest: str
    created: float
    refers: tuple[str, ...] = ()  # digests of the platforms of an index


@dataclass(frozen=True, slots=True)
class Policy:
    """``keep`` newest, all younger than ``keep_for_s``, tags that match ``protected``."""

    keep: int
    keep_for_s: float
    protected: tuple[str, ...] = ()
    deployed: frozenset[str] = frozenset()  # tags or digests


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a version stays, and why."""

    version: Version
    stays: bool
    why: str


def judge(versions: Sequence[Version], policy: Policy, now: float) -> list[Verdict]:
    """A verdict for every version, newest first."""
    own = [each for each in versions if not _BESIDE.fullmatch(each.tag)]
    newest = sorted(own, key=lambda each: (each.created, each.tag), reverse=True)
    found = [_verdict(each, place, policy, now) for place, each in enumerate(newest)]
    kept = {each.version.digest: each.version.tag for each in found if each.stays}
    found = [_shared(each, kept) for each in found]
    beside = [each for each in versions if _BESIDE.fullmatch(each.tag)]
    return [*found, *(_with_its_image(each, kept) for each in beside)]


def _verdict(version: Version, place: int, policy: Policy, now: float) -> Verdict:
    age_s = now - version.created
    if version.tag in policy.deployed or _is_deployed(version, policy.deployed):
        return Verdict(version, True, "deployed")
    if any(fnmatchcase(version.tag, pattern) for pattern in policy.protected):
        return Verdict(version, True, "protected by its name")
    if place < policy.keep:
        return Verdict(version, True, f"one of the newest {policy.keep}")
    if not version.created:
        return Verdict(version, True, "its age is not known")
    if age_s < policy.keep_for_s:
        return Verdict(version, True, f"younger than {policy.keep_for_s / 86400:g} days")
    return Verdict(version, False, f"{age_s / 86400:.0f} days old, not among the newest")


def _is_deployed(version: Version, deployed: Collection[str]) -> bool:
    return version.digest in deployed or any(each in deployed for each in version.refers)


def _shared(verdict: Verdict, kept: dict[str, str]) -> Verdict:
    """Deleting a manifest removes every tag on it: one that a kept tag names must stay."""
    other = kept.get(verdict.version.digest)
    if verdict.stays or other is None:
        return verdict
    return Verdict(verdict.version, True, f"the same image as {other}")


def _with_its_image(version: Version, kept: Iterable[str]) -> Verdict:
    named = _BESIDE.fullmatch(version.tag)
    subject = f"sha256:{named['hash']}" if named else ""
    if subject in kept:
        return Verdict(version, True, "belongs to an image that stays")
    return Verdict(version, False, "belongs to an image that goes")
