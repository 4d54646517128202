"""Sentences about the engine that must hold in every world hypothesis can think of.

A tiny world obeys orders late, partly or not at all; instances come, go and fail; requests fail at
drawn rates. The engine only ever sees observations. ``tests/simulation`` has the large world.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.rollout.commands import Abort, Deploy, Pause, Promote, Rejected, Resume, propose
from holdfast.rollout.engine import decide
from holdfast.rollout.model import (
    Counts,
    Decision,
    Ending,
    Event,
    Failure,
    FleetSeen,
    Judged,
    Mark,
    Observation,
    Plan,
    Release,
    Route,
    Sample,
    Scale,
    Started,
    StepEntered,
)
from holdfast.rollout.plan import plan_rollout
from holdfast.rollout.state import Phase, ServiceState, evolve, fold
from holdfast.runtime.codec import decode, encode
from holdfast.spec.model import Service

V1, V2 = Release("v1-a", "a" * 64, "v1"), Release("v2-b", "b" * 64, "v2")


def service(strategy: str, replicas: int = 4, **rollout: object) -> Service:
    section = {"strategy": strategy, "analysis": {"warm_up": "0s"}, **rollout}
    return Service.model_validate(
        {"service": "shop", "run": "./shop", "replicas": replicas, "rollout": section}
    )


@dataclass
class TinyWorld:
    """Fleets and weights that follow orders when the dice allow it."""

    fleets: dict[str, FleetSeen] = field(default_factory=dict)
    weights: dict[str, int] = field(default_factory=dict)
    generation: int = 0

    def obey(self, decision: Decision) -> None:
        for order in decision.orders:
            match order:
                case Scale(release, size, _):
                    fleet = self.fleets.get(release, FleetSeen(release))
                    ready = min(fleet.ready, size)
                    self.fleets[release] = FleetSeen(release, starting=size - ready, ready=ready)
                case Route(weights, _, needs):
                    if all(self.fleets[r].ready >= n for r, n in needs if r in self.fleets):
                        self.weights = dict(weights)

    def grow(self) -> None:
        for release, f in self.fleets.items():
            self.fleets[release] = FleetSeen(release, ready=f.ready + f.starting)

    def lose(self, release: str) -> None:
        if (f := self.fleets.get(release)) and f.ready:
            self.fleets[release] = FleetSeen(release, f.starting + 1, f.ready - 1)

    def fail(self, release: str) -> None:
        if release in self.fleets:
            failure = Failure("exits-at-once", "exit code 1")
            self.fleets[release] = FleetSeen(release, failed=1, failure=failure)

    def look(self, now: float, errors: dict[str, int]) -> Observation:
        arms = tuple(
            (r, Counts(10 * w, min(10 * w, errors.get(r, 0)))) for r, w in self.weights.items()
        )
        return Observation(
            now, tuple(self.fleets.values()), tuple(self.weights.items()), Sample(arms=arms)
        )


@dataclass
class Story:
    """A service at rest on v1, a rollout to v2, and every fact recorded on the way."""

    state: ServiceState
    world: TinyWorld
    facts: list[Event]
    now: float = 0.0

    def record(self, events: tuple[Event, ...]) -> None:
        self.facts.extend(events)
        for event in events:
            self.state = evolve(self.state, event)

    def turn(self, seconds: float = 0.5, errors: dict[str, int] | None = None) -> Decision:
        self.now += seconds
        decision = decide(self.state, self.world.look(self.now, errors or {}))
        self.record(decision.events)
        return decision

    def run(self, turns: int = 400) -> None:
        for _ in range(turns):
            decision = self.turn()
            self.world.obey(decision)
            self.world.grow()
            if self.state.running is None and not decision.orders:
                return


def at_rest(spec: Service) -> Story:
    story = Story(ServiceState("shop"), TinyWorld(), [])
    plan = plan_rollout(spec, None, V1, "r1")
    story.record(propose(story.state, Deploy(plan, "ann"), 0.0))
    story.run()
    assert story.state.stable == V1
    return story


def deploying(spec: Service) -> Story:
    story = at_rest(spec)
    plan = plan_rollout(spec, V1, V2, "r2")
    story.record(propose(story.state, Deploy(plan, "ann"), story.now))
    return story


STRATEGIES = st.sampled_from(["rolling", "blue-green", "canary"])
MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("obey"), st.just("")),
        st.tuples(st.just("grow"), st.just("")),
        st.tuples(st.just("lose"), st.sampled_from([V1.id, V2.id])),
        st.tuples(st.just("fail"), st.sampled_from([V1.id, V2.id])),
        st.tuples(st.just("errors"), st.sampled_from([V1.id, V2.id])),
        st.tuples(st.just("wait"), st.just("")),
        st.tuples(st.just("abort"), st.just("")),
        st.tuples(st.just("pause"), st.just("")),
        st.tuples(st.just("resume"), st.just("")),
        st.tuples(st.just("promote"), st.just("")),
    ),
    max_size=60,
)
COMMANDS = {
    "abort": Abort("ann"),
    "pause": Pause("ann"),
    "resume": Resume("ann"),
    "promote": Promote("ann"),
}


def play(story: Story, move: tuple[str, str]) -> tuple[Observation, ServiceState, Decision]:
    """One move of the dice, then one turn; what was seen, from which state, what was decided."""
    kind, whom = move
    if kind in COMMANDS:
        try:
            story.record(propose(story.state, COMMANDS[kind], story.now))
        except Rejected as refused:
            assert refused.code and refused.detail
    if kind == "grow":
        story.world.grow()
    if kind in ("lose", "fail"):
        getattr(story.world, kind)(whom)
    story.now += 30.0 if kind == "wait" else 0.5
    seen = story.world.look(story.now, {whom: 200} if kind == "errors" else {})
    before = story.state
    decision = decide(before, seen)
    story.record(decision.events)
    if kind in ("obey", "grow"):
        story.world.obey(decision)
    return seen, before, decision


@given(strategy=STRATEGIES, moves=MOVES)
@settings(max_examples=150, deadline=None)
def test_every_decision_keeps_the_rules(strategy, moves):
    story = deploying(service(strategy))
    for move in moves:
        seen, before, decision = play(story, move)
        assert decide(before, seen) == decision, "the same input gave another output"
        steps = [e for e in decision.events if isinstance(e, StepEntered)]
        assert len(steps) <= 1, "more than one step per decision"
        for order in decision.orders:
            if isinstance(order, Route):
                check_route(order, seen, story.state)
            if isinstance(order, Scale):
                check_scale(order, seen, story.state)


def check_route(order: Route, seen: Observation, state: ServiceState) -> None:
    assert sum(weight for _, weight in order.weights) == 100
    assert all(weight > 0 for _, weight in order.weights)
    if any(f.ready for f in seen.fleets):
        unready = [r for r, _ in order.weights if seen.fleet(r).ready == 0]
        assert not unready, "traffic for nobody while somebody is ready"
    run = state.running
    if run is not None and run.phase is Phase.REVERTING and run.plan.old is not None:
        risen = dict(order.weights).get(V2.id, 0) > seen.weight(V2.id)
        assert not risen or seen.fleet(V1.id).ready == 0, "rose after the revert without refuge"


def check_scale(order: Scale, seen: Observation, state: ServiceState) -> None:
    fleet = seen.fleet(order.release)
    if order.size == 0 and seen.weight(order.release) > 0:
        assert fleet.ready == 0, "a fleet with traffic was dropped"


@given(strategy=STRATEGIES, moves=MOVES)
@settings(max_examples=100, deadline=None)
def test_folding_the_ledger_gives_the_live_state(strategy, moves):
    story = deploying(service(strategy))
    for move in moves:
        play(story, move)
    assert fold(story.facts, "shop") == story.state
    stored = json.loads(json.dumps([encode(fact) for fact in story.facts]))
    assert [decode(Event, fact) for fact in stored] == story.facts


@given(strategy=STRATEGIES, moves=MOVES)
@settings(max_examples=60, deadline=None)
def test_every_rollout_ends_once_the_weather_is_calm(strategy, moves):
    story = deploying(service(strategy))
    for move in moves:
        play(story, move)
    if story.state.running is not None and story.state.running.paused_at is not None:
        story.record(propose(story.state, Resume("ann"), story.now))
    story.run(turns=3000)
    assert story.state.rollout is not None
    assert story.state.rollout.ending in set(Ending)


@pytest.mark.parametrize("strategy", ["rolling", "blue-green", "canary"])
def test_the_engine_is_quiet_when_the_world_is_as_wanted(strategy):
    story = deploying(service(strategy))
    story.run()
    assert story.state.stable == V2
    assert story.turn().orders == ()


@pytest.mark.req("T45", "T71", "T73")
@pytest.mark.parametrize("strategy", ["rolling", "blue-green", "canary"])
def test_capacity_never_falls_below_the_replicas_while_deploying(strategy):
    story = deploying(service(strategy, replicas=10))
    lows, highs = [], []
    for _ in range(400):
        decision = story.turn()
        story.world.obey(decision)
        story.world.grow()
        lows.append(sum(f.ready for f in story.world.fleets.values()))
        highs.append(sum(f.size for f in story.world.fleets.values()))
        if story.state.running is None and not decision.orders:
            break
    assert story.state.stable == V2
    assert min(lows) >= 10
    assert max(highs) <= (12 if strategy == "rolling" else 20)


def test_a_judged_step_is_never_left_without_a_pass():
    story = deploying(service("canary"))
    story.run()
    entered = [f for f in story.facts if isinstance(f, StepEntered)]
    passed = {f.step for f in story.facts if isinstance(f, Judged) and f.verdict.mark is Mark.PASS}
    started = next(f for f in story.facts if isinstance(f, Started) and f.plan.new == V2)
    for fact in entered:
        assert not judged(started.plan, fact.step - 1) or fact.step - 1 in passed


def judged(plan: Plan, step: int) -> bool:
    return plan.ladder[step].judged


def test_a_release_taken_back_is_refused_until_forced():
    spec = service("canary")
    story = deploying(spec)
    for _ in range(60):
        story.world.obey(story.turn(errors={V2.id: 50}))
        story.world.grow()
    assert story.state.stable == V1
    again = Deploy(plan_rollout(spec, V1, V2, "r3"), "ann")
    with pytest.raises(Rejected, match="rejected-before"):
        propose(story.state, again, story.now)
    forced = Deploy(again.plan, "ann", forced=True)
    assert isinstance(propose(story.state, forced, story.now)[0], Started)


def test_a_release_that_dies_while_it_bakes_is_baked_anew_before_it_is_promoted():
    story = deploying(service("rolling", bake="4s"))
    while story.state.running.phase is not Phase.SETTLING:
        story.world.obey(story.turn())
        story.world.grow()
    story.turn(seconds=3.0)
    for _ in range(4):
        story.world.lose(V2.id)
    died = story.now + 0.1
    story.turn(seconds=0.1)
    story.world.grow()
    while story.state.running is not None:
        story.turn()
    assert story.state.stable == V2
    assert story.now - died >= 4.0
