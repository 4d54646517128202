"""Play a scenario: the production ``Post`` on a virtual loop against a simulated world.

The conductor is killed at the journal writes the scenario names, before or after the write became
durable, and a new one continues from the journal with the next generation. A dead conductor's
last orders are sent again later, as a zombie would; the fence must hold.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from holdfast.conductor.conduct import Means, Post
from holdfast.conductor.journal import MemoryJournal
from holdfast.drills.simulation.checkers import Breach, Checkers, Circumstances
from holdfast.drills.simulation.people import CrashNow, People
from holdfast.drills.simulation.scenario import (
    CONDEMNED_KINDS,
    DEAD_KINDS,
    GENTLE_KINDS,
    TROUBLE_S,
    Scenario,
)
from holdfast.rollout import engine
from holdfast.rollout.model import (
    Decision,
    Ending,
    Event,
    Measured,
    Observation,
    Order,
    Plan,
    ReleaseId,
    Strategy,
)
from holdfast.rollout.replay import replay
from holdfast.rollout.state import ServiceState, fold
from holdfast.targets.base import Look, TargetError
from holdfast.targets.simulated.behaviour import Weather
from holdfast.targets.simulated.loop import VirtualClock, run_virtually
from holdfast.targets.simulated.world import OrderSeen, World
from holdfast.telemetry.gauge import Gauge

#: Once trouble is over, two rollouts (one may be queued) must end within this on top of deadlines.
CALM_SLACK_S = 60.0
#: Reverts of a good canary that only say that the traffic was too little.
SHORT_OF_EVIDENCE = frozenset({"insufficient", "deadline-rollout"})
#: One turn in so many is judged twice, to see that the judgement is pure.
PURE_EVERY = 16


#: More turns than this in one run mean that the conductor is busy with nothing.
TURNS_MAX = 20_000


class Restless(Exception):
    """The conductor turns and turns."""


class MortalJournal:
    """One conductor's way to the journal. It ends the conductor at the scenario's writes."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self.dead = False

    def recall(self, service: str) -> tuple[Event, ...]:
        return self._rig.journal.recall(service)

    async def record(self, service: str, events: Sequence[Event]) -> None:
        if self.dead:
            raise CrashNow("long dead")
        crashes, rig = self._rig.scenario.crashes, self._rig
        rig.writes += rig.armed
        strikes = rig.armed and rig.writes in crashes.writes
        if not strikes or crashes.durable:
            await rig.journal.record(service, events)
            rig.recorded(events)
        if strikes:
            self.dead = True
            rig.kill()
            raise CrashNow(f"at write {rig.writes}")


@dataclass(slots=True)
class Outcome:
    """What came of one scenario."""

    seed: int
    kind: str
    strategy: Strategy
    ending: str  # of the second release's rollout
    breaches: list[Breach]
    virtual_s: float
    turns: int
    crashes: int
    requests: int
    starved: int
    digest: str
    story: list[str] = field(default_factory=list)
    seconds: float | None = None  # from the second deploy to its ending
    holds: dict[str, float] = field(default_factory=dict)  # seconds by reason to wait

    @classmethod
    def nothing(cls, scenario: Scenario) -> Outcome:
        """Of a run that did not come to its end."""
        strategy = Strategy(scenario.service.rollout.strategy)
        return cls(scenario.seed, scenario.kind, strategy, "broken", [], 0.0, 0, 0, 0, 0, "")


