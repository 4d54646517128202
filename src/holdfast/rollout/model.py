"""The vocabulary of a rollout: releases, plans, facts (past tense), orders (imperative), holds.

Everything is frozen data. Times are engine seconds: monotonic, continued over restarts of the
conductor from the last recorded fact, so down time never counts as bake time. Weights are whole
percent of the service's traffic. Sizes are counts of instances.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from holdfast.spec.release import Release as Release
from holdfast.spec.release import ReleaseId as ReleaseId

# ---- plan ---------------------------------------------------------------------------------------


class Strategy(StrEnum):
    ROLLING = "rolling"
    BLUE_GREEN = "blue-green"
    CANARY = "canary"


@dataclass(frozen=True, slots=True)
class Step:
    """One rung. The step ends when its evidence is there, after ``hold_s`` at the earliest."""

    weight: int  # percent of traffic the new release carries on this rung
    fleet: int  # percent of ``replicas`` the new release has on this rung
    hold_s: float = 0.0  # at least this long after the weight was acknowledged
    hold_s_max: float = 300.0  # judged no longer than this, then INSUFFICIENT is acted upon
    judged: bool = False  # a PASS verdict is needed to leave the rung
    approvals: int = 0  # distinct people who must approve before leaving the rung


class OnShortEvidence(StrEnum):
    HOLD = "hold"
    PROMOTE = "promote"
    ROLLBACK = "rollback"


class OnConflict(StrEnum):
    REPLACE = "replace"
    QUEUE = "queue"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Limits:
    """Deadlines and floors. All are checked before any step code, on engine seconds."""

    rollout_s: float = 600.0  # the whole rollout, people's pauses excluded
    step_s: float = 300.0  # one step from entry to its weight being acknowledged
    progress_s: float = 120.0  # no more ready new instances than ever before
    drain_s: float = 30.0  # in-flight work may take this long
    keep_warm_s: float = 900.0  # the old release stays whole this long after promotion
    bake_s: float = 0.0  # watched at 100 % before it is called promoted
    max_surge: int = 2  # instances above ``replicas`` (rolling)
    max_unavailable: int = 0  # instances below ``replicas`` (rolling)
    source_down_s: float = 60.0  # the metric store may be silent this long
    on_source_down: OnShortEvidence = OnShortEvidence.HOLD
    on_insufficient: OnShortEvidence = OnShortEvidence.ROLLBACK
    crash_loop: int = 3  # restarts of new instances that mean crash loop


@dataclass(frozen=True, slots=True)
class JudgePolicy:
    """How the counts are judged; see ``rollout/verdict.py``."""

    alpha: float = 0.01  # chance of a false stop per rollout, split over the metrics
    warm_up_s: float = 10.0  # counts of the first seconds on a step are not judged
    ratio_tolerated: float = 1.25  # effect-size floor: up to this ratio is not a regression
    error_rate_max: float = 0.01  # what PASS shows: fewer errors than this, at 95 %
    confidence: float = 0.95
    metrics: tuple[str, ...] = ("errors",)  # blocking, at most six: "errors", "slow"
    slow_rate_max: float = 0.05  # what PASS shows for "slow"
    sick_rate: float = 0.2  # a control failing more often than this is COMMON_CAUSE
    dispersion: float = 1.0  # variance/mean of the control before the rollout; >1: bursts


@dataclass(frozen=True, slots=True)
class Plan:
    """Immutable; nothing is left to choose later. Pinned by digest while the rollout runs."""

    rollout: str  # rollout id
    strategy: Strategy
    old: Release | None  # None: first deploy
    new: Release
    replicas: int
    ladder: tuple[Step, ...]
    limits: Limits = field(default_factory=Limits)
    judge: JudgePolicy = field(default_factory=JudgePolicy)
    rollback: bool = False  # a rollback: windows and freezes do not apply, nothing is judged
    repair: bool = False  # the old release was sick before: judge the new one by itself
    deaths_before: int = 0  # of new instances in an earlier life: no crash loop of this rollout


# ---- what was seen ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Failure:
    """Why instances of a fleet cannot serve. ``hopeless`` means waiting will not help."""

    code: str  # see FAILURES
    detail: str
    log_tail: tuple[str, ...] = ()
    hopeless: bool = True


#: Every reason a target may give, in the words that people read.
FAILURES = {
    "missing-binary": "the program to run does not exist or cannot be executed",
    "exits-at-once": "the program ends right after its start",
    "crash-loop": "the program keeps dying",
    "never-listens": "the program runs but never listens on its port",
    "never-ready": "the program listens but its readiness probe never passes",
    "port-taken": "another program already listens on the port",
    "disk-full": "no space left for logs or working files",
    "smoke-failed": "the smoke request before traffic got a wrong answer",
    "wrong-version": "the program answers with another version than was deployed",
    "out-of-memory": "the program was killed for using more memory than its limit",
    "quota": "the target refuses more instances",
    "image-pull": "the image cannot be pulled",
    "config-missing": "a config file or secret the release refers to does not exist",
    "admission-denied": "a policy of the target refused the release",
    "unschedulable": "no machine of the target has room for the instance",
    "evicted": "the machine of the instance took its room back",
}


@dataclass(frozen=True, slots=True)
class FleetSeen:
    """All instances of one release, as the target sees them now."""

    release: ReleaseId
    starting: int = 0
    ready: int = 0  # passes probes, smoke and version check, and the data plane says healthy
    draining: int = 0
    failed: int = 0
    in_flight: int = 0  # requests or connections the fleet still works on
    restarts: int = 0  # cumulative unexpected deaths
    failure: Failure | None = None

    @property
    def size(self) -> int:
        return self.starting + self.ready + self.draining + self.failed


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests of one arm in one interval. Deltas, reset-aware; never negative."""

    requests: int = 0
    errors: int = 0
    slow: int = 0  # slower than the promised latency


