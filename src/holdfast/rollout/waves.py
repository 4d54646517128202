"""Waves: a ladder of regions. The rollout engine's own idea, one level up.

Each region rolls the release out by its own rollout, with its own steps and verdicts; the ending of
that rollout is all that the wave sees of it. One region at a time is opened, the next one only
after the one before was promoted and baked; a failure is one verdict for the whole fleet and ends
in one abort for it. Regions that were promoted are kept warm until the group is done
(``keep_warm_s``), so taking them back is one route write each. A closed window holds the next
opening and never a way back.

As in the engine: facts first, orders are *desired minus observed*, and repeating one is harmless.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import assert_never

from holdfast.rollout.model import Ending, Hold, HoldCode, Plan
from holdfast.rollout.state import Phase, ServiceState

Region = str


class OnFailure(StrEnum):
    ABORT_ALL = "abort-all"  # open nothing more, take back every region
    ABORT_REST = "abort-rest"  # open nothing more; regions that were promoted keep the release
    CONTINUE = "continue"  # the failed region stays behind, the others go on


@dataclass(frozen=True, slots=True)
class WavePlan:
    """Regions in order, and what a failure of one means for all."""

    regions: tuple[Region, ...]
    bake_s: float = 60.0  # a promoted region is watched so long before the next one is opened
    on_failure: OnFailure = OnFailure.ABORT_ALL
    unhealthy_max: int = 0  # so many regions may fail before ``on_failure`` applies
    region_s: float = 3600.0  # a region that has not ended by then has failed


# ---- what is seen of a region -------------------------------------------------------------------


class RegionPhase(StrEnum):
    IDLE = "idle"  # has nothing to do with this release
    ROLLING = "rolling"
    PROMOTED = "promoted"
    REVERTING = "reverting"
    REVERTED = "reverted"
    STRANDED = "stranded"
    SILENT = "silent"  # its conductor does not answer


@dataclass(frozen=True, slots=True)
class RegionSeen:
    """A region's own account of the release of this wave."""

    phase: RegionPhase
    detail: str = ""


SILENCE = RegionSeen(RegionPhase.SILENT)
AT_REST = frozenset({RegionPhase.IDLE, RegionPhase.REVERTED, RegionPhase.STRANDED})


def region_seen(state: ServiceState, digest: str) -> RegionSeen:
    """What a region's service says about the release with this digest."""
    run = state.rollout
    if run is None:
        return RegionSeen(RegionPhase.IDLE)
    takes_back = run.plan.rollback and run.plan.old is not None and run.plan.old.digest == digest
    if run.live:
        back = takes_back or (run.plan.new.digest == digest and run.phase is Phase.REVERTING)
        if back:
            return RegionSeen(RegionPhase.REVERTING)
        about = run.plan.new.digest == digest
        return RegionSeen(RegionPhase.ROLLING if about else RegionPhase.IDLE)
    if state.stable is not None and state.stable.digest == digest:
        return RegionSeen(RegionPhase.PROMOTED)
    if not takes_back and run.plan.new.digest != digest:
        return RegionSeen(RegionPhase.IDLE)
    stranded = run.ending is Ending.STRANDED
    return RegionSeen(RegionPhase.STRANDED if stranded else RegionPhase.REVERTED, run.reason)


# ---- facts --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RegionOpened:
    at: float
    region: Region


@dataclass(frozen=True, slots=True)
class RegionBegan:
    """Its own rollout was seen: from here on, IDLE means that somebody replaced it."""

    at: float
    region: Region


@dataclass(frozen=True, slots=True)
class RegionPromoted:
    at: float
    region: Region


@dataclass(frozen=True, slots=True)
class RegionFailed:
    at: float
    region: Region
    reason: str


@dataclass(frozen=True, slots=True)
class RegionLeft:
    """The way back has ended here. ``whole`` is False when a person must look at it."""

    at: float
    region: Region
    whole: bool


@dataclass(frozen=True, slots=True)
class WaveAborted:
    """``everything``: also the regions that were promoted go back."""

    at: float
    by: str
    reason: str
    everything: bool


class WaveEnding(StrEnum):
    PROMOTED = "promoted"  # in every region
    PARTIAL = "partial"  # some regions have it, the failed ones do not
    REVERTED = "reverted"  # no region has it
    STRANDED = "stranded"  # a region could not be taken back: a person is needed


@dataclass(frozen=True, slots=True)
class WaveFinished:
    at: float
    ending: WaveEnding


WaveEvent = (
    RegionOpened
    | RegionBegan
    | RegionPromoted
    | RegionFailed
    | RegionLeft
    | WaveAborted
    | WaveFinished
)


