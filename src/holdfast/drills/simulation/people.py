"""The people of a scenario: they deploy, abort, approve, change their minds, and try again."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from holdfast.drills.simulation.scenario import TROUBLE_S
from holdfast.rollout.commands import (
    Abort,
    Approve,
    Command,
    Deploy,
    Pause,
    Promote,
    Rejected,
    Resume,
    Rollback,
    ScaleTo,
    base_of,
)
from holdfast.rollout.model import OnConflict, Release
from holdfast.rollout.plan import plan_rollback, plan_rollout
from holdfast.targets.base import Bundle, Refused, Unreachable

if TYPE_CHECKING:
    from holdfast.conductor.conduct import Post
    from holdfast.drills.simulation.scenario import Act, Scenario
    from holdfast.runtime.clock import Clock
    from holdfast.targets.simulated.world import World

APPROVE_EVERY_S = 3.0


class CrashNow(Exception):
    """The conductor's process ends here."""


class Stage(Protocol):
    """What people can reach."""

    @property
    def scenario(self) -> Scenario: ...
    @property
    def world(self) -> World: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def post(self) -> Post | None: ...
    @property
    def up(self) -> bool: ...

    def tell(self, line: str) -> None: ...


def release_of(version: str) -> Release:
    """In a scenario a release's id is its version; the digest follows from it."""
    return Release(version, hashlib.sha256(version.encode()).hexdigest(), version)


class People:
    """Everybody who may give commands during one run."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._rollouts = 0

    async def live(self, start: float) -> None:
        """Deploy the second release, then act as the scenario says."""
        approvers = asyncio.create_task(self._approve_now_and_then())
        try:
            await self.deploy("v2")
            for act in self._stage.scenario.acts:
                await asyncio.sleep(max(0.0, start + act.at - self._stage.clock.now()))
                await self._do(act)
            await asyncio.sleep(max(0.0, start + TROUBLE_S - self._stage.clock.now()))
        finally:
            approvers.cancel()

    async def calm_down(self) -> None:
        """Nobody leaves a rollout paused or unapproved for ever."""
        post = self._stage.post
        run = post.state.running if post is not None else None
        if run is None or not self._stage.up:
            return
        if run.paused_at is not None:
            await self._ask(Resume("ann"))
        if run.rung.approvals:
            await self._approve()

    async def _approve_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(APPROVE_EVERY_S)
            post = self._stage.post
            run = post.state.running if post is not None else None
            if run is not None and run.rung.approvals and self._stage.up:
                await self._approve()

    async def _approve(self) -> None:
        for name in ("ann", "bob"):
            await self._ask(Approve(name))

    async def _do(self, act: Act) -> None:
        match act.verb:
            case "deploy":
                await self.deploy(act.subject)
            case "redeploy":
                await self.deploy("v2")
            case "rollback":
                await self._roll_back()
            case "abort":
                await self._ask(Abort("ann", "a feeling"))
            case "pause":
                await self._ask(Pause("ann", "lunch"))
            case "resume":
                await self._ask(Resume("ann"))
            case "promote":
                await self._ask(Promote("ann"))
            case "scale":
                await self._ask(ScaleTo(act.amount, "ann"))
            case _:
                raise ValueError(f"unknown act {act.verb!r}")

    async def deploy(self, version: str) -> None:
        stage = self._stage
        service, new = stage.scenario.service, release_of(version)
        if not await self._prepare(new):
            return
        post = await self._whoever_has_the_seat()
        self._rollouts += 1
        policy = OnConflict(service.rollout.on_conflict)
        base = base_of(post.state, policy)
        plan = plan_rollout(service, base, new, f"r{self._rollouts}")
        before = post.seen.fleet(new.id).restarts if post.seen is not None else 0
        plan = replace(plan, deaths_before=before)
        await self._ask(Deploy(plan, "ann", on_conflict=policy))

    async def _prepare(self, release: Release) -> bool:
        """Stage the release; an unreachable target is asked again for a while."""
        bundle = Bundle(release, self._stage.scenario.service)
        for _ in range(60):
            try:
                await self._stage.world.prepare(bundle)
                return True
            except Refused as refused:
                self._stage.tell(f"PREPARE {release.id} refused: {refused}")
                return False
            except Unreachable:
                await asyncio.sleep(1.0)
        return False

    async def _whoever_has_the_seat(self) -> Post:
        while self._stage.post is None or not self._stage.up:
            await asyncio.sleep(0.1)
        return self._stage.post

    async def _roll_back(self) -> None:
        post = await self._whoever_has_the_seat()
        state = post.state
        good = [r for r in state.proven if state.stable is None or r.id != state.stable.id]
        if not good or state.stable is None:
            return
        self._rollouts += 1
        service = self._stage.scenario.service
        plan = plan_rollback(service, state.stable, good[-1], f"r{self._rollouts}")
        await self._ask(Rollback(plan, "ann"))

    async def _ask(self, command: Command) -> None:
        """Ask; a conductor that dies over it is asked once more when it is back."""
        name = type(command).__name__
        for _ in range(3):
            post = await self._whoever_has_the_seat()
            try:
                facts = await post.command(command)
                self._stage.tell(f"ASK   {name}: {len(facts)} facts")
                return
            except Rejected as rejected:
                self._stage.tell(f"ASK   {name}: rejected, {rejected}")
                return
            except CrashNow:
                self._stage.tell(f"ASK   {name}: the conductor died over it")
                await asyncio.sleep(0.1)
