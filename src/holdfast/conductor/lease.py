"""Leases with fencing: one holder per subject, and everyone can see whose turn it is.

A subject is ``conductor`` or ``service/<name>``. The generation grows with every new holder and
never shrinks, so a target can refuse the orders of an actor that was replaced without noticing.

On one machine the lock file is the proof of life: the kernel releases it when its holder dies, so
a successor need not wait for an expiry. The table is the memory: who, since when, generation. In a
database that several machines share, expiry is the proof, and the database's clock counts.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from holdfast.ledger.database import lease_database
from holdfast.ledger.errors import LedgerDamaged
from holdfast.runtime.home import Home

CONDUCTOR = "conductor"
LEASE_S = 15.0
RENEW_S = 5.0
LOCK_ATTEMPTS = 10
LOCK_PAUSE_S = 0.02

_SCHEMA = """
CREATE TABLE IF NOT EXISTS leases (
  subject {text} PRIMARY KEY, owner {text} NOT NULL, since {real} NOT NULL,
  expires {real} NOT NULL, generation {integer} NOT NULL CHECK (generation > 0)
){strict}
"""


class LeaseError(Exception):
    """Base: ``Held`` at the start, ``Lost`` later on."""


class Held(LeaseError):
    """Somebody else holds it; the message says who, since when and how to take over."""

    def __init__(self, lease: Lease, now: float, hint: str) -> None:
        held_s = max(0.0, now - lease.since)
        super().__init__(
            f"{lease.subject} is held by {lease.owner} for {held_s:.0f} s "
            f"(generation {lease.generation}); {hint}"
        )
        self.lease, self.hint = lease, hint


class Damaged(LeaseError):
    """The table cannot be read."""


class Lost(LeaseError):
    """A newer holder exists: whoever sees this must stop acting."""


@dataclass(frozen=True, slots=True)
class Lease:
    subject: str
    owner: str
    since: float  # seconds since the epoch
    expires: float
    generation: int


class Leases:
    """The lease table of one home."""

    def __init__(self, path: Path) -> None:
        try:
            self._db = lease_database(path, _SCHEMA)
        except LedgerDamaged as error:
            hint = "move it away and start again: generations go on from the ledger"
            raise Damaged(f"{path} cannot be read: {error} ({hint})") from error
        self.shared = self._db.shared

    def close(self) -> None:
        self._db.close()

    def holder(self, subject: str) -> Lease | None:
        rows = self._db.all(
            "select subject, owner, since, expires, generation from leases where subject = ?",
            subject,
        )
        return Lease(*rows[0]) if rows else None

    def acquire(
        self, subject: str, owner: str, now: float, *, holder_is_dead: bool = False
    ) -> Lease:
        """Become the holder, with a generation above every earlier one.

        Raises ``Held`` while another holder's lease has not expired, unless the caller knows
        (by the lock file) that this holder does not live any more.
        """
        (lease,) = self.acquire_all((subject,), owner, now, holder_is_dead=holder_is_dead)
        return lease

    def acquire_all(
        self, subjects: Sequence[str], owner: str, now: float, *, holder_is_dead: bool = False
    ) -> tuple[Lease, ...]:
        """All or none, in one durable write."""
        with self._db.transaction():
            now = self._db.wall(now)
            return tuple(self._acquire(each, owner, now, holder_is_dead) for each in subjects)

    def _acquire(self, subject: str, owner: str, now: float, holder_is_dead: bool) -> Lease:
        old = self.holder(subject)
        if old and old.expires > now and not holder_is_dead:
            raise Held(old, now, f"it expires in {old.expires - now:.0f} s unless renewed")
        lease = Lease(subject, owner, now, now + LEASE_S, old.generation + 1 if old else 1)
        self._db.run(
            "insert into leases values (?, ?, ?, ?, ?) on conflict (subject) do update set"
            " owner = excluded.owner, since = excluded.since, expires = excluded.expires,"
            " generation = excluded.generation",
            *(subject, owner, now, lease.expires, lease.generation),
        )
        return lease

    def outgrow(self, lease: Lease, generation: int) -> Lease:
        """The same lease above ``generation``, which history knows although this table is new."""
        grown = replace(lease, generation=generation + 1)
        with self._db.transaction():
            self._db.run(
                "update leases set generation = ? where subject = ? and owner = ?",
                *(grown.generation, lease.subject, lease.owner),
            )
        return grown

    def renew(self, leases: tuple[Lease, ...], now: float) -> None:
        """Extend all or raise ``Lost``. Not synced: a power cut may forget it, and does no harm."""
        with self._db.transaction(durable=False):
            now = self._db.wall(now)
            for lease in leases:
                changed = self._db.run(
                    "update leases set expires = ? where subject = ? and generation = ?"
                    " and owner = ?",
                    *(now + LEASE_S, lease.subject, lease.generation, lease.owner),
                )
                if changed != 1:
                    raise Lost(self._why_lost(lease))

    def check(self, lease: Lease) -> None:
        """Raise ``Lost`` when somebody took over. Called before every write of the holder."""
        seen = self.holder(lease.subject)
        if seen is None or (seen.generation, seen.owner) != (lease.generation, lease.owner):
            raise Lost(self._why_lost(lease))

    def release(self, lease: Lease, now: float) -> None:
        """Let it expire now. The generation stays, because it must never be used again."""
        self._db.run(
            "update leases set expires = ? where subject = ? and generation = ?",
            *(self._db.wall(now), lease.subject, lease.generation),
        )

    def _why_lost(self, lease: Lease) -> str:
        seen = self.holder(lease.subject)
        newer = f"{seen.owner} holds generation {seen.generation}" if seen else "it was deleted"
        return f"the lease of {lease.subject}, generation {lease.generation}, is lost: {newer}"


class ConductorLock:
    """The lock file of a home. While it is held, no second conductor starts."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._descriptor = os.open(home.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def take(self, leases: Leases, now: float) -> None:
        """Raises ``Held`` with the owner's name when another conductor lives."""
        # Somebody who only asks (``lock_is_held``) is in the way for microseconds.
        for _attempt in range(LOCK_ATTEMPTS):
            if self._try():
                return
            time.sleep(LOCK_PAUSE_S)
        seen = leases.holder(CONDUCTOR) or Lease(CONDUCTOR, "an unknown owner", now, now, 0)
        hint = (
            "use that one (holdfast status), or stop it with SIGTERM and start again:"
            " the replicas keep running meanwhile"
        )
        raise Held(seen, now, hint)

    def _try(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        os.close(self._descriptor)


def lock_is_held(home: Home) -> bool:
    """Whether a conductor lives in this home."""
    if not home.lock_file.exists():
        return False
    descriptor = os.open(home.lock_file, os.O_RDWR | os.O_CLOEXEC)
    try:
        # Shared, so that two who only ask never mistake each other for a conductor.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
