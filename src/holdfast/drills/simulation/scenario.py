"""A seed becomes a scenario: releases, strategy, traffic, people, misfortunes, crashes.

"Swarm" style: each seed first draws *which* kinds of trouble exist at all, so that some runs are
calm, some suffer one thing purely, and some suffer everything. After ``calm_at`` all trouble is
over and the rollout must come to an end.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from holdfast.spec.model import Service
from holdfast.targets.base import Fault
from holdfast.targets.simulated.behaviour import Behaviour, Cast, Fate, Misfortune, Traffic, Weather

#: Trouble begins when the second release is deployed (after the first one serves) and ends here.
TROUBLE_S = 60.0


@dataclass(frozen=True, slots=True)
class Act:
    """Something a person does, ``at`` seconds after the second release was deployed."""

    at: float
    verb: str  # deploy, abort, pause, resume, promote, rollback, scale, redeploy
    subject: str = ""
    amount: int = 0


@dataclass(frozen=True, slots=True)
class Crashes:
    """The conductor dies at these writes (counted from the second deploy), before or after them."""

    writes: frozenset[int] = frozenset()
    durable: bool = True  # the write reached the disk before the end
    down_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """All that a run needs. Equal scenarios play equally."""

    seed: int
    service: Service
    cast: Cast
    kind: str  # what is (wrong) with the second release
    traffic: Traffic = field(default_factory=Traffic)
    weather: Weather = field(default_factory=Weather)  # times from the second deploy on
    acts: tuple[Act, ...] = ()
    crashes: Crashes = field(default_factory=Crashes)
    troubles: tuple[str, ...] = ()

    @property
    def gentle(self) -> bool:
        """No instance that once served ever fails for a reason outside the engine."""
        return not HARSH.intersection(self.troubles) and self.kind in GENTLE_KINDS


#: Releases by what is wrong with them, with their share of the seeds.
KINDS: dict[str, tuple[float, Callable[[random.Random], Behaviour]]] = {
    "good": (10, lambda d: Behaviour(start_s=_start(d), work_s=d.choice((0.05, 0.5, 5.0)))),
    "good-cold": (2, lambda d: Behaviour(start_s=_start(d), cold_s=0.8, cold_error_rate=0.05)),
    "good-slow-start": (2, lambda d: Behaviour(start_s=d.uniform(3, 8), start_spread_s=1.5)),
    "errors-5": (2, lambda d: Behaviour(start_s=_start(d), error_rate=0.05)),
    "errors-20": (3, lambda d: Behaviour(start_s=_start(d), error_rate=d.uniform(0.2, 0.5))),
    "errors-all": (2, lambda d: Behaviour(start_s=_start(d), error_rate=1.0)),
    "slow": (1, lambda d: Behaviour(start_s=_start(d), slow_rate=0.5)),
    "crash-loop": (2, lambda d: Behaviour(fate=Fate.CRASH_LOOP, life_s=d.uniform(0.3, 6))),
    "flaps": (2, lambda d: Behaviour(flap_every_s=d.uniform(0.5, 8), flap_down_s=0.3)),
    "exits-at-once": (1, lambda d: Behaviour(fate=Fate.EXITS_AT_ONCE)),
    "never-listens": (1, lambda d: Behaviour(fate=Fate.NEVER_LISTENS)),
    "never-ready": (1, lambda d: Behaviour(fate=Fate.NEVER_READY)),
    "smoke-failed": (1, lambda d: Behaviour(fate=Fate.SMOKE_FAILED)),
    "wrong-version": (1, lambda d: Behaviour(fate=Fate.WRONG_VERSION)),
    "cannot-launch": (1, lambda d: Behaviour(prepare_fails="missing-binary")),
}
#: Kinds whose instances, once ready, stay ready.
GENTLE_KINDS = frozenset(KINDS) - {"crash-loop", "flaps"}
#: Kinds no instance of which ever becomes ready.
DEAD_KINDS = frozenset(
    {"exits-at-once", "never-listens", "never-ready", "smoke-failed", "wrong-version"}
    | {"cannot-launch"}
)
#: Kinds so bad that a judged canary must never get past its first step.
CONDEMNED_KINDS = frozenset({"errors-20", "errors-all"}) | DEAD_KINDS


def _start(dice: random.Random) -> float:
    return dice.choice((0.05, 0.3, 1.0, 2.0))


#: Kinds of trouble and how likely a seed has each.
TROUBLES: dict[str, float] = {
    "refused": 0.2,
    "dropped": 0.2,
    "lost": 0.25,
    "hangs": 0.05,
    "look-lost": 0.15,
    "slow-ack": 0.15,
    "deaths": 0.15,
    "kill-replica": 0.1,
    "kill-fleet": 0.08,
    "kill-new": 0.06,
    "hang-replica": 0.08,
    "lose-old": 0.05,
    "lose-new": 0.03,
    "metrics-down": 0.12,
    "metrics-frozen": 0.05,
    "counter-reset": 0.1,
    "no-traffic": 0.08,
    "burst": 0.1,
    "shared-outage": 0.08,
    "quota": 0.06,
    "slow-start": 0.08,
    "nack": 0.06,
    "drift": 0.05,
    "clock-jump": 0.1,
    "deaf": 0.08,
    "crash-one": 0.25,
    "crash-many": 0.05,
    "people": 0.3,
}
#: Troubles in which instances that served fail, or traffic is moved, without the engine's doing.
HARSH = frozenset(
    {"deaths", "kill-replica", "kill-fleet", "kill-new", "hang-replica", "lose-old", "lose-new"}
    | {"drift", "quota"}
)


def make_scenario(seed: int) -> Scenario:
    """The scenario of a seed; the same on every machine and Python."""
    dice = random.Random(f"scenario {seed}")
    calm = dice.random() < 0.12
    troubles = tuple(t for t, chance in TROUBLES.items() if dice.random() < chance and not calm)
    kind = dice.choices(list(KINDS), [share for share, _ in KINDS.values()])[0]
    cast = {
        "v1": Behaviour(start_s=0.2, error_rate=dice.choice((0.0, 0.0, 0.0005)), work_s=0.3),
        "v2": KINDS[kind][1](dice),
        "v3": Behaviour(start_s=0.4),
    }
    return Scenario(
        seed,
        make_service(dice),
        Cast(tuple(cast.items())),
        kind,
        Traffic(dice.choice((60.0, 500.0, 3000.0)), noise=dice.choice((0.0, 0.1))),
        _weather(dice, troubles),
        _acts(dice, troubles),
        _crashes(dice, troubles),
        troubles,
    )


def make_service(dice: random.Random) -> Service:
    strategy = dice.choice(("rolling", "blue-green", "canary"))
    surge = dice.choice((0, 1, 2, 3))
    rollout: dict[str, Any] = {
        "strategy": strategy,
        "max_surge": surge,
        "max_unavailable": dice.choice((0, 1)) if surge else 1,
        "keep_warm": float(dice.choice((0, 5, 20))),
        "bake": float(dice.choice((0, 0, 3))),
        "deadline": float(dice.choice((40, 120))),
        "step_deadline": 30.0,
        "no_progress": 15.0,
        "drain": float(dice.choice((1, 10))),
        "on_conflict": dice.choice(("replace", "queue", "refuse")),
        "on_source_down": dice.choice(("hold", "promote", "rollback")),
        "on_insufficient": dice.choice(("hold", "promote", "rollback")),
        "source_down": 5.0,
        "analysis": {"error_rate_max": dice.choice((0.01, 0.02, 0.05)), "warm_up": 1.0},
    }
    if strategy == "canary":
        rollout["steps"] = _steps(dice)
    elif dice.random() < 0.1:
        rollout["approvals"] = 1
    return Service.model_validate(
        {
            "service": "shop",
            "run": "simulated",
            "target": "simulated",
            "replicas": dice.choice((1, 2, 3, 4, 10)),
            "rollout": rollout,
        }
    )


def _steps(dice: random.Random) -> list[dict[str, Any]]:
    ladder = dice.choice(((5, 25, 50, 100), (10, 100), (1, 10, 50, 100), (50, 100)))
    return [
        {
            "weight": weight,
            "hold": float(dice.choice((0, 0, 2))),
            "max": float(dice.choice((10, 25))),
            "approvals": dice.choice((0, 0, 0, 0, 1, 2)),
        }
        for weight in ladder
    ]


def _weather(dice: random.Random, troubles: tuple[str, ...]) -> Weather:
    """Chances for every order and look, and the misfortunes on the calendar."""

    def chance(trouble: str, most: float) -> float:
        return dice.uniform(0.02, most) if trouble in troubles else 0.0

    return Weather(
        refused=chance("refused", 0.4),
        dropped=chance("dropped", 0.3),
        lost=chance("lost", 0.3),
        hangs=chance("hangs", 0.05),
        look_lost=chance("look-lost", 0.3),
        latency_s=dice.choice((0.0005, 0.002, 0.05)),
        ack_s=dice.choice((0.001, 0.05, 0.5)),
        death_rate=chance("deaths", 0.05),
        calm_at=TROUBLE_S,
        misfortunes=tuple(m for t in troubles for m in _misfortunes(dice, t)),
    )


#: The trouble's word for a fault, its subject, and how much of it there is.
_MISFORTUNES: dict[str, tuple[str, str, tuple[float, ...]]] = {
    "kill-replica": ("kill-replica", "", (1, 2)),
    "kill-fleet": ("kill-fleet", "v1", (0,)),
    "kill-new": ("kill-fleet", "v2", (0,)),
    "hang-replica": ("hang-replica", "", (0.3, 2)),
    "lose-old": ("lose-fleet", "v1", (0,)),
    "lose-new": ("lose-fleet", "v2", (0,)),
    "metrics-down": ("metrics-down", "", (0,)),
    "metrics-frozen": ("metrics-frozen", "", (0,)),
    "counter-reset": ("counter-reset", "", (0,)),
    "no-traffic": ("no-traffic", "", (0,)),
    "burst": ("burst", "", (0.2, 10)),
    "shared-outage": ("shared-outage", "", (0.1, 0.5, 1.0)),
    "quota": ("quota", "", (1, 4, 11)),
    "slow-start": ("slow-start", "", (2, 20)),
    "nack": ("nack", "", (0,)),
    "slow-ack": ("slow-ack", "", (1, 5)),
    "drift": ("drift", "v1", (0,)),
    "clock-jump": ("clock-jump", "", (3600, -3600)),
    "deaf": ("deaf", "", (0,)),
}


def _misfortunes(dice: random.Random, trouble: str) -> list[Misfortune]:
    if trouble not in _MISFORTUNES:
        return []
    kind, subject, amounts = _MISFORTUNES[trouble]
    found = []
    for _ in range(dice.choice((1, 1, 2))):
        at = dice.uniform(0, TROUBLE_S * 0.6) * dice.choice((0.1, 1.0))
        until = min(TROUBLE_S, at + dice.choice((0.5, 5, 30)))
        found.append(Misfortune(at, until, Fault(kind, subject, dice.choice(amounts))))
    return found


def _acts(dice: random.Random, troubles: tuple[str, ...]) -> tuple[Act, ...]:
    if "people" not in troubles:
        return ()
    verbs = ("deploy", "abort", "pause", "promote", "rollback", "scale", "redeploy", "resume")
    acts = []
    for _ in range(dice.choice((1, 1, 2, 3, 5))):
        verb = dice.choice(verbs)
        at = dice.uniform(0, TROUBLE_S) * dice.choice((0.1, 0.5, 1.0))
        acts.append(Act(at, verb, "v3" if verb == "deploy" else "", dice.choice((0, 1, 2, 5, 8))))
    return tuple(sorted(acts, key=lambda act: act.at))


def _crashes(dice: random.Random, troubles: tuple[str, ...]) -> Crashes:
    writes: set[int] = set()
    if "crash-one" in troubles:
        writes |= {dice.randrange(1, 12)}
    if "crash-many" in troubles:
        writes |= {n for n in range(1, 60) if dice.random() < 0.5}
    return Crashes(frozenset(writes), dice.random() < 0.5, dice.choice((0.01, 1.0, 8.0)))
