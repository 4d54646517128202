"""What can go wrong with a ledger, as one tree.

LedgerError
  LedgerFull        no space left; only records that end a rollout still fit (the reserve)
  LedgerReadOnly    the file or its directory cannot be written
  LedgerBusy        another process writes this ledger
  LedgerDamaged     not a ledger, or the file system lost part of it
  LedgerTampered    readable, but a proof says that history was changed; carries the finding
  LedgerMissing     there is no ledger at that path
  LedgerUnreachable the database does not answer; nothing was written
  LedgerInDoubt     it went away during a commit and did not come back to say what became of it
  KeyTrouble        keys are missing, unreadable or not the ones of this ledger
  NoteInvalid       a signed note, checkpoint or proof is malformed or does not verify
  ProofInvalid      a Merkle proof does not lead from what it claims to what was signed
  WitnessRefused    a witness saw two histories and keeps its signature
"""

from __future__ import annotations


class LedgerError(Exception):
    """What was done, what was found, what to do next."""

    def __init__(self, detail: str, hint: str = "") -> None:
        super().__init__(f"{detail} ({hint})" if hint else detail)
        self.detail, self.hint = detail, hint


class LedgerFull(LedgerError):
    """No space left on the device."""


class LedgerReadOnly(LedgerError):
    """The file or its directory cannot be written."""


class LedgerBusy(LedgerError):
    """Another process writes this ledger."""


class LedgerDamaged(LedgerError):
    """Not a ledger, or the file system lost part of it."""


class LedgerTampered(LedgerError):
    """A proof says that history was changed. ``finding`` is the ``Broken`` that says which."""

    def __init__(self, detail: str, hint: str = "", finding: object = None) -> None:
        super().__init__(detail, hint)
        self.finding = finding


class LedgerMissing(LedgerError):
    """There is no ledger at that path."""


class LedgerUnreachable(LedgerError):
    """The database does not answer. Nothing was written."""


class LedgerInDoubt(LedgerError):
    """The connection broke during a commit: it was made whole, or not at all."""


class KeyTrouble(LedgerError):
    """Keys are missing, unreadable or not the ones of this ledger."""


class NoteInvalid(LedgerError):
    """A signed note, checkpoint or proof is malformed or does not verify."""


class ProofInvalid(LedgerError):
    """A Merkle proof does not lead from what it claims to what was signed."""


class WitnessRefused(LedgerError):
    """A witness saw two histories and keeps its signature."""
