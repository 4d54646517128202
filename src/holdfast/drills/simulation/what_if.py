"""What would this rollout do? The spec's own rollout, played in virtual time a number of times.

The same engine, plan, verdict and conductor as in production; only instances and traffic are
simulated, so the answer is as good as the assumptions: start time, traffic, what is wrong.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import asdict, dataclass, field

from holdfast.drills.simulation.run import Rig
from holdfast.drills.simulation.scenario import KINDS, Scenario
from holdfast.rollout.model import RevertOrdered, Started, StepEntered, WeightReached
from holdfast.spec.model import Service
from holdfast.targets.base import Fault
from holdfast.targets.simulated.behaviour import Behaviour, Cast, Misfortune, Traffic, Weather
from holdfast.targets.simulated.loop import run_virtually


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What the prediction rests on."""

    kind: str = "good"  # of the new release, see ``scenario.KINDS``
    rate: float = 1000.0  # requests per second
    start_s: float = 1.0  # from launch to ready
    faults: tuple[Fault, ...] = ()  # each strikes once, some seconds after the deploy
    fault_s: float = 10.0  # and lasts this long
    seeds: int = 5


AMOUNT_MAX = 1e6


@dataclass(slots=True)
class Prediction:
    """What came of all plays. Times in seconds from the deploy."""

    service: str
    replicas: int
    strategy: str
    assumptions: Assumptions
    endings: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    steps: list[tuple[int, int, float]] = field(default_factory=list)  # step, weight, reached at
    holds: dict[str, float] = field(default_factory=dict)  # code -> mean seconds of the rollout
    requests: int = 0
    starved: int = 0
    breaches: int = 0

    def quantile(self, share: float) -> float | None:
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None

    def as_json(self) -> dict[str, object]:
        found = asdict(self)
        found |= {"endings": dict(self.endings), "reasons": dict(self.reasons)}
        found |= {"seconds_p50": self.quantile(0.5), "seconds_p95": self.quantile(0.95)}
        return found


def predict(service: Service, assume: Assumptions) -> Prediction:
    """Play the rollout of ``service`` from a healthy first release to one of ``assume.kind``."""
    strategy = service.rollout.strategy
    found = Prediction(service.service, service.replicas, strategy, assume)
    for seed in range(assume.seeds):
        _play(service, assume, seed, found)
    return found


def parse_fault(text: str) -> Fault:
    """``kind``, ``kind:subject`` or ``kind:subject:amount``; old and new stand for the releases.

    Raises ``ValueError`` with what was found and what is wanted.
    """
    kind, _, rest = text.partition(":")
    subject, _, written = rest.partition(":")
    releases = {"": "", "old": "v1", "new": "v2"}
    if subject not in releases:
        raise ValueError(f"found the subject {subject!r} in {text!r}, wanted old or new")
    try:
        amount = float(written or 0)
    except ValueError:
        amount = math.nan
    if not 0 <= amount <= AMOUNT_MAX:
        wanted = f"a number from 0 to {AMOUNT_MAX:g}"
        raise ValueError(f"found the amount {written!r} in {text!r}, wanted {wanted}")
    return Fault(kind, releases[subject], amount)


def _scenario(service: Service, assume: Assumptions, seed: int) -> Scenario:
    dice = random.Random(f"what if {seed}")
    v1 = Behaviour(start_s=assume.start_s)
    v2 = KINDS[assume.kind][1](dice)
    if assume.kind == "good":
        v2 = Behaviour(start_s=assume.start_s, start_spread_s=assume.start_s / 4)
    cast = Cast((("v1", v1), ("v2", v2)))
    strikes = [dice.uniform(0.0, assume.fault_s) for _ in assume.faults]
    misfortunes = tuple(
        Misfortune(at, at + assume.fault_s, fault)
        for at, fault in zip(strikes, assume.faults, strict=True)
    )
    troubles = tuple(fault.kind for fault in assume.faults) or ("what-if",)
    traffic, weather = Traffic(assume.rate, 0.1), Weather(misfortunes=misfortunes)
    return Scenario(seed, service, cast, assume.kind, traffic, weather, troubles=troubles)


def _play(service: Service, assume: Assumptions, seed: int, found: Prediction) -> None:
    rig = Rig(_scenario(service, assume, seed))
    outcome = run_virtually(rig.play())
    found.endings[outcome.ending] += 1
    found.requests += outcome.requests
    found.starved += outcome.starved
    found.breaches += len(outcome.breaches)
    if outcome.seconds is not None:
        found.seconds.append(round(outcome.seconds, 3))
    for code, seconds in outcome.holds.items():
        found.holds[code] = found.holds.get(code, 0.0) + seconds / assume.seeds
    _read(rig, found, first=seed == 0)


def _read(rig: Rig, found: Prediction, first: bool) -> None:
    """Steps of the first play, and the reasons of every way back, from the recorded facts."""
    began = 0.0
    weights: tuple[int, ...] = (0,)
    step = 0
    for fact in rig.journal.recall(rig.service):
        match fact:
            case Started():
                began, step = fact.at, 0
                weights = tuple(rung.weight for rung in fact.plan.ladder)
                if first:
                    found.steps.clear()
            case StepEntered():
                step = fact.step
            case WeightReached() if first:
                found.steps.append((step + 1, weights[step], round(fact.at - began, 3)))
            case RevertOrdered():
                found.reasons[fact.code] += 1
            case _:
                pass
