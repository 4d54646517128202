"""Is history what was signed? Every entry, tile, kept checkpoint and witness is checked.

The first broken proof is the finding, in this order: the signature of the newest checkpoint; per
entry its place, its blob, its leaf hash, the tiles above it and every kept checkpoint it
completes; the root of the newest checkpoint; and last, consistency with what witnesses saw. The
last one is all that is left against somebody who holds the log's own keys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from holdfast.ledger.checkpoint import Checkpoint, Signed, open_checkpoint
from holdfast.ledger.entry import Entry, digest_of, leaf_data
from holdfast.ledger.errors import LedgerDamaged, NoteInvalid, ProofInvalid
from holdfast.ledger.merkle import (
    HASH_BYTES,
    Edge,
    Node,
    check_consistency,
    consistency_path,
    leaf_hash,
    root_of,
)
from holdfast.ledger.note import VerifierKey
from holdfast.ledger.store import Progress, Store, unheard
from holdfast.ledger.tiles import TILE_HEIGHT, TILE_WIDTH, TileTree


class Proof(StrEnum):
    """By which proof a change was found."""

    SIGNATURE = "checkpoint-signature"  # Ed25519 and ML-DSA-44 of the log over its checkpoint
    SEQUENCE = "entry-sequence"  # indices 0..size-1, each once, as many as were signed
    BLOB = "blob-digest"  # a body kept beside its leaf hashes to what the leaf says
    LEAF = "leaf-hash"  # the entry hashes to the leaf of the tree
    TILE = "tile-hash"  # stored inner nodes are the hashes of what is below them
    ROOT = "root-in-signed-checkpoint"  # the entries lead to the root that was signed
    CONSISTENCY = "consistency-with-witness"  # the tree continues what a witness saw
    STORAGE = "storage"  # the file system or SQLite lost part of the file


@dataclass(frozen=True, slots=True)
class Intact:
    """``size`` entries lead to the signed ``root``; ``witnesses`` are the sizes compared."""

    size: int
    root: bytes
    checkpoint: str
    witnesses: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Broken:
    """``seq`` is the first entry that is wrong, or may be; None when no entry can be named."""

    seq: int | None
    proof: Proof
    expected: str
    found: str
    detail: str

    def __str__(self) -> str:
        where = "history" if self.seq is None else f"entry {self.seq}"
        return (
            f"{where}: {self.detail}; found by {self.proof}: "
            f"expected {self.expected}, found {self.found}"
        )


class _Finding(Exception):
    def __init__(self, broken: Broken) -> None:
        super().__init__(str(broken))
        self.broken = broken


def audit(
    store: Store,
    log: Sequence[VerifierKey],
    witnesses: Mapping[str, str],
    progress: Progress = unheard,
) -> Intact | Broken:
    """Check everything. ``witnesses`` maps a name to a checkpoint that somebody kept."""
    try:
        with store.transaction(write=False):
            return _audit(store, log, witnesses, progress)
    except _Finding as finding:
        return finding.broken
    except LedgerDamaged as error:
        return Broken(None, Proof.STORAGE, "a readable ledger", error.detail, "storage damaged")


def _audit(
    store: Store, log: Sequence[VerifierKey], witnesses: Mapping[str, str], progress: Progress
) -> Intact:
    newest = store.head()
    if newest is None:
        raise _Finding(Broken(None, Proof.SIGNATURE, "a checkpoint", "none", "nothing is signed"))
    signed = _open(newest[1], log, None)
    if (named := store.meta("origin")) != signed.head.origin:
        detail = "the ledger says that it is another one"
        raise _Finding(Broken(None, Proof.SIGNATURE, signed.head.origin, str(named), detail))
    walk = _Walk(store, log, store.heads(), signed.head.size)
    for entry in store.entries(0, 2**62):
        walk.step(entry)
        if walk.edge.size % TILE_WIDTH == 0:
            progress(walk.edge.size, signed.head.size)
    if walk.edge.size != signed.head.size:
        at, want = walk.edge.size, f"{signed.head.size} entries"
        raise _Finding(Broken(at, Proof.SEQUENCE, want, f"{at} entries", "entries lost"))
    _same_root(signed.head, walk.edge.root(), walk.sound)
    if (rows := store.count()) != walk.edge.size:  # below 0 or far above: no walk comes there
        want, detail = f"{walk.edge.size} entries", "rows outside of what was signed"
        raise _Finding(Broken(None, Proof.SEQUENCE, want, f"{rows} rows", detail))
    _check_blobs(store)
    node, sizes = TileTree(store.tile).node, []
    for name, kept in witnesses.items():
        seen = compare(node, signed.head, name, kept, log)
        if isinstance(seen, Broken):
            raise _Finding(seen)
        sizes.append((name, seen))
    return Intact(walk.edge.size, walk.edge.root(), newest[1], tuple(sizes))


def _check_blobs(store: Store) -> None:
    """Entries may name blobs in their bodies; whatever is kept must be what its name says."""
    for digest in store.blob_digests():
        found = digest_of(store.blob(digest) or b"")
        if found != digest:
            raise _Finding(Broken(None, Proof.BLOB, digest, found, "blob changed"))


@dataclass(slots=True)
class _Walk:
    """Builds the tree anew from the entries and compares it with what is stored."""

    store: Store
    log: Sequence[VerifierKey]
    heads: Mapping[int, str]
    size: int  # entries that were signed
    edge: Edge = field(default_factory=Edge)
    sound: int = 0  # size of the largest kept checkpoint that these entries lead to
    tiles: dict[int, tuple[int, bytes]] = field(default_factory=dict)

    def step(self, entry: Entry) -> None:
        seq = self.edge.size
        if entry.index != seq:
            raise _Finding(
                Broken(seq, Proof.SEQUENCE, f"index {seq}", f"index {entry.index}", "entry missing")
            )
        if seq >= self.size:
            detail = "entry that nobody signed"
            raise _Finding(
                Broken(seq, Proof.SEQUENCE, f"{self.size} entries", f"entry {seq}", detail)
            )
        if entry.blob is not None and digest_of(entry.body or b"") != entry.blob:
            found = digest_of(entry.body or b"")
            raise _Finding(Broken(seq, Proof.BLOB, entry.blob, found, "blob changed"))
        for height, index, node in self.edge.push(leaf_hash(leaf_data(entry))):
            if height % TILE_HEIGHT == 0:
                self._same_node(seq, height // TILE_HEIGHT, index, node)
        if (head := self.heads.get(self.edge.size)) is not None:
            signed = _open(head, self.log, seq)
            _same_root(signed.head, self.edge.root(), self.sound)
            self.sound = self.edge.size

    def _same_node(self, seq: int, level: int, index: int, node: bytes) -> None:
        tile, offset = divmod(index, TILE_WIDTH)
        if level not in self.tiles or self.tiles[level][0] != tile:
            self.tiles[level] = (tile, self.store.tile(level, tile))
        stored = self.tiles[level][1][offset * HASH_BYTES : (offset + 1) * HASH_BYTES]
        if stored == node:
            return
        proof = Proof.LEAF if level == 0 else Proof.TILE
        detail = "entry changed" if level == 0 else f"tile {level}/{tile} changed"
        raise _Finding(Broken(seq, proof, stored.hex() or "a stored hash", node.hex(), detail))


def _open(note: str, log: Sequence[VerifierKey], seq: int | None) -> Signed:
    try:
        return open_checkpoint(note, log)
    except NoteInvalid as error:
        detail = "checkpoint not signed by this log"
        finding = Broken(seq, Proof.SIGNATURE, "both signatures", error.detail, detail)
        raise _Finding(finding) from error


def _same_root(head: Checkpoint, root: bytes, sound: int) -> None:
    if root != head.root:
        detail = f"entries {sound} to {head.size - 1} are not those signed at size {head.size}"
        raise _Finding(Broken(sound, Proof.ROOT, head.root.hex(), root.hex(), detail))


def compare(
    node: Node, head: Checkpoint, name: str, kept: str, log: Sequence[VerifierKey]
) -> int | Broken:
    """The size a witness saw, when the tree of ``head`` continues it; else the finding."""
    try:
        saw = open_checkpoint(kept, log).head
    except NoteInvalid as error:
        detail = f"checkpoint kept by {name} is not signed by this log"
        return Broken(None, Proof.SIGNATURE, "both signatures", error.detail, detail)
    if saw.size > head.size:
        detail = f"{name} saw more than there is: truncated, or an old backup"
        want, found = f"at least {saw.size} entries", f"{head.size} entries"
        return Broken(head.size, Proof.CONSISTENCY, want, found, detail)
    try:
        path = consistency_path(node, saw.size, head.size)
        check_consistency(saw.size, head.size, saw.root, head.root, path)
    except ProofInvalid:
        detail = f"history before entry {saw.size} is not what {name} saw: rewritten or forked"
        found = root_of(node, saw.size).hex()
        return Broken(None, Proof.CONSISTENCY, saw.root.hex(), found, detail)
    return saw.size