class _Target:
    """The world as one conductor sees it: remembers its last orders for the zombie."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.last: list[Order] = []
        self.prepare, self.counters = world.prepare, world.counters
        self.suffer, self.aclose = world.suffer, world.aclose
        self.watch = world.watch

    async def observe(self) -> Look:
        return await self._world.observe()

    async def perform(self, order: Order) -> None:
        self.last = [*self.last[-2:], order]
        await self._world.perform(order)


class Rig:
    """One scenario being played."""

    def __init__(self, scenario: Scenario, telling: bool = False) -> None:
        self.scenario, self.telling = scenario, telling
        self.service = scenario.service.service
        self.clock = VirtualClock()
        self.story: list[str] = []
        self.turns = self.crashes = 0
        self.up = self.armed = False
        self.writes = 0
        self.journal = MemoryJournal()
        self._zombies: set[asyncio.Task[None]] = set()
        self._last_codes = ""
        self._held: dict[str, float] = {}
        self._held_since = 0.0
        self.post: Post | None = None
        self._states: tuple[ServiceState, ServiceState] | None = None

    async def play(self) -> Outcome:
        scenario = self.scenario
        self.world = World(
            self.clock,
            scenario.seed,
            service=scenario.service,
            cast=scenario.cast,
            traffic=scenario.traffic,
        )
        self.world.trouble.jump = self.clock.jump
        self.checkers = Checkers(self._circumstances())
        self.world.watchers += [self.checkers, _Teller(self)]
        seat = asyncio.create_task(self._conduct())
        story = asyncio.create_task(self._acts())
        try:
            await asyncio.wait({story, seat}, return_when=asyncio.FIRST_COMPLETED)
            if seat.done():
                seat.result()  # a seat never ends by itself: raises
            await story
        finally:
            story.cancel()
            seat.cancel()
            await asyncio.gather(story, seat, return_exceptions=True)
        return self._outcome()

    def _circumstances(self) -> Circumstances:
        scenario = self.scenario
        bad = scenario.kind in CONDEMNED_KINDS
        # A release that cannot even start for a while, or hears no traffic, condemns nobody else.
        return Circumstances(
            gentle=scenario.gentle,
            condemned=frozenset({"v2"}) if bad and scenario.kind not in DEAD_KINDS else frozenset(),
            unsteady=_unsteady(scenario),
            able=self._able,
            slack_s=self._slack_s(),
            work_s=lambda release: scenario.cast.of(release).work_s,
            drain_s=scenario.service.rollout.drain,
        )

    def _slack_s(self) -> float:
        """How much later than promised a conductor may be that is killed or not answered."""
        weather, crashes = self.scenario.weather, self.scenario.crashes
        slack = 2.0 * weather.ack_s + len(crashes.writes) * (crashes.down_s + 1.0)
        slack += 30.0 if weather.hangs else 0.0
        slack += 10.0 * (weather.refused + weather.dropped + weather.lost + weather.look_lost)
        return slack

    def _able(self) -> bool:
        trouble = self.world.trouble
        hindered = trouble.deaf or trouble.nack or trouble.slow_ack_s > 0 or trouble.drift
        return self.up and not hindered

    # ---- the story's course ---------------------------------------------------------------------

    async def _acts(self) -> None:
        people = People(self)
        await people.deploy("v1")
        await self._until_idle(60.0)
        start = self.clock.now()
        self.world.change_weather(_shifted(self.scenario, start))
        self.armed = True
        self.began = start
        crowd = asyncio.create_task(people.live(start))
        await asyncio.sleep(TROUBLE_S + 0.5)
        await crowd
        await people.calm_down()
        limits = self.scenario.service.rollout
        bound = 2 * (limits.deadline + limits.step_deadline + limits.drain) + CALM_SLACK_S
        bound += self._slack_s()
        await self._until_idle(bound, people)
        self.armed = False
        await asyncio.sleep(limits.drain + 35.0)  # the dead are replaced, the old are gone
        self._at_rest()

    async def _until_idle(self, bound_s: float, people: People | None = None) -> None:
        end = self.clock.now() + bound_s
        while self.clock.now() < end and not self._idle():
            await asyncio.sleep(0.5)
            if people is not None:
                await people.calm_down()

    def _idle(self) -> bool:
        told = self.checkers.told
        queue = self.post.state.queue if self.post is not None else ()
        return told.run is None and bool(told.past) and not queue

    def _at_rest(self) -> None:
        now = self.world.advance()
        self.checkers.at_rest(now, self.world.glimpse())
        post = self.post
        assert post is not None, "somebody has the seat at the end"
        if not self.checkers.told.run and post.decision.orders:
            self.checkers.breach(now, "quiet", f"{post.decision.orders}")
        if fold(self.journal.recall(self.service), self.service) != post.state:
            self.checkers.breach(now, "memory", "fold(journal) is not the live state")
        for fleet in self.world.fleets.values():
            self.checkers.farewells(fleet.farewells)
        self.checkers.replayed(now, replay(self.journal.recall(self.service)))
        self._succeeds(now)

    def _succeeds(self, now: float) -> None:
        """Without any trouble a good release fails for want of evidence or time, or not at all."""
        if self.scenario.troubles or self.scenario.kind not in ("good", "good-slow-start"):
            return
        for run in self.checkers.told.past:
            code = run.back.code if run.back is not None else "nothing"
            judged = any(rung.judged for rung in run.plan.ladder)
            if run.ending is Ending.REVERTED and judged and code in SHORT_OF_EVIDENCE:
                continue
            if code == "deadline-rollout" and self._least_s(run.plan) > run.plan.limits.rollout_s:
                continue  # nobody could have kept that deadline
            if run.ending is not Ending.PROMOTED:
                self.checkers.breach(now, "succeeds", f"{run.plan.rollout}: {run.ending} by {code}")

    def _least_s(self, plan: Plan) -> float:
        """What the ladder takes at least, when each rung waits for one slow start."""
        starts = self.scenario.cast.of(plan.new.id)
        slow = starts.start_s + starts.start_spread_s / 2 + self.scenario.weather.ack_s
        return len(plan.ladder) * slow

    # ---- the conductor's seat -------------------------------------------------------------------

    async def _conduct(self) -> None:
        generation = 0
        while True:
            generation += 1
            target = _Target(self.world)
            gauge = Gauge(target.counters, self.clock)
            means = Means(MortalJournal(self), target, gauge, self.clock)
            self.post = Post(self.service, means, generation, f"conductor-{generation}")
            self.post.watchers.events.append(self._evolved)
            self.post.watchers.decisions.append(self._decided)
            self._states = None
            self.up = True
            await self._sit(self.post)
            self.crashes += 1
            self.tell(f"CRASH of conductor-{generation} at write {self.writes}")
            await asyncio.sleep(self.scenario.crashes.down_s)
            self._haunt(target.last, generation)

    async def _sit(self, post: Post) -> None:
        """Run one conductor until it is killed; any other end of it is an error of ours."""
        self._life = asyncio.create_task(post.run())
        try:
            await asyncio.wait({self._life})
        finally:
            self.up = False
            self._life.cancel()
        with contextlib.suppress(CrashNow, asyncio.CancelledError):
            self._life.result()  # anything else ends the run, and is a finding

    def kill(self) -> None:
        """The process is gone: whatever its tasks were doing, they do no more."""
        self.up = False
        if self._life is not asyncio.current_task():
            self._life.cancel()

    def _haunt(self, orders: list[Order], generation: int) -> None:
        """The dead conductor's last orders arrive once more, long after its successor acted."""
        task = asyncio.create_task(self._zombie(orders, generation))
        self._zombies.add(task)
        task.add_done_callback(self._zombies.discard)

    async def _zombie(self, orders: list[Order], generation: int) -> None:
        for _ in range(20):
            await asyncio.sleep(0.5)
            if self.world.generation > generation:
                break
        else:
            return
        for order in orders:
            with contextlib.suppress(TargetError):
                await self.world.perform(order)

    # ---- what is watched ------------------------------------------------------------------------

    def recorded(self, events: Sequence[Event]) -> None:
        now = self.world.advance()
        self.checkers.recorded(events, now, self.world.glimpse())
        if self.telling:
            for event in events:
                if not isinstance(event, Measured):
                    self.tell(f"FACT  {_brief(event)}")

    def _evolved(self, _service: str, _events: Sequence[Event]) -> None:
        assert self.post is not None, "only a post tells"
        before = self._states[1] if self._states else self.post.state
        self._states = (before, self.post.state)

    def _decided(self, _service: str, decision: Decision, seen: Observation) -> None:
        self.turns += 1
        if self.turns > TURNS_MAX:
            detail = f"{self.turns} turns in {self.clock.now():.0f} s, now {decision}"
            self.checkers.breach(self.clock.now(), "busy", detail)
            raise Restless(detail)
        assert self.post is not None, "only a post decides"
        if self._states is not None and self.turns % PURE_EVERY == 0:
            before = self._states[0] if decision.events else self._states[1]
            if engine.decide(before, seen) != decision:
                self.checkers.breach(self.clock.now(), "pure", f"{decision}")
        now = self.clock.now()
        if self.armed and self.checkers.told.run is not None:
            for hold in decision.holds:
                spent = self._held.get(hold.code.value, 0.0) + now - self._held_since
                self._held[hold.code.value] = spent
        self._held_since = now
        if self.telling and decision.holds:
            self._tell_holds(decision)

    def _tell_holds(self, decision: Decision) -> None:
        codes = ", ".join(hold.code.value for hold in decision.holds)
        line = f"HOLD  {codes}: {decision.holds[0].detail}"
        if self._last_codes != codes:
            self._last_codes = codes
            self.tell(line)

    def tell(self, line: str) -> None:
        if self.telling:
            self.story.append(f"{self.clock.now():9.3f}  {line}")

    def _outcome(self) -> Outcome:
        facts = self.journal.recall(self.service)
        told = self.checkers.told
        of_v2 = [run for run in (*told.past, told.run) if run and run.plan.new.version == "v2"]
        ending = of_v2[0].ending if of_v2 else None
        name = ending.value if ending else ("running" if of_v2 else "refused")
        seconds = of_v2[0].ended - of_v2[0].began if of_v2 and ending else None
        return Outcome(
            self.scenario.seed,
            self.scenario.kind,
            Strategy(self.scenario.service.rollout.strategy),
            name,
            self.checkers.breaches,
            self.clock.now(),
            self.turns,
            self.crashes,
            self.checkers.requests["all"],
            self.checkers.requests["starved"],
            hashlib.sha256(repr(facts).encode()).hexdigest(),
            self.story,
            seconds,
            self._held,
        )