# ---- state --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RegionState:
    """What the wave remembers about one region."""

    opened_at: float | None = None
    began: bool = False
    promoted_at: float | None = None
    failed: str = ""
    back_at: float | None = None  # since when it is to be taken back
    left: bool | None = None  # the way back has ended; True: whole

    @property
    def settled(self) -> bool:
        return self.left is not None or (self.promoted_at is not None and self.back_at is None)


@dataclass(frozen=True, slots=True)
class WaveState:
    plan: WavePlan
    regions: Mapping[Region, RegionState] = field(default_factory=dict)
    abort: WaveAborted | None = None
    ending: WaveEnding | None = None

    def of(self, region: Region) -> RegionState:
        return self.regions.get(region, RegionState())

    @property
    def opened(self) -> tuple[Region, ...]:
        return tuple(r for r in self.plan.regions if self.of(r).opened_at is not None)

    @property
    def failed(self) -> tuple[Region, ...]:
        return tuple(r for r in self.plan.regions if self.of(r).failed)


def evolve_wave(state: WaveState, event: WaveEvent) -> WaveState:
    """The state after one more fact. Total, as ``rollout.state.evolve``."""
    match event:
        case WaveAborted():
            return _aborted(state, event)
        case WaveFinished():
            return replace(state, ending=event.ending)
        case RegionOpened():
            now = replace(state.of(event.region), opened_at=event.at)
        case RegionBegan():
            now = replace(state.of(event.region), began=True)
        case RegionPromoted():
            now = replace(state.of(event.region), promoted_at=event.at)
        case RegionFailed():
            now = replace(state.of(event.region), failed=event.reason, back_at=event.at)
        case RegionLeft():
            now = replace(state.of(event.region), left=event.whole)
        case _:
            assert_never(event)
    return replace(state, regions={**state.regions, event.region: now})


def _aborted(state: WaveState, event: WaveAborted) -> WaveState:
    regions = dict(state.regions)
    for region in state.opened:
        one = regions[region]
        kept = one.promoted_at is not None and not event.everything
        if one.back_at is None and not kept:
            regions[region] = replace(one, back_at=event.at)
    return replace(state, regions=regions, abort=event)


def abort_wave(state: WaveState, by: str, reason: str, at: float) -> tuple[WaveEvent, ...]:
    """A person's abort: always wins, takes back everything, is a no-op once nothing runs."""
    if state.ending is not None or (state.abort is not None and state.abort.everything):
        return ()
    return (WaveAborted(at, by, reason, everything=True),)


# ---- deciding -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Open:
    """Deploy the release in this region, by the region's own rollout."""

    region: Region


@dataclass(frozen=True, slots=True)
class Halt:
    """Abort the region's rollout while it is on its way up."""

    region: Region


@dataclass(frozen=True, slots=True)
class Revert:
    """Roll the region back: it was promoted, and what served before is still warm."""

    region: Region


WaveOrder = Open | Halt | Revert


@dataclass(frozen=True, slots=True)
class WaveDecision:
    events: tuple[WaveEvent, ...] = ()
    orders: tuple[WaveOrder, ...] = ()
    holds: tuple[Hold, ...] = ()


def decide_waves(
    state: WaveState, seen: Mapping[Region, RegionSeen], now: float, gate: str | None = None
) -> WaveDecision:
    """Which facts became true, and what to do now. A region not in ``seen`` is silent.

    ``gate`` says why nothing new may be opened; the way back does not ask it.
    """
    if state.ending is not None:
        return WaveDecision()
    events: list[WaveEvent] = []

    def record(event: WaveEvent) -> None:
        nonlocal state
        events.append(event)
        state = evolve_wave(state, event)

    for region in state.opened:
        for event in _news(state, region, seen.get(region, SILENCE), now):
            record(event)
    if (verdict := _verdict(state, now)) is not None:
        record(verdict)
    ready, holds = _next(state, seen, now)
    if ready is not None and gate is None:
        record(RegionOpened(now, ready))
    elif ready is not None:
        holds = (Hold(HoldCode.WINDOW_CLOSED, f"{ready} is next, but {gate}"),)
    if (ending := _ending(state, ready, holds)) is not None:
        record(WaveFinished(now, ending))
    return WaveDecision(tuple(events), _orders(state, seen), holds)


def _news(state: WaveState, region: Region, seen: RegionSeen, now: float) -> list[WaveEvent]:
    """What became true of one opened region."""
    one, phase = state.of(region), seen.phase
    if one.left is not None:
        return []
    if one.back_at is not None:
        return _news_of_return(state.plan, region, one, phase, now)
    found: list[WaveEvent] = []
    if not one.began and phase not in (RegionPhase.IDLE, RegionPhase.SILENT):
        found.append(RegionBegan(now, region))
    if why := _failure(state.plan, one, seen, now):
        found.append(RegionFailed(now, region, why))
    elif phase is RegionPhase.PROMOTED and one.promoted_at is None:
        found.append(RegionPromoted(now, region))
    return found


