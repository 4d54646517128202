"""Versions that are bad on purpose, so that a rollout can be seen refusing them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

#: name -> what it does; the amount in brackets can be set with ``--amount``
FAULTS = {
    "none": "behaves",
    "slow": "answers 50 ms late [seconds]",
    "wrong-length": "answers one decision too few",
    "wrong-answer": "sells what it should buy, and buys what it should sell",
    "wrong-version": "says it is v0",
    "crashing": "dies after 50 batches [batches]",
    "exits-at-once": "ends right after its start",
    "never-listens": "runs, but never listens",
    "never-ready": "listens, but /ready stays 503",
    "leaking": "keeps 4 MB of every batch until it may have no more memory [megabytes]",
    "errors-5pct": "answers 500 to 5 % of the batches [share]",
    "err500": "answers 500 to every batch",
}
OPPOSITE = bytes.maketrans(b"\x01\xff", b"\xff\x01")
DEFAULT_AMOUNTS = {"slow": 0.05, "crashing": 50, "leaking": 4, "errors-5pct": 0.05}


@dataclass(slots=True)
class Fault:
    """What goes wrong, and how much of it."""

    name: str = "none"
    amount: float = 0.0
    batches: int = 0
    debt: float = 0.0
    hoard: list[bytes] = field(default_factory=list)

    @classmethod
    def named(cls, name: str, amount: float | None = None) -> Fault:
        return cls(name, DEFAULT_AMOUNTS.get(name, 0.0) if amount is None else amount)

    @property
    def announces(self) -> str | None:
        return "v0" if self.name == "wrong-version" else None

    @property
    def exits_at_once(self) -> bool:
        return self.name == "exits-at-once"

    @property
    def never_listens(self) -> bool:
        return self.name == "never-listens"

    @property
    def never_ready(self) -> bool:
        return self.name == "never-ready"

    @property
    def delay_s(self) -> float:
        return self.amount if self.name == "slow" else 0.0

    def fails_now(self) -> bool:
        """Whether this batch is answered 500. Exact share over time, no dice to seed."""
        self.batches += 1
        if self.name == "crashing" and self.batches > self.amount:
            os._exit(70)
        if self.name == "leaking":
            self.leak()
        if self.name == "errors-5pct":
            self.debt += self.amount
            if self.debt >= 1:
                self.debt -= 1
                return True
        return self.name == "err500"

    def leak(self) -> None:
        try:
            self.hoard.append(b"\x01" * int(self.amount * 1_000_000))
        except MemoryError:
            os._exit(71)  # as a process ends that the kernel gives no more memory

    def spoil(self, decisions: bytes) -> bytes:
        if self.name == "wrong-answer":
            return decisions.translate(OPPOSITE)
        return decisions[:-1] if self.name == "wrong-length" else decisions
