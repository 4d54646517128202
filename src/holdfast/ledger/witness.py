"""A witness cosigns a log's checkpoints, and never two that contradict each other.

It has its own keys and its own storage, away from the log, and remembers one checkpoint per log.
A new one is cosigned only with a proof that it continues the remembered one (C2SP tlog-witness).
So a log that was truncated, forked or restored from an old backup and signed again with its own
stolen keys gets no further cosignature, and the witness keeps the evidence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from holdfast.ledger.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint
from holdfast.ledger.errors import KeyTrouble, NoteInvalid, ProofInvalid, WitnessRefused
from holdfast.ledger.keys import SigningKeys, load_or_make, write_whole
from holdfast.ledger.merkle import EMPTY_ROOT
from holdfast.ledger.note import Note, SignatureLine, VerifierKey, parse_keys, parse_note
from holdfast.ledger.proof import Continuation, parse_consistency

Cosignature = tuple[SignatureLine, SignatureLine]


def witness_cosign(
    keys: SigningKeys,
    seen: Checkpoint | None,
    request: Continuation,
    log: Sequence[VerifierKey],
    time: int,
) -> tuple[Checkpoint, Cosignature]:
    """The checkpoint to remember and its Ed25519 and ML-DSA-44 cosignatures. Pure.

    Raises ``WitnessRefused``: not signed by the log, not from where we are, or not a continuation.
    """
    try:
        head = open_checkpoint(request.checkpoint, log).head
    except NoteInvalid as error:
        raise WitnessRefused(f"not signed by the log: {error.detail}") from error
    known = seen or Checkpoint(head.origin, 0, EMPTY_ROOT)
    if known.origin != head.origin:
        raise WitnessRefused(f"this is {head.origin}, not {known.origin}")
    if head.size < known.size:
        detail = f"{head.origin} shrank from {known.size} to {head.size} entries"
        raise WitnessRefused(detail, "truncated, or an old backup was restored")
    if request.old != known.size:
        detail = f"the proof starts at {request.old}, last cosigned was {known.size}"
        raise WitnessRefused(detail, f"prove consistency from {known.size}")
    try:
        request.check(known.root)
    except ProofInvalid as error:
        detail = f"size {head.size} does not continue size {known.size}: {error.detail}"
        raise WitnessRefused(detail, "history was rewritten or forked") from error
    return head, keys.lines(head, time)


def _expect_name(published: Path, name: str) -> None:
    """A name that a signed note can carry, and the one by which these keys are known."""
    if not name or "+" in name or any(c.isspace() or not c.isprintable() for c in name):
        wanted = "wanted one like a host name, without spaces and plus signs"
        raise KeyTrouble(f"found the witness name {name!r}, {wanted}", "witness.example.com")
    if not published.exists():
        return
    try:
        known = parse_keys(published.read_text("utf-8", "replace"))[0].name
    except (NoteInvalid, IndexError, OSError):
        return  # written anew from the secret key
    if known != name:
        says = f"{published.parent}: found the keys of {known}, wanted those of {name}"
        raise KeyTrouble(says, "one directory for each witness")


class Witness:
    """The same with keys and memory in a directory of its own."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        _expect_name(directory / "witness.vkey", name)
        self._keys = load_or_make(directory, "witness", name, log=False)

    @property
    def public(self) -> tuple[VerifierKey, VerifierKey]:
        return self._keys.public

    def seen(self, origin: str) -> Checkpoint | None:
        path = self._path(origin)
        return parse_checkpoint(parse_note(path.read_text()).text) if path.exists() else None

    def cosign(self, request: str, log: Sequence[VerifierKey], time: int) -> Cosignature:
        """Answer the text of ``Archive.prove_consistency(seen size)``."""
        continuation = parse_consistency(request)
        seen = self.seen(continuation.head.origin)
        head, lines = witness_cosign(self._keys, seen, continuation, log, time)
        # Remembered before anybody gets the signature: a crash must not make us forget it.
        checkpoint = continuation.checkpoint.encode()
        write_whole(self._path(head.origin), checkpoint, 0o600, durable=True)
        return lines

    def _path(self, origin: str) -> Path:
        return self._directory / f"{hashlib.sha256(origin.encode()).hexdigest()[:32]}.checkpoint"


def with_cosignatures(checkpoint: str, lines: Sequence[SignatureLine]) -> str:
    """The same checkpoint, with the lines of witnesses after those of the log."""
    note = parse_note(checkpoint)
    return str(Note(note.text, (*note.lines, *lines)))