def _failure(plan: WavePlan, one: RegionState, seen: RegionSeen, now: float) -> str:
    assert one.opened_at is not None, "only opened regions are watched"
    match seen.phase:
        case RegionPhase.REVERTED | RegionPhase.STRANDED:
            return seen.detail or f"its rollout ended {seen.phase}"
        case RegionPhase.IDLE if one.began:
            return "its rollout was replaced by another"
        case RegionPhase.PROMOTED:
            return ""
        case _:
            since = one.opened_at if one.promoted_at is None else one.promoted_at + plan.bake_s
            late = now - since >= plan.region_s
            return f"{seen.phase} for {plan.region_s:g} s without an ending" if late else ""


def _news_of_return(
    plan: WavePlan, region: Region, one: RegionState, phase: RegionPhase, now: float
) -> list[WaveEvent]:
    assert one.back_at is not None, "it is to be taken back"
    if phase in AT_REST:
        return [RegionLeft(now, region, whole=phase is not RegionPhase.STRANDED)]
    late = now - one.back_at >= plan.region_s
    return [RegionLeft(now, region, whole=False)] if late else []


def _verdict(state: WaveState, now: float) -> WaveAborted | None:
    """One verdict for the fleet: more regions have failed than the plan puts up with."""
    plan, failed = state.plan, state.failed
    harmless = plan.on_failure is OnFailure.CONTINUE or len(failed) <= plan.unhealthy_max
    if state.abort is not None or harmless:
        return None
    reason = "; ".join(f"{region}: {state.of(region).failed}" for region in failed)
    return WaveAborted(now, "holdfast", reason, plan.on_failure is OnFailure.ABORT_ALL)


def _next(
    state: WaveState, seen: Mapping[Region, RegionSeen], now: float
) -> tuple[Region | None, tuple[Hold, ...]]:
    """The region that may be opened now, or why nothing may be yet; neither: nothing is left."""
    if waits := [h for r in state.opened if (h := _waits(state, r, seen.get(r, SILENCE), now))]:
        return None, tuple(waits)
    if state.abort is not None:
        return None, ()
    return next((r for r in state.plan.regions if state.of(r).opened_at is None), None), ()


def _waits(state: WaveState, region: Region, seen: RegionSeen, now: float) -> Hold | None:
    one = state.of(region)
    if not one.settled:
        going = "is taken back" if one.back_at is not None else f"is {seen.phase}"
        silent = seen.phase is RegionPhase.SILENT
        return Hold(HoldCode.TARGET if silent else HoldCode.QUEUED, f"{region} {going}")
    if one.promoted_at is None or one.left is not None or state.abort is not None:
        return None
    rest = one.promoted_at + state.plan.bake_s - now
    if rest > 0:
        return Hold(HoldCode.BAKING, f"{region} is watched for {rest:.0f} s more")
    if seen.phase is not RegionPhase.PROMOTED:
        return Hold(HoldCode.TARGET, f"{region} was promoted and is {seen.phase} now")
    return None


def _ending(state: WaveState, ready: Region | None, holds: tuple[Hold, ...]) -> WaveEnding | None:
    if ready is not None or holds:
        return None
    ends = [state.of(region) for region in state.opened]
    if any(one.left is False for one in ends):
        return WaveEnding.STRANDED
    kept = [one for one in ends if one.left is None]
    if len(kept) == len(state.plan.regions):
        return WaveEnding.PROMOTED
    return WaveEnding.PARTIAL if kept else WaveEnding.REVERTED


def _orders(state: WaveState, seen: Mapping[Region, RegionSeen]) -> tuple[WaveOrder, ...]:
    """Desired minus observed; silent regions are told once they answer."""
    orders: list[WaveOrder] = []
    for region in state.opened:
        one, phase = state.of(region), seen.get(region, SILENCE).phase
        if one.back_at is not None:  # also after it left: an opening may have arrived late
            if phase is RegionPhase.ROLLING:
                orders.append(Halt(region))
            elif phase is RegionPhase.PROMOTED:
                orders.append(Revert(region))
        elif phase is RegionPhase.IDLE and not one.began:
            orders.append(Open(region))
    return tuple(orders)


# ---- planning -----------------------------------------------------------------------------------


def kept_warm(plan: Plan, wave: WavePlan) -> Plan:
    """A region's plan whose old fleet outlives the whole group: its way back stays one write."""
    group_s = len(wave.regions) * (wave.region_s + wave.bake_s)
    limits = replace(plan.limits, keep_warm_s=max(plan.limits.keep_warm_s, group_s))
    return replace(plan, limits=limits)
