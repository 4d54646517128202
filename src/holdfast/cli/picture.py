"""One rollout as its events tell it. Pure: a fold from documents of the API to a frozen picture."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from holdfast.rollout.model import (
    Ending,
    Event,
    Finished,
    Judged,
    Plan,
    RevertOrdered,
    SettleEntered,
    Started,
    StepEntered,
    Verdict,
    WeightReached,
)
from holdfast.runtime.codec import Undecodable, decode

if TYPE_CHECKING:
    from holdfast.conductor.client import EventDoc, FailureDoc, HoldDoc, StatusDoc


@dataclass(frozen=True, slots=True)
class Picture:
    """What is known about the rollout that is watched."""

    rollout: str
    plan: Plan | None = None
    started_at: float = 0.0
    now: float = 0.0  # engine seconds of the latest news
    step: int = 0  # counts from 0
    reached: bool = False
    settling: bool = False
    verdict: Verdict | None = None
    holds: tuple[tuple[str, str], ...] = ()
    revert: RevertOrdered | None = None
    ending: Ending | None = None
    reason: str = ""
    failure: FailureDoc | None = None
    status: StatusDoc | None = None

    @property
    def elapsed_s(self) -> float:
        return max(0.0, self.now - self.started_at) if self.plan else 0.0


def event_of(document: EventDoc) -> Event | None:
    """The fact in a document; ``None`` for holds and for facts of a newer conductor."""
    if document["index"] is None:
        return None
    try:
        return cast(Event, decode(Event, document["body"]))
    except Undecodable:
        return None


def holds_of(document: EventDoc) -> tuple[tuple[str, str], ...] | None:
    """The holds in a document that is not a ledger entry."""
    if document["index"] is not None or "holds" not in document["body"]:
        return None
    return _pairs(document["body"]["holds"])


def absorb(picture: Picture, event: Event) -> Picture:  # noqa: PLR0911
    """One flat match: what does this fact change in the picture?"""
    if isinstance(event, Started):
        return _started(picture, event)
    if picture.plan is None or picture.ending is not None:
        return picture  # about an earlier or a later rollout
    # A look may be younger than this fact, but the fact's own time is what is told.
    picture = replace(picture, now=event.at)
    match event:
        case StepEntered():
            return replace(picture, step=event.step, reached=False, verdict=None, holds=())
        case WeightReached():
            return replace(picture, reached=True, holds=())
        case Judged():
            return replace(picture, verdict=event.verdict)
        case SettleEntered():
            return replace(picture, settling=True)
        case RevertOrdered():
            return replace(picture, revert=event, holds=())
        case Finished():
            return replace(picture, ending=event.ending, reason=event.reason, holds=())
        case _:
            return picture


def _started(picture: Picture, event: Started) -> Picture:
    if event.plan.rollout != picture.rollout:
        return picture
    return replace(picture, plan=event.plan, started_at=event.at, now=event.at)


def look(picture: Picture, status: StatusDoc) -> Picture:
    """What a look at the service adds: instances, weights, failures."""
    picture = replace(picture, status=status, failure=_failure(picture, status) or picture.failure)
    if picture.ending is not None:
        return picture
    now = max(picture.now, status["now"]) if picture.plan else picture.now
    return replace(picture, now=now, holds=_pairs(status["holds"]))


def unheard_ending(picture: Picture) -> Picture | None:
    """The picture with the ending that the last look saw, where no event told of it."""
    last = picture.status["state"]["last"] if picture.status else None
    if last is None or picture.ending or not picture.plan or last["rollout"] != picture.rollout:
        return None
    return replace(picture, ending=Ending(last["ending"]), reason=last["reason"], holds=())


def _failure(picture: Picture, status: StatusDoc) -> FailureDoc | None:
    if picture.plan is None:
        return None
    new = picture.plan.new.id
    return next((f["failure"] for f in status["fleets"] if f["release"] == new), None)


def _pairs(holds: list[HoldDoc] | list[dict[str, Any]]) -> tuple[tuple[str, str], ...]:
    return tuple((str(hold["code"]), str(hold["detail"])) for hold in holds)