class Source(StrEnum):
    """The state of the metric source: absence of evidence is a third answer."""

    OK = "ok"
    DOWN = "down"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the counters: the interval since the previous look."""

    source: Source = Source.OK
    seconds: float = 0.0
    arms: tuple[tuple[ReleaseId, Counts], ...] = ()

    def arm(self, release: ReleaseId) -> Counts:
        return dict(self.arms).get(release, Counts())


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at the world, stamped by the conductor."""

    now: float  # engine seconds
    fleets: tuple[FleetSeen, ...] = ()
    weights: tuple[tuple[ReleaseId, int], ...] = ()  # as the data plane acknowledged them
    sample: Sample = field(default_factory=Sample)
    gate: str | None = None  # why no rollout may start or rise now: window, freeze, budget
    drift: str | None = None  # somebody changed routes or instances outside: who, what

    def fleet(self, release: ReleaseId) -> FleetSeen:
        return next((f for f in self.fleets if f.release == release), FleetSeen(release))

    def weight(self, release: ReleaseId) -> int:
        return dict(self.weights).get(release, 0)


# ---- orders: desired ends, never changes --------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Scale:
    """Have exactly ``size`` instances of ``release``; 0 retires it. Victims drain first.

    ``idle`` is a precondition the target re-checks at the moment of acting: it refuses while the
    release carries traffic, or is about to because a route is not acknowledged yet.
    """

    release: ReleaseId
    size: int
    generation: int
    idle: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """Send traffic by ``weights`` (they add up to 100). Done when the data plane acknowledges.

    ``needs`` is the precondition the target re-checks at the moment of acting: at least that
    many ready instances of each named release; otherwise the target refuses.
    """

    weights: tuple[tuple[ReleaseId, int], ...]
    generation: int
    needs: tuple[tuple[ReleaseId, int], ...] = ()


Order = Scale | Route


class HoldCode(StrEnum):
    """Why nothing moves. People, the console and tests read the same word."""

    STARTING = "starting"  # instances are not ready yet
    ROUTING = "routing"  # the data plane has not acknowledged yet
    SOAKING = "soaking"  # the minimum time on this step
    NEEDS_SAMPLES = "needs-samples"  # INSUFFICIENT: says how many more requests
    SOURCE_DOWN = "source-down"
    COMMON_CAUSE = "common-cause"
    NEEDS_APPROVAL = "needs-approval"
    PAUSED = "paused"
    WINDOW_CLOSED = "window-closed"
    DRAINING = "draining"
    REFUGE = "refuge"  # the wanted release cannot answer: traffic stays where it is answered
    DRIFT = "drift"
    QUEUED = "queued"
    BAKING = "baking"
    LEDGER = "ledger"  # facts cannot be recorded, so nothing is done
    TARGET = "target"  # the target refused or does not answer
    STRANDED = "stranded"  # nothing proven is left to go back to; a person is needed


@dataclass(frozen=True, slots=True)
class Hold:
    code: HoldCode
    detail: str


# ---- verdicts -----------------------------------------------------------------------------------


