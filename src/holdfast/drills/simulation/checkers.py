"""Independent checkers: what must be true of any rollout, whatever the engine thinks.

``Checkers`` watches three streams: what clients saw (intervals), what the target was told (orders),
and what became durable (facts). A breach is written down, never raised, so that one run can show
several. The rules are sentences; ``RULES`` lists them and mutants measure that each one bites.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from holdfast.drills.simulation.chronicle import Chronicle, Told
from holdfast.rollout.model import (
    Ending,
    Event,
    Finished,
    Judged,
    Mark,
    PromoteRequested,
    ReleaseId,
    RevertOrdered,
    Route,
    Scale,
    SettleEntered,
    Started,
    StepEntered,
    Strategy,
)
from holdfast.rollout.replay import Replay
from holdfast.targets.simulated.dataplane import Interval
from holdfast.targets.simulated.fleet import Farewell
from holdfast.targets.simulated.world import Glimpse, OrderSeen

#: Rule -> the promise in one sentence.
RULES = {
    "weights": "weights are whole percents and add up to 100",
    "ready-only": "nobody not ready is given traffic while somebody ready exists",
    "starvation": "traffic does not stay on a dead fleet while another one is ready",
    "starved-gently": "no request finds an empty fleet when nothing but the rollout moves",
    "no-cut": "a fleet that carries traffic keeps the instances its weight needs",
    "drain": "an instance with work in flight ends it, or the drain deadline, before it is gone",
    "under-sized": "traffic rises no faster than the instances that can carry it",
    "surge": "no more instances than the surge allows",
    "own-release": "a release never has more instances than it was told to have",
    "rung": "a new release never carries more than its step says, except as a refuge",
    "revert": "after a revert was ordered the new release's weight never rises, except as a refuge",
    "evidence": "a judged step is left only with a PASS, a person's word, or the stated policy",
    "one-step": "at most one step per decision",
    "truthful-count": "no more requests are counted than were made",
    "promoted": "promoted is said only when the new release carries everything and is ready",
    "reverted": "reverted is said only when the old release carries everything",
    "condemned": "a release that fails far more than allowed never gets past a judged step",
    "rejected": "a release that was taken back is not tried again unless forced",
    "identical": "no rollout goes back to itself or to a rejected release",
    "warm": "the previous release stays whole for its warm time",
    "fencing": "an actor of an older generation moves nothing",
    "deadline": "no rollout runs longer than its deadline",
    "succeeds": "a good release is promoted when nothing goes wrong",
    "ends": "every rollout ends within a bound once trouble is over",
    "at-rest": "once trouble is over the proven release serves, whole and alone",
    "memory": "the fold of the journal is the live state",
    "pure": "the same look and state give the same decision",
    "busy": "a conductor rests between turns",
    "quiet": "at rest nothing is ordered and nothing recorded",
    "replay": "a replay under the planned policy condemns whom the verdict condemned, then",
    "abort": "an abort is followed by the way back, never by a step",
}

#: A conductor that can reach the target puts traffic on a ready fleet within this time.
REACTION_S = 4.0


#: An order may rest on a look that is this old.
LOOK_S = 0.5


@dataclass(frozen=True, slots=True)
class Breach:
    at: float
    rule: str
    detail: str


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a run's checkers must know about the weather; never about the engine."""

    gentle: bool = False
    condemned: frozenset[ReleaseId] = frozenset()
    unsteady: frozenset[ReleaseId] = frozenset()  # may be down for ever: crash loop, lost
    able: Callable[[], bool] = lambda: True  # may the conductor act at all right now?
    slack_s: float = 0.0  # what crashes and a silent target may add to any deadline
    work_s: Callable[[ReleaseId], float] = lambda release: 0.0
    drain_s: float = 30.0


