"""Deliberate bugs, applied to the engine, the turn or the world: do the checkers notice?

A simulator is as good as its checkers, and these measure them. Each mutant is one plausible
mistake; ``apply`` puts it in for the time of a ``with`` block.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

from holdfast.conductor import conduct
from holdfast.rollout import converge, engine, state
from holdfast.rollout.model import Mark, StepEntered, Verdict
from holdfast.rollout.verdict import judge
from holdfast.targets.simulated import fleet, world


@dataclass(frozen=True)
class Mutant:
    name: str
    bug: str
    owner: Any  # module or class
    attribute: str
    make: Callable[[Any], Any]  # the original -> the broken one
    first: int = 0  # the seed to begin at: some mistakes only show in rare weather

    @contextmanager
    def applied(self) -> Iterator[None]:
        original = getattr(self.owner, self.attribute)
        with patch.object(self.owner, self.attribute, self.make(original)):
            yield


def _no_refuge(_original):
    return lambda service, plain, seen: plain


def _weight_regardless(_original):
    return lambda service, run, seen, wanted: run.rung.weight


def _perform_first(_original):
    async def turn(self):
        async with self._lock:
            seen = await self._look()
            decision = conduct.decide(self.state, seen)
            self._trouble = await self._perform(decision.orders)
            await self._record(decision.events)
            self.seen, self.decision = seen, decision
            for tell in self.watchers.decisions:
                tell(self.service, decision, seen)
            return decision

    return turn


def _any_generation(original):
    def why(self, order):
        return original(self, replace(order, generation=10**6))

    return why


def _no_needs(original):
    return lambda self, route: ""


def _kill_at_once(_original):
    def stop(self, victim, now):
        served = victim.state is fleet.Life.READY
        self.farewells.append(fleet.Farewell(self.release, now, now, served))
        self._gone(victim)

    return stop


def _no_data_passes(original):
    def judge(*args, **kwargs):
        verdict = original(*args, **kwargs)
        if verdict.mark is Mark.INSUFFICIENT:
            return Verdict(Mark.PASS, "nothing bad was seen")
        return verdict

    return judge


def _failing_passes(original):
    def judge(*args, **kwargs):
        verdict = original(*args, **kwargs)
        if verdict.mark is Mark.FAIL:
            return Verdict(Mark.PASS, "it will be fine")
        return verdict

    return judge


def _leave_unjudged(_original):
    return lambda run, verdict, seen: (engine._next(run, seen), [])


def _two_steps(original):
    def after(run, seen):
        if run.step + 2 < len(run.plan.ladder):
            return [StepEntered(seen.now, run.step + 1), StepEntered(seen.now, run.step + 2)]
        return original(run, seen)

    return after


def _ordered_is_acknowledged(original):
    """The target reports the weights it was told, not those the data plane acknowledged."""

    async def observe(self):
        look = await original(self)
        return replace(look, weights=self._pending or look.weights)

    return observe


def _surge_ignored(_original):
    def sizes(service, run, seen, wanted):
        return service.replicas, service.replicas

    return sizes


def _wrong_restart(original):
    """A dead instance is started again as the newest release, not as its own."""

    def start_again(self, one, now):
        original(self, one, now)
        if one.number % 3 == 0:
            self._launch(now)

    return start_again


def _amnesia(_original):
    return lambda events, service: state.ServiceState(service)


def _double_count(original):
    async def sample(self):
        found = await original(self)
        arms = tuple(
            (r, replace(c, requests=c.requests * 3, errors=c.errors * 3)) for r, c in found.arms
        )
        return replace(found, arms=arms)

    return sample


def _never_tired(_original):
    async def perform(self, orders):
        await asyncio.gather(
            *(self.means.target.perform(o) for o in orders), return_exceptions=True
        )

    return perform


def _keep_warm_short(_original):
    return lambda plan, at: None


def _flip_back(_original):
    return lambda service, run, home, acked: 0


def _gone_is_sick(_original):
    """An old fleet that a rolling update has replaced is taken for one that died."""

    def verdict(run, seen):
        old = run.plan.old
        return judge(run.tally, run.plan.judge, repair=old is None or not seen.fleet(old.id).ready)

    return verdict


MUTANTS = (
    Mutant("no-refuge", "traffic stays where the plan wants it", converge, "_refuge", _no_refuge),
    Mutant(
        "weight-regardless",
        "the step's weight is routed before its fleet is whole (Flagger #1898)",
        converge,
        "_rising_weight",
        _weight_regardless,
    ),
    Mutant("perform-first", "orders before facts", conduct.Post, "turn", _perform_first),
    Mutant("any-generation", "no fence", world.World, "_why_refuse", _any_generation),
    Mutant("kill-at-once", "no drain", fleet.Fleet, "_stop", _kill_at_once),
    Mutant("no-data-passes", "silence is a PASS", engine, "judge", _no_data_passes),
    Mutant("failing-passes", "a FAIL is waved through", engine, "judge", _failing_passes),
    Mutant("unjudged", "a step is left without evidence", engine, "_judged_exit", _leave_unjudged),
    Mutant("two-steps", "two steps in one decision", engine, "_next", _two_steps),
    Mutant("blind-ack", "told is done", world.World, "observe", _ordered_is_acknowledged),
    Mutant(
        "no-deadline",
        "deadlines are ignored",
        engine,
        "_overdue",
        lambda o: lambda *a: None,
        first=150,
    ),
    Mutant(
        "gone-is-sick",
        "in the last batch a healthy release is judged alone",
        engine,
        "_verdict",
        _gone_is_sick,
        first=150,
    ),
    Mutant("no-way-out", "reverting never gives up", engine, "_no_home", lambda o: lambda *a: None),
    Mutant("warm-dropped", "the old fleet goes at once", state, "_warm", _keep_warm_short),
    Mutant("abort-raises", "going back goes forward", converge, "_back_weight", _flip_back),
    Mutant("forgets-rejected", "bad digests pass", state, "_rejected", lambda o: lambda s, e: s),
    Mutant("no-floor", "a carrying fleet is reduced", converge, "_floor", lambda o: lambda *a: 0),
    Mutant("no-surge", "both fleets at full size", converge, "_rolling_sizes", _surge_ignored),
    Mutant("wrong-restart", "one dies, two come", fleet.Fleet, "_start_again", _wrong_restart),
    Mutant("amnesia", "a new conductor starts from nothing", conduct, "fold", _amnesia),
    Mutant("double-count", "requests are counted thrice", conduct.Post, "_sample", _double_count),
)  # fmt: skip
