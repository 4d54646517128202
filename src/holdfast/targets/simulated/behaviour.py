"""How releases behave, what the traffic is like, and which misfortunes exist: plain data.

Every number is drawn once, by the seed, when a scenario is made; the world only replays it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum

from holdfast.rollout.model import ReleaseId
from holdfast.targets.base import Fault


class Fate(StrEnum):
    """What becomes of an instance after its start. All but the first are bad releases."""

    SERVES = "serves"
    EXITS_AT_ONCE = "exits-at-once"
    NEVER_LISTENS = "never-listens"
    NEVER_READY = "never-ready"
    SMOKE_FAILED = "smoke-failed"
    WRONG_VERSION = "wrong-version"
    CRASH_LOOP = "crash-loop"


#: Fates that a supervisor notices at the first death or wrong answer, not by waiting.
AT_ONCE = frozenset({Fate.EXITS_AT_ONCE, Fate.SMOKE_FAILED, Fate.WRONG_VERSION})


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How the instances of one release behave."""

    fate: Fate = Fate.SERVES
    start_s: float = 1.0  # from launch to ready
    start_spread_s: float = 0.0  # plus up to this much, drawn per instance
    life_s: float = 2.0  # crash loop: dies this long after it was ready
    error_rate: float = 0.0
    slow_rate: float = 0.0
    error_burst: float = 1.0  # errors come in clumps of this mean size
    cold_s: float = 0.0  # for this long after it was ready ...
    cold_error_rate: float = 0.0  # ... an instance fails this share on top
    flap_every_s: float = 0.0  # readiness is lost this often; 0: never
    flap_down_s: float = 0.5
    work_s: float = 0.2  # how long one request is in flight
    capacity: float = math.inf  # requests per second one instance can answer
    prepare_fails: str = ""  # a code of ``FAILURES``: the release can never be launched

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Behaviour:
        """``SIMULATED_ERROR_RATE=0.05`` in a spec's ``run.env`` and so on, for what-if runs."""
        given: dict[str, object] = {}
        for each in fields(cls):
            if (text := env.get(f"SIMULATED_{each.name.upper()}")) is not None:
                given[each.name] = _typed(each.name, text)
        return cls(**given)  # type: ignore[arg-type]


def _typed(name: str, text: str) -> object:
    if name == "fate":
        return Fate(text)
    return text if name == "prepare_fails" else float(text)


@dataclass(frozen=True, slots=True)
class Traffic:
    """The load on the service; ``noise`` is the relative size of the second-by-second wobble."""

    rate: float = 200.0  # requests per second
    noise: float = 0.0


@dataclass(frozen=True, slots=True)
class Misfortune:
    """A fault that exists from ``at`` until ``until`` (world seconds)."""

    at: float
    until: float
    fault: Fault


#: Every kind of fault a world understands: what it does, and what ``subject``/``amount`` mean.
FAULTS = {
    "kill-replica": "one instance (of release subject) dies now",
    "hang-replica": "one instance answers nothing until its probe notices after amount seconds",
    "kill-fleet": "all instances of release subject die at once; the supervisor restarts them",
    "lose-fleet": "release subject dies and can never be started again: image or host is gone",
    "metrics-down": "the metric store does not answer",
    "metrics-frozen": "the metric store answers, but its numbers stand still",
    "counter-reset": "the counters start from zero again",
    "no-traffic": "nobody calls",
    "burst": "amount times the usual traffic",
    "shared-outage": "a dependency fails amount of all requests, whatever release answers",
    "quota": "the target refuses more than amount instances in all",
    "slow-start": "instances take amount seconds longer to become ready",
    "nack": "the data plane rejects every new weight",
    "slow-ack": "the data plane takes amount seconds longer to acknowledge",
    "drift": "somebody moved the weights by hand: subject gets everything",
    "clock-jump": "the wall clock moves by amount seconds",
    "deaf": "the target does not answer at all",
}


@dataclass(frozen=True, slots=True)
class Weather:
    """What goes wrong between conductor and target, by chance, until ``calm_at``."""

    refused: float = 0.0  # share of orders refused for no good reason
    dropped: float = 0.0  # share of orders never performed and never answered
    lost: float = 0.0  # share of orders performed whose answer is lost
    hangs: float = 0.0  # share of orders that are answered only after a long time
    look_lost: float = 0.0  # share of looks without an answer
    latency_s: float = 0.001
    ack_s: float = 0.05  # from an accepted weight to its acknowledgement
    death_rate: float = 0.0  # deaths per ready instance and second
    calm_at: float = math.inf
    misfortunes: tuple[Misfortune, ...] = ()


@dataclass(frozen=True, slots=True)
class Cast:
    """Which release behaves how. Releases nobody named are healthy."""

    behaviours: tuple[tuple[ReleaseId, Behaviour], ...] = ()

    def of(self, release: ReleaseId) -> Behaviour:
        return dict(self.behaviours).get(release, Behaviour())
