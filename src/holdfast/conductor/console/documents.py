"""What the console and ``holdfast top`` read, as typed documents like those of ``client.py``."""

from __future__ import annotations

from typing import TypedDict

from holdfast.conductor.client import StatusDoc


class ArmDoc(TypedDict):
    """One release in one interval. Milliseconds; null where the target measures no latency."""

    release: str
    requests: int
    errors: int
    slow: int
    p50_ms: float | None
    p99_ms: float | None


class PointDoc(TypedDict):
    """One interval: seconds since 1970 at its end, its length, weights in percent."""

    wall: float
    seconds: float
    weights: dict[str, int]
    arms: list[ArmDoc]


class SeriesDoc(TypedDict):
    service: str
    points: list[PointDoc]


class PulseDoc(TypedDict):
    """A service's latest interval: requests per second, shares of them, milliseconds."""

    wall: float
    rate: float
    errors: float
    slow: float
    p99_ms: float | None


class CardDoc(TypedDict):
    """One service at a glance. ``spark`` holds requests per second, oldest first."""

    status: StatusDoc
    pulse: PulseDoc | None
    spark: list[float]


class RungDoc(TypedDict):
    """One step of a ladder. ``standing``: done, now, ahead; back (left from here), left."""

    weight: int
    fleet: int
    hold_s: float
    hold_s_max: float
    judged: bool
    approvals: int
    standing: str


class EvidenceDoc(TypedDict):
    """What one metric showed so far; fails at ``e_value >= bound``."""

    metric: str
    new_bad: int
    new_requests: int
    old_bad: int
    old_requests: int
    e_value: float
    bound: float


class PromiseDoc(TypedDict):
    """One promise of the spec, by its number in the mission and in words."""

    promise: str
    says: str
    bound: str


class RegionDoc(TypedDict):
    name: str
    cloud: str
    primary: bool


class SheetDoc(TypedDict):
    """What is worth knowing of one service besides its status."""

    service: str
    rollout: str | None
    running: bool
    ladder: list[RungDoc]
    mark: str | None
    says: str
    needed: int
    evidence: list[EvidenceDoc]
    promises: list[PromiseDoc]
    regions: list[RegionDoc]


class LinkDoc(TypedDict):
    """A link that signs one browser in, once. The code is in the fragment: no server logs it."""

    url: str
    expires_s: float
    role: str
