"""One service in the conductor: its post, its target, its releases, and what people ask of it.

Commands are judged by ``rollout.commands.propose``; here is only what needs the world: making a
release launchable and keeping it in the ledger *before* a rollout of it is recorded, so that
whoever reads ``Started`` in the ledger can also start it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from holdfast.conductor.conduct import Post
from holdfast.conductor.console.series import Series
from holdfast.conductor.lease import Lease, Lost
from holdfast.conductor.releases import Releases, Stored, UnknownRelease
from holdfast.conductor.status import Snapshot, previous_release
from holdfast.ledger import LedgerError
from holdfast.rollout.commands import (
    Abort,
    Deploy,
    Rejected,
    Rollback,
    ScaleTo,
    base_of,
    propose,
)
from holdfast.rollout.model import OnConflict, Plan, Queued, Release, ReleaseId, Route
from holdfast.rollout.plan import plan_rollback, plan_rollout
from holdfast.rollout.state import ServiceState, wanted_releases
from holdfast.rollout.windows import blocked
from holdfast.spec.model import Service
from holdfast.targets.base import Bundle, Refused, Target, TargetError

log = logging.getLogger("holdfast.conductor")

RETRY_S, RETRY_S_MAX = 1.0, 30.0
DETACH_S_MAX = 10.0
FIRST_LOOK_S_MAX = 1.0


@dataclass(frozen=True, slots=True)
class Ask:
    """A deploy as it was asked for."""

    service: Service
    spec_text: str
    spec_path: str
    by: str
    version: str | None = None
    force: bool = False
    restart: bool = False
    again: Release | None = None  # this very release, whatever the files are now
    override_gate: bool = False
    on_conflict: OnConflict | None = None  # None: as the spec says

    @property
    def base_dir(self) -> Path:
        return Path(self.spec_path).parent


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a command; ``word`` is the API's ``outcome``."""

    word: str
    detail: str
    rollout: str | None = None
    release: Release | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """A deploy thought through: the release, and the plan it would be rolled out by."""

    stored: Stored
    ask: Deploy
    replicas: int | None  # the spec asks for another size than before


@dataclass(frozen=True)
class Holdings:
    """What a station is given by the conductor."""

    post: Post
    target: Target
    releases: Releases
    lease: Lease
    #: Variance over mean of the control's errors, and whether the control itself is sick.
    control: Callable[[Post, Service], tuple[float, bool]]
    next_rollout: Callable[[], str]
    wall: Callable[[], float]


