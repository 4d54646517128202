"""One conductor for a service, whoever else has access to the cluster: a Lease in its namespace.

A Lease that was not renewed for its whole duration *while we looked* may be taken: clocks of other
machines are not believed (as client-go's leader election does). Each new holder counts one more
transition; with the generation of its orders that makes a number which only grows, by which
objects tell a stale conductor from the present one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from datetime import UTC, datetime

from holdfast.runtime.clock import Clock
from holdfast.targets.base import Refused, TargetError
from holdfast.targets.kubernetes.answers import Changed
from holdfast.targets.kubernetes.client import Client
from holdfast.targets.kubernetes.kinds import LEASE, Object

log = logging.getLogger("holdfast.targets.kubernetes")

DURATION_S = 15
RENEW_S = 4.0
GENERATIONS = 1_000_000  # of one holder; the transitions count above them


@dataclass(frozen=True, slots=True)
class Seat:
    """Whose lease, where."""

    namespace: str
    name: str
    holder: str  # the same after a restart of the same conductor


class Hold:
    """Takes the lease, keeps it, and lets it go."""

    def __init__(self, client: Client, clock: Clock, seat: Seat) -> None:
        self._client, self._clock, self.seat = client, clock, seat
        self._known: Object = {}
        self._known_since = 0.0
        self._renewed_at: float | None = None  # None: not ours
        self._task: asyncio.Task[None] | None = None

    async def take(self) -> None:
        """Idempotent. Raises ``Refused`` with the code ``held`` while somebody else has it."""
        if self._renewed_at is not None:
            return
        found = await self._client.get(LEASE, self.seat.namespace, self.seat.name)
        if found is None:
            await self._write(self._record(0), fresh=True)
        else:
            self._look(found)
            self._check_free(found)
            await self._write(self._record(self._next(found), found), fresh=False)
        self._task = asyncio.create_task(self._keep(), name="lease")

    def fence(self, generation: int) -> int:
        """The number of an order. Raises ``Refused`` where the lease is no longer ours."""
        if self._renewed_at is None or self._clock.now() - self._renewed_at > DURATION_S:
            raise Refused("lease-lost", f"Lease {self.seat.name} is no longer held from here")
        return int(self._known["spec"].get("leaseTransitions") or 0) * GENERATIONS + generation

    async def let_go(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        if self._renewed_at is not None:
            with contextlib.suppress(TargetError):
                left = self._known["spec"] | {"holderIdentity": "", "leaseDurationSeconds": 1}
                await self._client.replace(self._known | {"spec": left})
            self._renewed_at = None

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            try:
                transitions = int(self._known["spec"].get("leaseTransitions") or 0)
                await self._write(self._record(transitions, self._known), fresh=False)
            except Changed:
                log.error("Lease %s was taken by somebody else", self.seat.name)
                self._renewed_at = None
                return
            except TargetError as error:
                log.warning("Lease %s was not renewed: %s", self.seat.name, error)

    def _look(self, found: Object) -> None:
        if found["spec"] != self._known.get("spec"):
            self._known, self._known_since = found, self._clock.now()

    def _check_free(self, found: Object) -> None:
        spec = found["spec"]
        holder = str(spec.get("holderIdentity") or "")
        if holder in ("", self.seat.holder):
            return
        left = int(spec.get("leaseDurationSeconds") or DURATION_S)
        left_s = self._known_since + left - self._clock.now()
        if left_s > 0:
            detail = f"{holder} conducts this service (Lease {self.seat.name})"
            raise Refused("held", f"{detail}: stop it, or wait {left_s:.0f} s if it is dead")

    def _next(self, found: Object) -> int:
        """Another holder, another epoch; whoever comes back to its own lease goes on in its own."""
        before = int(found["spec"].get("leaseTransitions") or 0)
        return before + int(found["spec"].get("holderIdentity") != self.seat.holder)

    def _record(self, transitions: int, base: Object | None = None) -> Object:
        now = datetime.fromtimestamp(self._clock.wall(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {
            "holderIdentity": self.seat.holder,
            "leaseDurationSeconds": DURATION_S,
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": transitions,
        }
        if base is not None:
            before = base["spec"]
            if before.get("holderIdentity") == self.seat.holder and "acquireTime" in before:
                spec["acquireTime"] = before["acquireTime"]
            return base | {"spec": spec}
        metadata = {"name": self.seat.name, "namespace": self.seat.namespace}
        return {"apiVersion": LEASE.version, "kind": LEASE.name, "metadata": metadata, "spec": spec}

    async def _write(self, record: Object, *, fresh: bool) -> None:
        began = self._clock.now()  # the lease is ours from before the server said so
        self._known = await (self._client.create(record) if fresh else self._client.replace(record))
        self._known_since = self._renewed_at = began
