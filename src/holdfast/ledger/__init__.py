"""The append-only Merkle log: audit trail and memory of the engine in one.

C2SP formats throughout (tlog-tiles, tlog-checkpoint, signed-note, tlog-cosignature, tlog-proof)
and RFC 6962 hashing, so that any tool which knows them can check a ledger. Layers, from the
bottom: ``merkle`` and ``tiles`` are arithmetic; ``note`` and ``checkpoint`` are signed text;
``store`` is statements,
``sqlite`` and ``postgres`` run them; ``archive`` reads, ``log`` appends, ``audit`` finds what was
changed.
"""

from holdfast.ledger.archive import Archive
from holdfast.ledger.audit import Broken, Intact, Proof
from holdfast.ledger.entry import Draft, Entry
from holdfast.ledger.errors import (
    KeyTrouble,
    LedgerBusy,
    LedgerDamaged,
    LedgerError,
    LedgerFull,
    LedgerInDoubt,
    LedgerMissing,
    LedgerReadOnly,
    LedgerTampered,
    LedgerUnreachable,
    NoteInvalid,
    ProofInvalid,
    WitnessRefused,
)
from holdfast.ledger.log import Ledger

__all__ = [
    "Archive",
    "Broken",
    "Draft",
    "Entry",
    "Intact",
    "KeyTrouble",
    "Ledger",
    "LedgerBusy",
    "LedgerDamaged",
    "LedgerError",
    "LedgerFull",
    "LedgerInDoubt",
    "LedgerMissing",
    "LedgerReadOnly",
    "LedgerTampered",
    "LedgerUnreachable",
    "NoteInvalid",
    "Proof",
    "ProofInvalid",
    "WitnessRefused",
]