class Checkers:
    """All rules over one run. Feed ``interval``, ``order`` and ``recorded`` in time order."""

    def __init__(self, circumstances: Circumstances) -> None:
        self.about = circumstances
        self.told = Chronicle()
        self.breaches: list[Breach] = []
        self.weights: dict[ReleaseId, int] = {}  # as clients experience them
        self.routed: dict[ReleaseId, int] = {}  # as last accepted
        self.sizes: dict[ReleaseId, int] = {}  # as last accepted
        self.generation = 0
        self.requests: dict[str, int] = {"all": 0, "starved": 0}
        self.served: dict[ReleaseId, float] = {}
        self.starving_since: float | None = None
        self.down_at: dict[ReleaseId, float] = {}  # when a release last had nobody ready
        self.busy_until: dict[ReleaseId, float] = {}
        self.stays_until: dict[tuple[ReleaseId, float], float] = {}

    def breach(self, at: float, rule: str, detail: str) -> None:
        assert rule in RULES, rule
        self.breaches.append(Breach(at, rule, detail))

    # ---- what clients saw -----------------------------------------------------------------------

    def interval(self, seen: Interval) -> None:
        self.weights = dict(seen.weights)
        self.down_at |= {release: seen.end for release, count in seen.ready if count == 0}
        self.requests["all"] += seen.requests
        for release, weight in seen.weights:
            share = seen.requests * weight / 100
            self.served[release] = self.served.get(release, 0.0) + share
            if weight > 0 and seen.rate > 0:
                self.busy_until[release] = seen.end + self.about.work_s(release)
        self._starvation(seen)

    def _starvation(self, seen: Interval) -> None:
        ready = dict(seen.ready)
        dead = [r for r, w in seen.weights if w > 0 and not ready.get(r)]
        nobody_wanted = self.told.replicas == 0 or self.told.retired
        if not dead or not seen.anybody or nobody_wanted or not self.about.able():
            self.starving_since = None
            return
        self.requests["starved"] += seen.starved
        if self.about.gentle and seen.starved:
            self.breach(seen.end, "starved-gently", f"{seen.starved} requests to {dead}: {ready}")
        since = self.starving_since if self.starving_since is not None else seen.start
        self.starving_since = since
        if seen.end - since > REACTION_S + self.about.slack_s:
            self.breach(seen.end, "starvation", f"{seen.end - since:.1f} s on {dead}, {ready}")
            self.starving_since = seen.end

    # ---- what the target was told ---------------------------------------------------------------

    def order(self, seen: OrderSeen) -> None:
        if seen.refused:
            return
        if seen.order.generation < self.generation:
            self.breach(seen.at, "fencing", f"{seen.order} after generation {self.generation}")
        self.generation = max(self.generation, seen.order.generation)
        self._own_release(seen)
        match seen.order:
            case Route():
                self._route(seen, seen.order)
            case Scale():
                self._scale(seen, seen.order)

    def _own_release(self, seen: OrderSeen) -> None:
        for release, size in seen.before.size.items():
            if size > self.sizes.get(release, 0):
                wanted = self.sizes.get(release, 0)
                self.breach(seen.at, "own-release", f"{size} of {release}, wanted {wanted}")

    def _route(self, seen: OrderSeen, route: Route) -> None:
        weights, before = dict(route.weights), seen.before
        if sum(weights.values()) != 100 or min(weights.values()) < 0:
            self.breach(seen.at, "weights", f"{weights}")
        somebody = any(count > 0 for count in before.ready.values())
        for release, weight in weights.items():
            rises = weight > before.weights.get(release, 0)
            if rises and somebody and before.ready.get(release, 0) == 0:
                self.breach(seen.at, "ready-only", f"{weights} while ready are {before.ready}")
        run = self.told.run
        if run is not None:
            self._route_in_rollout(seen, run, weights)
        self.routed = weights

    def _route_in_rollout(self, seen: OrderSeen, run: Told, weights: dict[ReleaseId, int]) -> None:
        old, new = run.plan.old, run.plan.new.id
        if old is None or seen.at - self.down_at.get(old.id, float("-inf")) < LOOK_S:
            return  # refuge: the old release cannot answer, or could not when it was looked at
        weight = weights.get(new, 0)
        self._under_sized(seen, run, weight)
        had = max(seen.before.weights.get(new, 0), self.routed.get(new, 0))
        if run.back is not None and weight > had:
            self.breach(seen.at, "revert", f"{new} {had} -> {weight} after {run.back.code}")
        elif weight > max(run.weight_most, had):
            self.breach(seen.at, "rung", f"{new} at {weight} on step {run.step} ({run.weight})")

    def _under_sized(self, seen: OrderSeen, run: Told, weight: int) -> None:
        """Judged where instances only change by order; one instance of rounding is allowed."""
        new = run.plan.new.id
        if not self.about.gentle or weight <= seen.before.weights.get(new, 0):
            return
        need = self.told.replicas * weight // 100 - run.plan.limits.max_unavailable
        ready = seen.before.ready.get(new, 0)
        if ready < need and self.told.scaled_at < run.began:
            self.breach(seen.at, "under-sized", f"{weight} % on {ready} of {new}, needs {need}")

    def _scale(self, seen: OrderSeen, order: Scale) -> None:
        before, release = seen.before, order.release
        had = before.size.get(release, 0)
        self.sizes[release] = order.size
        due = min(seen.at + self.about.drain_s, self.busy_until.get(release, 0.0))
        self.stays_until[release, seen.at] = due
        if order.size > had:
            self._grow(seen, order)
        elif order.size < had and not self.told.retired and self.told.replicas > 0:
            self._shrink(seen, order, had)

    def _grow(self, seen: OrderSeen, order: Scale) -> None:
        run, most = self.told.run, self.told.replicas_most
        others = sum(n for r, n in seen.before.size.items() if r != order.release)
        rolling = run is not None and run.plan.strategy is Strategy.ROLLING
        if run is not None and rolling and not run.plan.rollback and run.plan.old is not None:
            sides = {run.plan.new.id, run.plan.old.id}
            strange = sum(n for r, n in seen.before.size.items() if r not in sides)
            limits = run.plan.limits
            alone = most <= limits.max_unavailable  # start before stop
            bound = most + max(limits.max_surge, 1 if alone else 0) + strange
        else:
            bound = 3 * most
        if others + order.size > bound:
            self.breach(seen.at, "surge", f"{order} beside {others} others, at most {bound}")

    def _shrink(self, seen: OrderSeen, order: Scale, had: int) -> None:
        before, release, run = seen.before, order.release, self.told.run
        self._shrink_warm(seen, order)
        weight = before.weights.get(release, 0)
        ready = before.ready.get(release, 0)
        left = min(ready, order.size)  # victims are the broken ones first
        if weight == 0 or left == ready or not self.about.able():
            return
        somebody_else = any(n for r, n in before.ready.items() if r != release)
        if left == 0 and somebody_else:
            self.breach(seen.at, "no-cut", f"{order} takes all of a fleet at {weight} %")
        if not self.about.gentle:
            return  # an acknowledgement may have come between look and act
        last = run if run is not None else (self.told.past[-1] if self.told.past else None)
        spare = last.plan.limits.max_unavailable if last is not None else 0
        need = math.floor(self.told.replicas * weight / 100) - spare
        if left < need:
            self.breach(seen.at, "no-cut", f"{order} at {weight} %: {left} left, needs {need}")

    def _shrink_warm(self, seen: OrderSeen, order: Scale) -> None:
        warm = self.told.warm
        if warm is None or order.release != warm[0].id or order.size >= self.told.replicas:
            return
        if self.told.scaled_at < warm[1]:
            spent = seen.at - warm[1]
            self.breach(seen.at, "warm", f"{order} after {spent:.1f} s of its warm time")

    # ---- what became durable --------------------------------------------------------------------

    def recorded(self, facts: Sequence[Event], now: float, look: Glimpse) -> None:
        if sum(isinstance(fact, StepEntered) for fact in facts) > 1:
            self.breach(now, "one-step", f"{facts}")
        for index, fact in enumerate(facts):
            self._fact(fact, facts[:index], now, look)
            self.told.tell((fact,), now)
        self._late(now)
        self._counted(now)

    def _fact(self, fact: Event, before: Sequence[Event], now: float, look: Glimpse) -> None:
        match fact:
            case Started():
                self._started(fact, now)
            case StepEntered() | SettleEntered():
                self._leaves_step(before, now)
            case Finished() if fact.ending is Ending.PROMOTED:
                self._leaves_step(before, now)
                self._promoted(now, look)
            case Finished() if fact.ending is Ending.REVERTED:
                self._reverted(now, look)
            case RevertOrdered() if self.told.run is not None and self.told.run.back is not None:
                self.breach(now, "abort", "the way back was ordered twice")
            case _:
                pass

    def _started(self, fact: Started, now: float) -> None:
        new, old = fact.plan.new, fact.plan.old
        if new.digest in self.told.rejected and not fact.forced:
            self.breach(now, "rejected", f"{new.version} again")
        if old is not None and old.id == new.id:
            self.breach(now, "identical", f"{new.id} replaces itself")
        if old is not None and self.told.stable is not None and old.id != self.told.stable.id:
            self.breach(now, "identical", f"the base is {old.id}, not the proven release")

    def _leaves_step(self, before: Sequence[Event], now: float) -> None:
        run = self.told.run
        if run is None:
            return
        if run.back is not None:
            self.breach(now, "abort", f"a step after {run.back.code}")
        rung = run.plan.ladder[run.step]
        if not rung.judged or run.waved or any(isinstance(f, PromoteRequested) for f in before):
            return
        marks = [f.verdict.mark for f in before if isinstance(f, Judged)]
        lenient = {run.plan.limits.on_insufficient.value, run.plan.limits.on_source_down.value}
        excused = "promote" in lenient and any(
            mark in (Mark.INSUFFICIENT, Mark.SOURCE_DOWN) for mark in marks
        )
        if not (run.passed or Mark.PASS in marks or excused):
            self.breach(now, "evidence", f"step {run.step} left with {marks}")
        if (run.passed or Mark.PASS in marks) and not excused:
            self._pass_is_earned(run, now)

    def _pass_is_earned(self, run: Told, now: float) -> None:
        """PASS needs clean requests: fewer than 2/p of them cannot show a rate below p."""
        new, policy = run.plan.new.id, run.plan.judge
        counted = run.counted.get(new, 0)
        least = 2 / policy.error_rate_max if self.about.gentle else 15
        if counted < least:
            self.breach(now, "evidence", f"PASS after {counted} requests on {new}")
        if new in self.about.condemned and not run.plan.rollback:
            self.breach(now, "condemned", f"{new} passed step {run.step}")

    def _promoted(self, now: float, look: Glimpse) -> None:
        run = self.told.run
        assert run is not None, "only a rollout is promoted"
        new = run.plan.new.id
        if self.told.replicas == 0:
            return
        if look.weights.get(new, 0) != 100:
            self.breach(now, "promoted", f"{new} carries {dict(look.weights)}")
        if look.ready.get(new, 0) == 0 and self.about.gentle:
            self.breach(now, "promoted", f"{new} has nobody ready")

    def _reverted(self, now: float, look: Glimpse) -> None:
        run = self.told.run
        assert run is not None, "only a rollout is reverted"
        home = run.plan.old
        wanted = {home.id: 100} if home is not None else {}
        carried = {r: w for r, w in look.weights.items() if w > 0}
        if home is not None and carried != wanted and self.told.replicas > 0:
            self.breach(now, "reverted", f"{home.id} should carry all, but {carried}")

    def _late(self, now: float) -> None:
        run = self.told.run
        if run is None or run.back is not None or run.paused_since is not None:
            return
        spent = now - run.began - run.pauses
        if spent > run.plan.limits.rollout_s + 5.0 + self.about.slack_s:
            self.breach(now, "deadline", f"{spent:.0f} s and still rising")

    def _counted(self, now: float) -> None:
        run = self.told.run
        if run is None:
            return
        for release, counted in run.counted.items():
            if counted > self.served.get(release, 0.0) * 1.2 + 50:
                served = self.served.get(release, 0.0)
                self.breach(now, "truthful-count", f"{release}: {counted} of {served:.0f}")

    # ---- at the end -----------------------------------------------------------------------------

    def farewells(self, gone: Sequence[Farewell]) -> None:
        """Every instance that was told to go had the time its work needed."""
        for bye in gone:
            due = self.stays_until.get((bye.release, bye.told))
            if bye.served and due is not None and bye.gone < due - 1e-6:
                early = due - bye.gone
                self.breach(bye.gone, "drain", f"{bye.release} went {early:.2f} s too early")

    def replayed(self, now: float, replays: Sequence[Replay]) -> None:
        """Not where a fleet may have been down: the engine saw it, the counters do not tell."""
        past = {run.plan.rollout: run for run in self.told.past}
        for again in replays:
            run = past.get(again.rollout)
            if run is None or not self.about.gentle:
                continue
            said = again.failed.at if again.failed is not None else None
            then = run.back.at if run.back is not None and run.back.code == "verdict" else None
            if then != said and (then is not None or run.ending is Ending.PROMOTED):
                self.breach(now, "replay", f"{again.rollout}: {then} then, {said} in the replay")

    def at_rest(self, now: float, look: Glimpse) -> None:
        """Long after the last trouble: the proven release serves, and nobody else is left."""
        stable, told = self.told.stable, self.told
        if told.run is not None:
            self.breach(now, "ends", f"{told.run.plan.rollout} still runs")
            return
        if told.past and told.past[-1].ending is Ending.STRANDED:
            return
        if stable is None or told.retired or told.replicas == 0:
            return
        whole = look.ready.get(stable.id, 0) == told.replicas
        if not whole and stable.id not in self.about.unsteady:
            self.breach(now, "at-rest", f"{stable.id}: {look.ready} of {told.replicas} ready")
        carried = {r: w for r, w in look.weights.items() if w}
        if carried != {stable.id: 100} and stable.id not in self.about.unsteady:
            self.breach(now, "at-rest", f"{stable.id} should carry all: {look.weights}")
        allowed = {stable.id} | ({told.warm[0].id} if told.warm is not None else set())
        left = {r: n for r, n in look.size.items() if n > 0 and r not in allowed}
        if left and stable.id not in self.about.unsteady:
            self.breach(now, "at-rest", f"left over: {left}")