class Mark(StrEnum):
    PASS = "pass"
    FAIL = "fail"
    INSUFFICIENT = "insufficient"
    SOURCE_DOWN = "source-down"
    COMMON_CAUSE = "common-cause"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one metric showed. ``e_value`` is the evidence against the new release."""

    metric: str
    new_bad: int
    new_requests: int
    old_bad: int
    old_requests: int
    e_value: float
    bound: float  # FAIL at e_value >= bound


@dataclass(frozen=True, slots=True)
class Verdict:
    mark: Mark
    detail: str
    needed: int = 0  # more clean requests on the new release until PASS
    evidence: tuple[Evidence, ...] = ()


# ---- facts --------------------------------------------------------------------------------------
# Every event has ``at`` (engine seconds). ``by`` names the person or "engine".


@dataclass(frozen=True, slots=True)
class Started:
    at: float
    plan: Plan
    by: str
    forced: bool = False


@dataclass(frozen=True, slots=True)
class Queued:
    at: float
    plan: Plan
    by: str


@dataclass(frozen=True, slots=True)
class Dequeued:
    """A queued rollout was let go: meanwhile it serves already, or was taken back."""

    at: float
    rollout: str
    reason: str


@dataclass(frozen=True, slots=True)
class StepEntered:
    at: float
    step: int


@dataclass(frozen=True, slots=True)
class WeightReached:
    """The data plane acknowledged the weight of the current step."""

    at: float
    step: int


@dataclass(frozen=True, slots=True)
class Measured:
    """Counters of one interval, kept so that a verdict can be replayed from the ledger."""

    at: float
    sample: Sample


@dataclass(frozen=True, slots=True)
class Progressed:
    """More new instances are ready than ever before; flapping is not progress."""

    at: float
    ready: int


@dataclass(frozen=True, slots=True)
class Slipped:
    """After the weight was reached the new fleet fell below what the step needs."""

    at: float
    ready: int


@dataclass(frozen=True, slots=True)
class Judged:
    at: float
    step: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class SettleEntered:
    """100 % reached and judged; baking before it is called promoted."""

    at: float


@dataclass(frozen=True, slots=True)
class RevertOrdered:
    at: float
    code: str  # "verdict", "failure", "deadline-rollout", "deadline-step", "no-progress", "abort"..
    reason: str
    by: str


class Ending(StrEnum):
    PROMOTED = "promoted"
    REVERTED = "reverted"
    SUPERSEDED = "superseded"
    STRANDED = "stranded"


@dataclass(frozen=True, slots=True)
class Finished:
    at: float
    ending: Ending
    reason: str


@dataclass(frozen=True, slots=True)
class WarmEnded:
    """The previous release was let go: its warm time is over or it cannot be kept."""

    at: float
    release: ReleaseId
    reason: str


@dataclass(frozen=True, slots=True)
class Paused:
    at: float
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Resumed:
    at: float
    by: str


@dataclass(frozen=True, slots=True)
class Approved:
    at: float
    step: int
    by: str


@dataclass(frozen=True, slots=True)
class PromoteRequested:
    """A person skips the rest of the current step's wait (never its hard gates)."""

    at: float
    by: str


@dataclass(frozen=True, slots=True)
class AbortRequested:
    at: float
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Scaled:
    """The wanted number of replicas changed; never a rollout."""

    at: float
    replicas: int
    by: str


@dataclass(frozen=True, slots=True)
class ConductorStarted:
    """A conductor took the lease: evidence and hold timers of the running step start afresh."""

    at: float
    generation: int  # fencing token: actors with a smaller one are refused
    owner: str


@dataclass(frozen=True, slots=True)
class Retired:
    """The service was taken down by a person."""

    at: float
    by: str


Event = (
    Started
    | Queued
    | Dequeued
    | StepEntered
    | WeightReached
    | Measured
    | Progressed
    | Slipped
    | Judged
    | SettleEntered
    | RevertOrdered
    | Finished
    | WarmEnded
    | Paused
    | Resumed
    | Approved
    | PromoteRequested
    | AbortRequested
    | Scaled
    | ConductorStarted
    | Retired
)


@dataclass(frozen=True, slots=True)
class Decision:
    """What one judgement of one look came to. Events are recorded before orders are performed."""

    events: tuple[Event, ...] = ()
    orders: tuple[Order, ...] = ()
    holds: tuple[Hold, ...] = ()
    wake_s: float = 1.0  # look again after this long at the latest
