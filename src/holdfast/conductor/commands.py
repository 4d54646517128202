"""From an API call to a station's command, and from what became of it to a document."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

from holdfast.conductor.answers import Problem
from holdfast.conductor.auth import Identity, Role
from holdfast.conductor.client import OutcomeDoc, PlanDoc, ReleaseDoc
from holdfast.conductor.requests import DeployBody
from holdfast.conductor.station import Ask, Outcome, Proposal, Station
from holdfast.conductor.status import release_document
from holdfast.conductor.wiring import Conductor
from holdfast.rollout.commands import (
    Abort,
    Approve,
    Command,
    Pause,
    Promote,
    Rejected,
    Resume,
    ScaleTo,
    TakeDown,
    propose,
)
from holdfast.rollout.model import OnConflict, Release
from holdfast.rollout.plan import forecast
from holdfast.runtime.codec import encode
from holdfast.spec import problem
from holdfast.spec.load import load_text

#: A command answers when what it asked for is recorded; nothing else may hold it up longer.
COMMAND_S_MAX = 30.0


class Commands:
    """What people ask of the services of one conductor."""

    def __init__(self, conductor: Conductor) -> None:
        self._conductor = conductor

    # ---- deploying

    async def deploy(self, service: str, body: DeployBody, who: Identity) -> OutcomeDoc:
        ask = read_ask(service, body, who.acts_as(body.by))
        if (ask.force or ask.override_gate) and who.role < Role.APPROVER:
            detail = f"{who.name} is {who.role.word}; force and override need approver"
            raise Problem(403, "role", detail, "ask somebody who has that role")
        async with asyncio.timeout(COMMAND_S_MAX):
            station = await self._conductor.station_for(ask.service, ask.by)
            return outcome_document(service, await station.deploy(ask))

    async def plan(self, service: str, body: DeployBody, by: str) -> PlanDoc:
        """Everything a deploy would be refused for is said here too, but nothing is changed."""
        ask = read_ask(service, body, by)
        station = self._conductor.stations.get(service)
        if station is None:
            station = self._conductor.passing_station(ask.service)
        proposal = station.propose(ask)
        try:
            events = propose(station.state, proposal.ask, station.post.now())
            word, detail = ("started", "") if events else ("nothing-to-do", "it serves already")
        except Rejected as rejected:
            word, detail = "refused", f"{rejected.detail} ({rejected.code})"
        return _plan_document(station, proposal, word, detail)

    async def restart(self, station: Station, by: str) -> OutcomeDoc:
        async with asyncio.timeout(COMMAND_S_MAX):
            outcome = await station.deploy(station.restart_ask(by))
        return outcome_document(station.name, outcome)

    async def rollback(self, station: Station, to: str | None, by: str, force: bool) -> OutcomeDoc:
        async with asyncio.timeout(COMMAND_S_MAX):
            return outcome_document(station.name, await station.rollback(to, by, force))

    # ---- steering

    async def promote(self, station: Station, by: str) -> OutcomeDoc:
        return await self._simple(station, Promote(by), "the rest of this step's wait is skipped")

    async def approve(self, station: Station, by: str) -> OutcomeDoc:
        return await self._simple(station, Approve(by), f"approved by {by}")

    async def pause(self, station: Station, by: str, reason: str) -> OutcomeDoc:
        return await self._simple(station, Pause(by, reason), "paused")

    async def resume(self, station: Station, by: str) -> OutcomeDoc:
        return await self._simple(station, Resume(by), "resumed")

    async def abort(self, station: Station, by: str, reason: str) -> OutcomeDoc:
        return await self._simple(station, Abort(by, reason), "the rollout is taken back")

    async def scale(self, station: Station, replicas: int, by: str) -> OutcomeDoc:
        detail = f"{replicas} replicas"
        return await self._simple(station, ScaleTo(replicas, by), detail, word="scaled")

    async def down(self, station: Station, by: str) -> OutcomeDoc:
        return await self._simple(station, TakeDown(by), "instances drain and stop")

    async def _simple(
        self, station: Station, command: Command, detail: str, word: str = "accepted"
    ) -> OutcomeDoc:
        async with asyncio.timeout(COMMAND_S_MAX):
            events = await station.post.command(command)
        running = station.state.running
        rollout = running.plan.rollout if running is not None else None
        if not events:
            word, detail = "nothing-to-do", "that is how it is already"
        return outcome_document(station.name, Outcome(word, detail, rollout))

    # ---- names

    def release_named(self, station: Station, word: str | None) -> str | None:
        """The id of the release people mean by ``word``."""
        if word is None:
            return None
        return station.release_named(word).release.id


def read_ask(service: str, body: DeployBody, by: str) -> Ask:
    """The deploy that a body asks for. Raises ``spec.problem.Invalid``."""
    spec = load_text(body.spec_text, body.spec_path)
    if spec.service != service:
        found, wanted = f"the service {spec.service!r}", f"{service!r} as in the address"
        place = problem.Problem(body.spec_path, 1, 1, "service", found, wanted)
        raise problem.Invalid([place], body.spec_text)
    return Ask(
        service=spec,
        spec_text=body.spec_text,
        spec_path=body.spec_path,
        by=by,
        version=body.version,
        force=body.force,
        restart=body.restart,
        override_gate=body.override_gate,
        on_conflict=OnConflict(body.on_conflict) if body.on_conflict else None,
    )


def outcome_document(service: str, outcome: Outcome) -> OutcomeDoc:
    return {
        "service": service,
        "outcome": outcome.word,
        "detail": outcome.detail,
        "rollout": outcome.rollout,
        "release": _maybe(outcome.release),
    }


def _maybe(release: Release | None) -> ReleaseDoc | None:
    return None if release is None else release_document(release)


def _plan_document(station: Station, proposal: Proposal, word: str, detail: str) -> PlanDoc:
    plan = proposal.ask.plan
    started = word == "started"
    steps = forecast(plan, station.request_rate()) if started else ()
    back = station.way_back(proposal) if started else None
    return {
        "service": station.name,
        "outcome": word,
        "detail": detail,
        "plan": encode(plan) if started else None,
        "rollback": encode(back) if back is not None else None,
        "forecast": [asdict(step) for step in steps],
        "gate": proposal.ask.gate,
        "release": release_document(plan.new),
    }