class Station:
    """The seat of one service, with everything at hand."""

    def __init__(self, holdings: Holdings) -> None:
        self._have = holdings
        self.post, self.releases, self.lease = holdings.post, holdings.releases, holdings.lease
        self.post.watchers.decisions.append(lambda *_: self._well())
        self._looked = asyncio.Event()
        self.series = Series(holdings.post.means.clock)
        self.distrust: str | None = None  # why its past cannot be believed
        self._failing: str | None = None  # why the latest turn failed
        self._unlaunchable: dict[ReleaseId, str] = {}
        self._asking = asyncio.Lock()  # one deploy or rollback at a time
        self._running: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        return self.post.service

    @property
    def state(self) -> ServiceState:
        return self.post.state

    @property
    def service(self) -> Service | None:
        """The spec in force: of the release on its way up, else of the stable one."""
        running = self.state.running
        candidates = [self.state.stable]
        if running is not None and running.rising:
            candidates.insert(0, running.plan.new)
        for release in candidates:
            stored = self.releases.get(release.id) if release is not None else None
            if stored is not None:
                return stored.service
        latest = self.releases.latest()
        return latest.service if latest is not None else None

    def gate(self, wall: float) -> str | None:
        """Why no rollout may start or rise now, unless somebody overrode that for this one."""
        running, spec = self.state.running, self.service
        if spec is None or (running is not None and running.plan.rollout in self.releases.ungated):
            return None
        return blocked(spec, wall)

    def snapshot(self) -> Snapshot:
        post = self.post
        return Snapshot(
            state=post.state,
            service=self.service,
            seen=post.seen,
            holds=post.holds,
            owner=post.owner,
            generation=post.generation,
            now=post.now(),
            trouble=self.trouble,
        )

    # ---- life

    def begin(self, on_lost: Callable[[Lost], None]) -> None:
        """Start turning. Continues a rollout that was running."""
        self._running = asyncio.create_task(self._keep(on_lost), name=f"station {self.name}")

    async def detach(self) -> None:
        """Stop turning and let go of the target; instances keep serving."""
        if self._running is not None:
            self._running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._running
        with contextlib.suppress(TargetError, TimeoutError, OSError):
            async with asyncio.timeout(DETACH_S_MAX):
                await self._have.target.aclose()

    async def _keep(self, on_lost: Callable[[Lost], None]) -> None:
        """A failure of one service is its own: it is said, and tried again, ever less often.

        Each try is a fact in the ledger, which must not grow by one a second for days.
        """
        pause = RETRY_S
        while True:
            began = self.post.now()
            try:
                await self._prepare_wanted()
                await self.post.run()
            except Lost as lost:
                return on_lost(lost)
            except (LedgerError, TargetError, OSError) as error:
                self._say(f"{type(error).__name__}: {error}")
            except Exception as error:
                log.exception("%s: the turn failed", self.name)
                self._say(f"{type(error).__name__}: {error}")
            lived = self.post.now() - began
            pause = RETRY_S if lived > RETRY_S_MAX else min(pause * 2, RETRY_S_MAX)
            await asyncio.sleep(pause)

    def _say(self, trouble: str) -> None:
        if trouble != self._failing:
            log.error("%s: %s", self.name, trouble)
        self._failing = trouble

    def _well(self) -> None:
        self._failing = None
        self._looked.set()

    async def looked(self) -> None:
        """Wait for the first look at the target: before it, nothing is known about fleets."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_LOOK_S_MAX):
                await self._looked.wait()

    @property
    def trouble(self) -> str | None:
        """What a person should know: turns that fail, releases that cannot be started again."""
        return self._failing or self.distrust or next(iter(self._unlaunchable.values()), None)

    async def _prepare_wanted(self) -> None:
        """Make every release launchable that the state may want instances of."""
        for release in sorted(wanted_releases(self.state)):
            stored = self.releases.get(release)
            if stored is None:
                continue
            try:
                await self._have.target.prepare(stored.bundle)
            except Refused as refused:  # its running instances are none the worse for it
                self._unlaunchable[release] = f"{release} cannot be started again: {refused}"
                log.error("%s: %s", self.name, self._unlaunchable[release])
            else:
                self._unlaunchable.pop(release, None)

    # ---- what people ask for

    def check_target(self, service: Service) -> None:
        before = self.service
        if before is not None and before.target != service.target:
            detail = f"{self.name} is on the {before.target} target, the spec asks for another"
            raise Rejected("target-changed", detail, "deploy it under another service name")

    def propose(self, ask: Ask) -> Proposal:
        """Think a deploy through, changing nothing. Raises ``Rejected``."""
        release = ask.again or self.releases.identify(
            ask.service, ask.base_dir, ask.version, self.state.stable
        )
        rollout = self._have.next_rollout()
        service = ask.service
        if self._serves(release):
            assert self.state.stable is not None
            release = self.state.stable  # after a restart its id differs from the first one
            if ask.restart:
                release = replace(release, id=f"{release.id.partition('.')[0]}.{rollout}")
                service = _rolling(service)
        plan = self._plan(ask, service, release, rollout)
        stored = Stored(
            Bundle(release, ask.service, str(ask.base_dir)), ask.spec_text, ask.spec_path
        )
        deploy = Deploy(
            plan,
            ask.by,
            forced=ask.force,
            restart=ask.restart,
            on_conflict=_policy(ask),
            gate=blocked(ask.service, self._have.wall()),
            override_gate=ask.override_gate,
        )
        return Proposal(stored, deploy, self._new_size(ask.service))

    async def deploy(self, ask: Ask) -> Outcome:
        """Raises ``Rejected`` and ``targets.base.Refused``."""
        async with self._asking:
            proposal = self.propose(ask)
            if (back := self._is_way_back(proposal)) is not None:
                await self.post.command(Abort(ask.by, f"{back.version} was deployed again"))
                return Outcome("accepted", "the rollout is taken back", None, back)
            events = propose(self.state, proposal.ask, self.post.now())
            if not events:
                return await self._adjust(proposal, ask)
            await self._have.target.prepare(proposal.stored.bundle)
            await self.releases.store(proposal.stored, ask.by, self._have.wall())
            plan = proposal.ask.plan
            if proposal.ask.override_gate and proposal.ask.gate is not None:
                await self.releases.override_gate(
                    plan.rollout, proposal.ask.gate, ask.by, self._have.wall()
                )
            recorded = await self.post.command(proposal.ask)
            queued = any(isinstance(event, Queued) for event in recorded)
            if proposal.replicas is not None and not queued:
                await self.post.command(ScaleTo(proposal.replicas, ask.by))
            word = "queued" if queued else "started"
            return Outcome(word, f"{plan.new.version} {word}", plan.rollout, plan.new)

    def _is_way_back(self, proposal: Proposal) -> Release | None:
        """The stable release, when asked for in place of the rollout that would replace it."""
        running, ask = self.state.running, proposal.ask
        replaces = ask.on_conflict is OnConflict.REPLACE and not ask.restart
        if running is None or not running.rising or not replaces:
            return None
        return ask.plan.new if self._serves(ask.plan.new) else None

    async def _adjust(self, proposal: Proposal, ask: Ask) -> Outcome:
        """The same release: perhaps another size or traffic policy, never a rollout."""
        new = proposal.ask.plan.new
        running = self.state.running
        if running is not None and running.plan.new.digest == new.digest:
            return Outcome("nothing-to-do", "on its way already", running.plan.rollout, new)
        known = self.releases.get(new.id)
        changed = known is None or known.service != ask.service
        if changed:
            await self._have.target.prepare(proposal.stored.bundle)
            await self.releases.store(proposal.stored, ask.by, self._have.wall())
            await self._reroute()
        if proposal.replicas is not None:
            await self.post.command(ScaleTo(proposal.replicas, ask.by))
            return Outcome("scaled", f"{proposal.replicas} replicas", None, new)
        self.post.nudge()
        if changed:
            return Outcome("policy-changed", "no instance needs to change", None, new)
        return Outcome("nothing-to-do", f"{new.version} serves already", None, new)

    async def _reroute(self) -> None:
        """The same weights once more: the target shapes traffic by the new spec as it routes."""
        seen = self.post.seen
        if seen is not None and seen.weights and self.state.running is None:
            await self._have.target.perform(Route(seen.weights, self.post.generation))

    async def rollback(self, to: str | None, by: str, force: bool) -> Outcome:
        """To ``to``, else to what served before. A rollout on its way up is simply taken back."""
        running = self.state.running
        if to is None and running is not None and running.rising and not running.plan.rollback:
            await self.post.command(Abort(by, "rollback"))
            return Outcome("accepted", "the rollout is taken back", running.plan.rollout)
        async with self._asking:
            good = self._rollback_to(to)
            if not self._is_whole(good.release):
                await self._have.target.prepare(good.bundle)
            plan = self.plan_rollback(good)
            await self.post.command(Rollback(plan, by, forced=force))
            return Outcome("started", f"back to {good.release.version}", plan.rollout, good.release)

    def plan_rollback(self, good: Stored) -> Plan:
        bad = self.state.stable
        if bad is None:
            raise Rejected("nothing-deployed", "nothing is deployed, so nothing can be rolled back")
        return plan_rollback(good.service, bad, good.release, self._have.next_rollout())

    def rollback_candidate(self) -> Stored | None:
        """What ``rollback`` without a name would go back to."""
        previous = previous_release(self.state)
        return self.releases.get(previous.id) if previous is not None else None

    def way_back(self, proposal: Proposal) -> Plan | None:
        """What a rollback after the proposed rollout would do; None on a first deploy."""
        plan = proposal.ask.plan
        stored = self.releases.get(plan.old.id) if plan.old is not None else None
        if stored is None:
            return None
        return plan_rollback(stored.service, plan.new, stored.release, f"{plan.rollout}-back")

    def request_rate(self) -> float:
        """Requests per second that the stable release has answered lately."""
        seconds = sum(span for span, _counts in self.post.control)
        requests = sum(counts.requests for _span, counts in self.post.control)
        return requests / seconds if seconds > 0 else 0.0

    def release_named(self, word: str) -> Stored:
        try:
            return self.releases.find(word)
        except UnknownRelease as unknown:
            hint = "holdfast history lists the releases"
            raise Rejected("unknown-release", str(unknown), hint) from unknown

    def restart_ask(self, by: str) -> Ask:
        """The stable release once more."""
        stable = self.state.stable
        stored = self.releases.get(stable.id) if stable is not None else None
        if stable is None or stored is None:
            raise Rejected("nothing-deployed", "nothing is deployed, so nothing can be restarted")
        return Ask(
            service=stored.service,
            spec_text=stored.spec_text,
            spec_path=stored.spec_path,
            by=by,
            version=stable.version,
            force=True,
            restart=True,
            again=stable,
        )

    def _is_whole(self, release: Release) -> bool:
        """Enough instances serve already: nothing may stand in the way of going back to them."""
        seen = self.post.seen
        return seen is not None and seen.fleet(release.id).ready >= max(1, self.state.replicas)

    # ---- parts of a plan

    def _serves(self, release: Release) -> bool:
        stable = self.state.stable
        return stable is not None and stable.digest == release.digest

    def _plan(self, ask: Ask, service: Service, release: Release, rollout: str) -> Plan:
        old = base_of(self.state, _policy(ask))
        plan = plan_rollout(service, old, release, rollout)
        dispersion, sick = self._have.control(self.post, service)
        size = self._new_size(ask.service)
        if size is None and old is not None:
            size = self.state.replicas
        return replace(
            plan,
            judge=replace(plan.judge, dispersion=dispersion),
            repair=sick and old is not None,
            replicas=plan.replicas if size is None else size,
            deaths_before=self._deaths(release),
        )

    def _deaths(self, release: Release) -> int:
        seen = self.post.seen
        return 0 if seen is None else seen.fleet(release.id).restarts

    def _new_size(self, service: Service) -> int | None:
        """The size in the spec, when it changed there: a manual ``scale`` outlives a deploy."""
        before = self.service
        if before is None or self.state.stable is None:
            return None
        changed = before.replicas != service.replicas
        return service.replicas if changed and service.replicas != self.state.replicas else None

    def _rollback_to(self, to: str | None) -> Stored:
        if to is None:
            found = self.rollback_candidate()
            if found is None:
                raise Rejected("nothing-to-go-back-to", "no earlier release was ever proven here")
            return found
        return self.release_named(to)


def _policy(ask: Ask) -> OnConflict:
    return ask.on_conflict or OnConflict(ask.service.rollout.on_conflict)


def _rolling(service: Service) -> Service:
    """The same service, replaced batch by batch whatever its strategy is: nothing is new."""
    rollout = service.rollout.model_copy(update={"strategy": "rolling", "approvals": 0})
    return service.model_copy(update={"rollout": rollout})
