"""Short stories in virtual time: the production ``Post`` against a simulated world."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import inspect
from collections.abc import Callable
from dataclasses import replace

from holdfast.conductor.conduct import Means, Post
from holdfast.conductor.journal import MemoryJournal
from holdfast.rollout.commands import Deploy, Rollback, base_of
from holdfast.rollout.model import OnConflict, Release
from holdfast.rollout.plan import plan_rollback, plan_rollout
from holdfast.spec.model import Service
from holdfast.targets.base import Bundle, Fault
from holdfast.targets.simulated import Behaviour, Traffic, VirtualClock, World, run_virtually
from holdfast.targets.simulated.behaviour import Cast
from holdfast.telemetry.gauge import Gauge

CANARY = [{"weight": w} for w in (5, 25, 50, 100)]
HEALTHY = {"start_s": 0.2, "work_s": 0.1}


def virtual(story):
    """Play an async test on a virtual loop."""

    @functools.wraps(story)
    def play(*args, **kwargs):
        return run_virtually(story(*args, **kwargs))

    play.__signature__ = inspect.signature(story)
    return play


def service(replicas=4, strategy="canary", start_within=10.0, **rollout):
    analysis = {"warm_up": 1.0, "error_rate_max": 0.01, **rollout.pop("analysis", {})}
    if strategy == "canary":
        rollout.setdefault("steps", CANARY)
    return Service.model_validate(
        {
            "service": "shop",
            "run": "simulated",
            "target": "simulated",
            "replicas": replicas,
            "probes": {"start_within": float(start_within)},
            "rollout": {"strategy": strategy, "drain": 5.0, "analysis": analysis, **rollout},
        }
    )


def release(version, config=""):
    digest = hashlib.sha256(f"{version} {config}".encode()).hexdigest()
    return Release(f"{version}{config}", digest, version)


class Watch:
    """What clients saw, and which orders were carried out."""

    def __init__(self):
        self.requests = self.errors = self.starved = 0
        self.orders = []
        self.ready_least = None
        self.ready_most = 0

    def interval(self, seen):
        self.requests += seen.requests
        self.errors += seen.errors
        self.starved += seen.starved if seen.anybody else 0
        ready = sum(count for _release, count in seen.ready)
        if self.requests:
            least = self.ready_least
            self.ready_least = ready if least is None else min(least, ready)
        self.ready_most = max(self.ready_most, ready)

    def order(self, seen):
        self.orders.append(seen)

    def done(self, kind):
        return [seen for seen in self.orders if not seen.refused and isinstance(seen.order, kind)]


class Stage:
    """One service, its world and its conductor."""

    def __init__(self, spec=None, rate=1000.0, gate=None, seed=1, journal=None, **cast):
        self.spec = spec or service()
        self.clock = VirtualClock()
        behaviours = {"v1": Behaviour(**HEALTHY), "v2": Behaviour(**HEALTHY)}
        behaviours |= {"v3": Behaviour(**HEALTHY)} | cast
        self.world = World(
            self.clock,
            seed,
            service=self.spec,
            cast=Cast(tuple(behaviours.items())),
            traffic=Traffic(rate),
        )
        self.world.trouble.jump = self.clock.jump
        self.watch = Watch()
        self.world.watchers.append(self.watch)
        self.journal = journal or MemoryJournal()
        self.gate_text = gate
        self.generation = 0
        self.post = None
        self._task = None
        self._rollouts = 0

    # ---- the conductor

    async def start(self):
        self.generation += 1
        target = self.world
        means = Means(
            self.journal,
            target,
            Gauge(target.counters, self.clock),
            self.clock,
            lambda _wall: self.gate_text,
        )
        self.post = Post("shop", means, self.generation, f"conductor-{self.generation}")
        self._task = asyncio.create_task(self.post.run())
        await asyncio.sleep(0.01)
        return self

    async def crash(self):
        """The process is gone; whatever it had recorded is in the journal."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def restart(self, after=0.0):
        await self.crash()
        await asyncio.sleep(after)
        return await self.start()

    # ---- people

    async def deploy(self, version, config="", policy="refuse", spec=None, **more):
        new, spec = release(version, config), spec or self.spec
        await self.world.prepare(Bundle(new, spec))
        self._rollouts += 1
        policy = OnConflict(policy)
        plan = plan_rollout(spec, base_of(self.post.state, policy), new, f"r{self._rollouts}")
        before = self.post.seen.fleet(new.id).restarts if self.post.seen else 0
        plan = replace(plan, deaths_before=before)
        return await self.post.command(Deploy(plan, "ann", on_conflict=policy, **more))

    async def rollback(self, version, **more):
        self._rollouts += 1
        plan = plan_rollback(
            self.spec, self.post.state.stable, release(version), f"r{self._rollouts}"
        )
        return await self.post.command(Rollback(plan, "ann", **more))

    async def with_v1(self):
        """Started, and v1 serves."""
        await self.start()
        await self.deploy("v1")
        assert await self.ended() == "promoted"
        return self

    # ---- waiting and looking

    async def until(self, true: Callable[[], object], within=600.0):
        end = self.clock.now() + within
        while not true():
            assert self.clock.now() < end, f"not within {within} s: {self.post.state.rollout}"
            await asyncio.sleep(0.05)

    async def ended(self, within=900.0):
        await self.until(lambda: self.post.state.rollout and not self.post.state.running, within)
        return self.post.state.rollout.ending.value

    async def step(self, number, within=300.0):
        await self.until(lambda: self.run is None or self.run.step >= number, within)

    async def settle(self, seconds=10.0):
        await asyncio.sleep(seconds)
        self.world.advance()

    @property
    def run(self):
        return self.post.state.running

    @property
    def revert(self):
        return self.post.state.rollout.revert

    @property
    def holds(self):
        return {hold.code.value for hold in self.post.holds}

    def facts(self, kind):
        return [fact for fact in self.journal.recall("shop") if isinstance(fact, kind)]

    def weights(self):
        self.world.advance()
        return {r: w for r, w in self.world.plane.weights.items() if w}

    def sizes(self):
        return {r: f.size for r, f in self.world.fleets.items() if f.size}

    def served_by(self, version):
        arm = self.world.plane.arms.get(version)
        return arm.requests if arm else 0

    def suffer(self, kind, subject="", amount=0.0):
        return self.world.suffer(Fault(kind, subject, amount))
