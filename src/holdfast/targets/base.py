"""What every target can do. Five verbs; the conductor knows nothing else about a target.

``perform`` states an end and is idempotent: repeating it is harmless, and the next turn is the
retry. An order of an older generation than the newest one seen is refused (fencing).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from holdfast.rollout.model import FleetSeen, Order, Release, ReleaseId
from holdfast.spec.model import Service


class TargetError(Exception):
    """Base. ``Refused`` means the target said no; ``Unreachable`` means nobody answered."""


class Refused(TargetError):
    """The target said no: stale generation, broken precondition, hopeless launch."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code, self.detail = code, detail


class Unreachable(TargetError):
    """No answer: whether the order was performed is unknown, so look again."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A release and all that is needed to start it. Stored by digest in the ledger's blobs.

    Relative paths of the spec (``run.cwd``, config files) begin at ``base_dir``.
    """

    release: Release
    service: Service
    base_dir: str = "."


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the target; the conductor stamps it and joins the metric sample."""

    fleets: tuple[FleetSeen, ...]
    weights: tuple[tuple[ReleaseId, int], ...]  # acknowledged by the data plane, add up to 100
    drift: str | None = None


@dataclass(frozen=True, slots=True)
class RawCounts:
    """Cumulative counters of one release since its data-plane cluster exists."""

    requests: int
    errors: int
    slow: int
    #: How many took at least so many milliseconds, and less than the next bound; for people.
    times: tuple[tuple[float, int], ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Fault:
    """A declared misfortune, for drills: kind, on what, how much."""

    kind: str  # e.g. "kill-replica", "kill-envoy", "hang-replica", "latency"
    subject: str = ""
    amount: float = 0.0


class Target(Protocol):
    """One service on one target."""

    async def prepare(self, bundle: Bundle) -> None:
        """Make a release launchable (check binary, pull, stage); moves nothing. Idempotent.

        Raises ``Refused`` with a code of ``rollout.model.FAILURES`` when it can never start.
        """
        ...

    async def observe(self) -> Look: ...

    def watch(self, changed: Callable[[], None]) -> None:
        """``changed`` is called when another look is worth it. A hint: it may come too often, and
        whoever relies on looks still looks now and then."""
        ...

    async def perform(self, order: Order) -> None: ...

    async def counters(self) -> Mapping[ReleaseId, RawCounts]:
        """Cumulative request counters by release. Raises ``Unreachable``."""
        ...

    def suffer(self, fault: Fault) -> AbstractAsyncContextManager[None]: ...

    async def aclose(self) -> None:
        """Let go without stopping instances (detach). ``Scale(..., 0)`` stops them."""
        ...
