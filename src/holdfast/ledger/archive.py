"""Reading a ledger: replay, proofs, audit, export. Never writes, never needs a secret.

Beside ``<name>.db`` lie ``keys/log.vkey`` (public keys) and ``<name>.witness.checkpoint``, the
newest checkpoint this machine has seen. The latter is outside the database on purpose: whoever
replaces the database by an older or another one is contradicted by it. Against somebody who
rewrites the whole directory, compare with a checkpoint kept elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

from holdfast.ledger.audit import Broken, Intact, audit
from holdfast.ledger.checkpoint import Checkpoint, parse_checkpoint
from holdfast.ledger.entry import Entry, leaf_data
from holdfast.ledger.errors import KeyTrouble, LedgerDamaged, NoteInvalid
from holdfast.ledger.export import write_export
from holdfast.ledger.merkle import Node, consistency_path, inclusion_path
from holdfast.ledger.note import NOTE_BYTES_MAX, VerifierKey, parse_keys, parse_note
from holdfast.ledger.proof import write_consistency, write_proof
from holdfast.ledger.store import Progress, Store, unheard
from holdfast.ledger.tiles import TileTree

WITNESS_HERE = "this machine"


class Archive:
    """One ledger, for reading. Messages call it by its ``name``; keys lie beside its ``path``."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tree = TileTree(store.tile)
        self.path, self.name = store.path, store.name

    @classmethod
    def read(cls, path: Path) -> Archive:
        """Open without writing; works while a conductor is appending."""
        return cls(Store(path, writable=False))

    def close(self) -> None:
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- history --------------------------------------------------------------------------------

    @property
    def origin(self) -> str:
        return self._store.meta("origin") or ""

    @property
    def size(self) -> int:
        return self._store.size()

    def replay(self, stream: str) -> Iterator[Entry]:
        """Every entry of one stream, oldest first."""
        return self._store.stream(stream)

    def entries(self, start: int, end: int) -> Iterator[Entry]:
        return self._store.entries(start, end)

    def latest(
        self, count: int, stream: str | None = None, without: Sequence[str] = ()
    ) -> list[Entry]:
        """The last ``count`` entries of a stream and those below it, without some kinds."""
        return self._store.latest(count, stream, without)

    def blob(self, digest: str) -> bytes:
        data = self._store.blob(digest)
        if data is None:
            raise LedgerDamaged(f"{self.name}: there is no blob {digest}")
        return data

    # ---- proofs ---------------------------------------------------------------------------------

    @property
    def node(self) -> Node:
        return self._tree.node

    def checkpoint(self) -> str:
        """The newest signed checkpoint."""
        head = self._store.head()
        if head is None:
            raise LedgerDamaged(f"{self.name}: there is no signed checkpoint")
        return head[1]

    def head(self) -> Checkpoint:
        return parse_checkpoint(parse_note(self.checkpoint()).text)

    def prove(self, index: int) -> str:
        """A tlog-proof that entry ``index`` is in the newest signed tree."""
        with self._store.transaction(write=False):
            path = inclusion_path(self.node, index, self.head().size)
            entry = next(self._store.entries(index, index + 1), None)
            if entry is None:
                raise LedgerDamaged(f"{self.name}: entry {index} is missing")
            return write_proof(index, leaf_data(entry), path, self.checkpoint())

    def prove_consistency(self, old_size: int) -> str:
        """Shows that the newest tree continues the one of ``old_size`` entries."""
        with self._store.transaction(write=False):
            path = consistency_path(self.node, old_size, self.head().size)
            return write_consistency(old_size, path, self.checkpoint())

    def verify(
        self,
        against: Mapping[str, str] | None = None,
        keys: tuple[VerifierKey, ...] = (),
        progress: Progress = unheard,
    ) -> Intact | Broken:
        """Check everything, also against checkpoints (name: text) kept by others."""
        witnesses = dict(against or {})
        if (kept := self.kept_checkpoint()) is not None:
            witnesses[WITNESS_HERE] = kept
        return audit(self._store, keys or public_keys(self.path), witnesses, progress)

    def export(self, directory: Path, progress: Progress = unheard) -> Checkpoint:
        """Write the tlog-tiles layout that any static file server can serve."""
        with self._store.transaction(write=False):
            return write_export(self._store, self.checkpoint(), directory, progress)

    def kept_checkpoint(self) -> str | None:
        """The newest checkpoint this machine saw, as kept outside the database."""
        path = witness_path(self.path)
        # An empty file is what a power cut leaves of a rename: nothing was kept, not a change.
        return (note_text(path) or None) if path.exists() else None


def witness_path(ledger: Path) -> Path:
    return ledger.with_name(f"{ledger.stem}.witness.checkpoint")


def note_text(path: Path) -> str:
    """The text of a small signed file. What is no text, or no small file, fails its signature."""
    with path.open("rb") as file:
        return file.read(NOTE_BYTES_MAX + 1).decode("utf-8", "replace")


def public_keys(ledger: Path) -> tuple[VerifierKey, ...]:
    path = ledger.parent / "keys" / "log.vkey"
    try:
        keys = parse_keys(note_text(path))
    except OSError as error:
        raise KeyTrouble(f"{path}: {error.strerror}", "name the log's public keys") from error
    except NoteInvalid as error:
        raise KeyTrouble(f"{path}: {error}", "name the log's public keys") from error
    if not keys:
        raise KeyTrouble(f"{path}: found no key", "name the log's public keys")
    return keys