class _Teller:
    """Puts orders into the story."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig

    def interval(self, interval: object) -> None:
        """Clients are the checkers' business."""

    def order(self, seen: OrderSeen) -> None:
        if self._rig.telling:
            said = f"refused ({seen.refused})" if seen.refused else "done"
            ready = dict(seen.before.ready)
            self._rig.tell(f"ORDER {seen.order} {said}; ready {ready}")


def _unsteady(scenario: Scenario) -> frozenset[ReleaseId]:
    """Releases that may be down when all trouble is over: they crash by themselves or are lost."""
    lost = {"lose-old": "v1", "lose-new": "v2"}
    found = {release for trouble, release in lost.items() if trouble in scenario.troubles}
    return frozenset(found | (set() if scenario.kind in GENTLE_KINDS else {"v2"}))


def _brief(event: Event) -> str:
    text = repr(event)
    return text if len(text) < 220 else text[:217] + "..."


def _shifted(scenario: Scenario, start: float) -> Weather:
    """The scenario's weather on the world's calendar."""
    weather = scenario.weather
    moved = tuple(replace(m, at=m.at + start, until=m.until + start) for m in weather.misfortunes)
    return replace(weather, calm_at=weather.calm_at + start, misfortunes=moved)


def play(scenario: Scenario, telling: bool = False) -> Outcome:
    """Play one scenario to its end on a fresh virtual loop."""
    logging.getLogger("holdfast.conductor").setLevel(logging.ERROR)
    return run_virtually(Rig(scenario, telling).play())
