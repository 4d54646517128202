"""The conductor inside a cluster: elected by a Lease, steered by ``Release`` objects.

Only the elected one opens the ledger. Losing the Lease, or not being able to renew it, ends this
process; the other one continues from the ledger, which refuses what a stale one still sends.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime

from holdfast.conductor.answers import problem_of
from holdfast.conductor.auth import Identity, Role
from holdfast.conductor.cluster_events import EventWriter
from holdfast.conductor.commands import Commands
from holdfast.conductor.release_object import (
    Accepted,
    Object,
    Unfit,
    author,
    key_of,
    on_conflict,
    spec_text,
    status_of,
)
from holdfast.conductor.requests import DeployBody
from holdfast.conductor.status import status_document
from holdfast.conductor.wiring import Conductor
from holdfast.runtime.clock import Clock
from holdfast.targets.base import Refused, TargetError
from holdfast.targets.kubernetes.client import Client
from holdfast.targets.kubernetes.kinds import RELEASE, RELEASES_EVERYWHERE
from holdfast.targets.kubernetes.kubeconfig import locate
from holdfast.targets.kubernetes.lease import Hold, Seat
from holdfast.targets.kubernetes.mirror import Mirror, Selection

log = logging.getLogger("holdfast.incluster")

LEASE_NAME = "holdfast-conductor"
ASK_S = 2.0  # between two looks at somebody else's Lease
CHECK_S = 0.5
#: The status follows what the engine sees this often; what is recorded wakes it at once.
LOOK_S = 1.0
#: Several events of the same moment are one write.
PAUSE_S = 0.1
PASSING = (503, 500)  # try again; what is asked for may be right


@contextlib.asynccontextmanager
async def elected(clock: Clock) -> AsyncIterator[tuple[Client, Hold]]:
    """Waits until this process is the one that acts; gives the Lease back at the end."""
    cluster = locate(None)
    client = Client(cluster, clock)
    space = os.environ.get("POD_NAMESPACE", cluster.namespace)
    holder = os.environ.get("POD_NAME") or f"{socket.gethostname()}-{os.getpid()}"
    hold = Hold(client, clock, Seat(space, LEASE_NAME, holder))
    try:
        await _elect(hold)
        yield client, hold
    finally:
        await hold.let_go()
        await client.aclose()


async def _elect(hold: Hold) -> None:
    told = ""
    while True:
        try:
            await hold.take()
        except TargetError as error:
            said = error.detail.partition(":")[0] if isinstance(error, Refused) else str(error)
            if said != told:
                log.info("standing by: %s", said)
            told = said
            await asyncio.sleep(ASK_S)
        else:
            log.info("elected: %s", hold.seat.holder)
            return


async def guard(conductor: Conductor, hold: Hold) -> None:
    """Stops the conductor when the Lease is no longer its own."""
    while True:
        await asyncio.sleep(CHECK_S)
        try:
            hold.fence(0)
        except Refused as refused:
            return conductor.stop(refused.detail)


class Follower:
    """Deploys what Releases ask for and writes their status."""

    def __init__(self, client: Client, conductor: Conductor, clock: Clock) -> None:
        self._client, self._conductor, self._clock = client, conductor, clock
        self._commands = Commands(conductor)
        everywhere = Selection(RELEASES_EVERYWHERE, "", "", key_of)
        self._releases = Mirror(client, clock, everywhere, conductor.works.news.ring)
        self._events = EventWriter(client, clock, self._release_of)
        conductor.observers.append(self._events.heard)
        self._found: dict[str, Object] = {}  # by service, the Releases that are followed
        self._accepted: dict[str, tuple[int, Accepted]] = {}  # generation, and what became of it

    async def run(self) -> None:
        """Until the conductor stops. What fails is tried again; it never ends the conductor."""
        self._releases.open()
        telling = asyncio.create_task(self._events.run(), name="events")
        news = self._conductor.works.news
        try:
            while not news.closed:
                count = news.count
                try:
                    await self._turn()
                except TargetError as error:
                    log.warning("Releases: %s", error)
                await asyncio.sleep(PAUSE_S)
                await news.after(count, LOOK_S)
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
            await self._releases.aclose()

    def _release_of(self, service: str) -> Object | None:
        return self._found.get(service)

    async def _turn(self) -> None:
        found = dict(await self._releases.objects())
        owners = _owners(found)
        self._found = {name: found[key] for name, key in owners.items()}
        for key, each in found.items():
            owner = owners[each["metadata"]["name"]]
            if owner == key:
                await self._follow(key, each)
            else:
                taken = Accepted(False, "NameTaken", f"{owner} is the service of that name")
                await self._report(key, each, taken, None)

    async def _follow(self, key: str, found: Object) -> None:
        generation = found["metadata"]["generation"]
        known = self._accepted.get(key)
        seen = known[0] if known else found.get("status", {}).get("observedGeneration")
        if generation != seen:
            accepted = await self._deploy(found)
            if accepted is None:
                return
            self._accepted[key] = known = (generation, accepted)
        name = found["metadata"]["name"]
        await self._report(key, found, known[1] if known else None, name)

    async def _deploy(self, found: Object) -> Accepted | None:
        """None when it could not be told yet."""
        name = found["metadata"]["name"]
        try:
            body = DeployBody(
                spec_text=spec_text(found),
                spec_path="/release/holdfast.yaml",
                on_conflict=on_conflict(found),
            )
            outcome = await self._commands.deploy(
                name, body, Identity(author(found), Role.DEPLOYER)
            )
        except Unfit as unfit:
            return Accepted(False, "Unfit", str(unfit))
        except Exception as error:
            problem = problem_of(error)
            if problem is None or problem.status in PASSING:
                log.warning("%s: not deployed yet: %s", name, error)
                return None
            return Accepted(False, _word(problem.body["code"]), problem.body["detail"])
        return Accepted(True, _word(outcome["outcome"]), outcome["detail"])

    async def _report(
        self, key: str, found: Object, accepted: Accepted | None, service: str | None
    ) -> None:
        station = self._conductor.stations.get(service or "")
        document = status_document(station.snapshot()) if station is not None else None
        now = datetime.fromtimestamp(self._clock.wall(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        status = status_of(found, document, accepted, now)
        if status == found.get("status"):
            return
        metadata = {"name": found["metadata"]["name"], "namespace": found["metadata"]["namespace"]}
        wanted = {"apiVersion": RELEASE.version, "kind": RELEASE.name, "metadata": metadata,
                  "status": status}  # fmt: skip
        self._releases.put(await self._client.report(wanted))


def _owners(found: Mapping[str, Object]) -> dict[str, str]:
    """Which object a service follows: the oldest of its name, wherever others are made."""
    ordered = sorted(found, key=lambda key: (found[key]["metadata"]["creationTimestamp"], key))
    owners: dict[str, str] = {}
    for key in ordered:
        owners.setdefault(found[key]["metadata"]["name"], key)
    return owners


def _word(code: str) -> str:
    """``nothing-to-do`` -> ``NothingToDo``, as reasons of conditions are written."""
    return "".join(part.capitalize() for part in code.split("-")) or "Unknown"
