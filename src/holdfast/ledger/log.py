"""The writing side of the ledger: one writer, group commit, one signed checkpoint per commit.

All appends queued in the same turn of the loop share one transaction, one fsync and one
checkpoint; their futures resolve after the commit. Signing (about 0.4 ms) and the fsync happen on
the loop: a ledger is not on the path of requests, and threads would cost the ordering guarantees.
An append that is cancelled before its commit is not written.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from holdfast.ledger.archive import WITNESS_HERE, Archive, witness_path
from holdfast.ledger.audit import Broken, Proof, compare
from holdfast.ledger.checkpoint import Checkpoint, cosigned_time, open_checkpoint
from holdfast.ledger.entry import LEAF_BYTES_MAX, Draft, Entry, check, leaf_data, place
from holdfast.ledger.errors import (
    KeyTrouble,
    LedgerBusy,
    LedgerDamaged,
    LedgerError,
    LedgerFull,
    LedgerInDoubt,
    LedgerTampered,
    LedgerUnreachable,
    NoteInvalid,
)
from holdfast.ledger.keys import SigningKeys, load_or_make, write_whole
from holdfast.ledger.merkle import Edge, edge_of, leaf_hash
from holdfast.ledger.reserve import RESERVE_BYTES, Reserve
from holdfast.ledger.store import Store
from holdfast.ledger.tiles import TILE_HEIGHT, TILE_WIDTH, grow

#: Less than a lease: who cannot learn in time what became of a commit steps down.
SETTLE_S, SETTLE_PAUSE_S = 8.0, 0.1


@dataclass(frozen=True, slots=True)
class _Waiting:
    drafts: tuple[Draft, ...]
    done: asyncio.Future[list[Entry]]

    @property
    def urgent(self) -> bool:
        return any(draft.urgent for draft in self.drafts)


class Ledger(Archive):
    """The one writer of a ledger. Everything an ``Archive`` can do, and ``append``."""

    def __init__(self, store: Store, keys: SigningKeys, reserve: Reserve) -> None:
        super().__init__(store)
        self._keys, self._reserve = keys, reserve
        self._edge, self._time = _checked_edge(self, keys)
        self._unfinished = {
            level: self._store.tile(level, (self._edge.size >> TILE_HEIGHT * level) // TILE_WIDTH)
            for level in range(self._edge.size.bit_length() // TILE_HEIGHT + 1)
        }
        self._waiting: list[_Waiting] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._failed: LedgerError | None = None
        self._closed = False
        self.full = not reserve.make()
        self.commits = 0

    @classmethod
    def open(
        cls,
        path: Path,
        origin: str,
        reserve_bytes: int = RESERVE_BYTES,
        takeover: bool = False,
    ) -> Ledger:
        """Open or make the ledger at ``path``. The origin is its name for ever.

        ``takeover``: the caller holds the lease, so a writer that lives elsewhere is replaced.
        """
        reserve = Reserve(path.with_name(f"{path.stem}.reserve"), reserve_bytes)
        store, reserve = _open_store(path, reserve, takeover)
        try:
            return cls(store, _identity(store, origin), reserve)
        except BaseException:
            store.close()
            raise

    def close(self) -> None:
        """Pending appends are committed first, so nothing that was asked for is dropped."""
        if self._closed:
            return
        if self._waiting:
            self._flush()
        with contextlib.suppress(LedgerBusy, LedgerUnreachable):  # replaced, or nobody answers
            _remember(self.path, self.checkpoint())
        self._closed, self._failed = True, LedgerError(f"{self.name}: the ledger is closed")
        self._store.close()

    # ---- appending ------------------------------------------------------------------------------

    async def append(self, drafts: Sequence[Draft]) -> list[Entry]:
        """Durable and signed when it returns; in the given order, all or none."""
        for draft in drafts:
            check(draft)
        if not drafts:
            return []
        loop = asyncio.get_running_loop()
        if not self._waiting or self._loop is not loop:
            loop.call_soon(self._flush)
        waiting = _Waiting(tuple(drafts), loop.create_future())
        self._waiting.append(waiting)
        self._loop = loop
        return await waiting.done

    def append_now(self, drafts: Sequence[Draft]) -> list[Entry]:
        """Append where no loop runs. One commit of its own."""
        for draft in drafts:
            check(draft)
        if not drafts:
            return []
        return self._record(drafts, any(draft.urgent for draft in drafts))

    def put_blob(self, data: bytes) -> str:
        """Keep ``data`` under its SHA-256. It is history only once an entry names the digest."""
        with self._store.transaction():
            return self._store.add_blob(data)

    def _flush(self) -> None:
        batch = [each for each in self._waiting if not each.done.done()]
        self._waiting = []
        try:
            self._settle(batch, urgent=False)
        except LedgerFull:
            self._settle_each_kind(batch)

    def _settle_each_kind(self, batch: list[_Waiting]) -> None:
        """On a full disk the urgent go first and together; the others get the refusal."""
        for urgent in (True, False):
            part = [each for each in batch if each.urgent is urgent]
            try:
                self._settle(part, urgent)
            except LedgerFull as error:
                _refuse(part, error)

    def _settle(self, batch: list[_Waiting], urgent: bool) -> None:
        try:
            entries = iter(self._record([d for each in batch for d in each.drafts], urgent))
        except LedgerFull:
            raise
        except Exception as error:  # whoever waits must learn of it, whatever it is
            _refuse(batch, error)
            return
        for each in batch:
            each.done.set_result([next(entries) for _ in each.drafts])

    def _record(self, drafts: Sequence[Draft], urgent: bool) -> list[Entry]:
        if not drafts:
            return []
        if self.full and not urgent and not self._reserve.make():
            hint = "free space on the device; what ends a rollout still fits"
            raise LedgerFull(f"{self.name}: the device is full", hint)
        while True:
            try:
                entries = self._commit(drafts)
            except LedgerFull:
                self.full = True
                if not (urgent and self._reserve.release()):
                    raise
            else:
                self.full = self.full and not self._reserve.whole
                return entries

    def _commit(self, drafts: Sequence[Draft]) -> list[Entry]:
        if self._failed is not None:
            raise self._failed
        edge, first = self._edge.copy(), self._edge.size
        entries = [place(draft, first + i) for i, draft in enumerate(drafts)]
        data = [leaf_data(entry) for entry in entries]
        assert max(map(len, data)) <= LEAF_BYTES_MAX, "bodies this long are blobs"
        leaves = [leaf_hash(each) for each in data]
        tiles, unfinished = grow(edge, self._unfinished, leaves)
        signed_at = max(self._time, entries[-1].wall_us // 1_000_000)
        note = self._keys.sign(Checkpoint(self._keys.name, edge.size, edge.root()), signed_at)
        try:
            with self._store.transaction():
                self._store.add_entries(entries)
                self._store.put_tiles(tiles.items())
                self._store.add_head(edge.size, note, previous=first)
        except LedgerDamaged as error:
            # After a failed fsync nobody knows what is on the disk. Only a reopen finds out.
            self._failed = error
            raise
        except LedgerInDoubt as error:
            if not self._was_made(edge.size, note, error):
                raise LedgerUnreachable(error.detail, "it was not made; ask again") from error
        if signed_at > self._time:  # once a second is enough, and costs a tenth of a commit
            _remember(self.path, note)
        self._edge, self._unfinished, self._time = edge, unfinished, signed_at
        self.commits += 1
        return entries

    def _was_made(self, size: int, note: str, doubt: LedgerInDoubt) -> bool:
        """What became of a commit whose end was not heard. Raises when that stays unknown."""
        until = time.monotonic() + SETTLE_S
        self._failed = doubt
        while True:
            try:
                made = self._store.holds(size, note)
            except (LedgerUnreachable, LedgerInDoubt):
                if time.monotonic() > until:
                    raise doubt from None
                time.sleep(SETTLE_PAUSE_S)
            else:
                self._failed = None
                return made


def _refuse(batch: list[_Waiting], error: Exception) -> None:
    for each in batch:
        each.done.set_exception(error)


def _remember(path: Path, note: str) -> None:
    # Not worth failing a commit that is already durable: an older checkpoint is still a witness.
    with contextlib.suppress(OSError):
        write_whole(witness_path(path), note.encode(), 0o600)


def _open_store(path: Path, reserve: Reserve, takeover: bool) -> tuple[Store, Reserve]:
    """The store, and the reserve that is of use to it: none for a disk of another machine."""
    while True:
        try:
            store = Store(path, writable=True, takeover=takeover)
        except LedgerFull:
            if not reserve.release():
                raise
        else:
            return store, Reserve(reserve.path, 0) if store.shared else reserve


def _identity(store: Store, origin: str) -> SigningKeys:
    """The log's keys; for a new ledger also its first, empty checkpoint."""
    directory = store.path.parent / "keys"
    known = store.meta("origin")
    if known is None:
        _expect_nothing_seen(store.path)
        keys = load_or_make(directory, "log", origin)
        with store.transaction():
            store.set_meta("origin", origin)
            store.set_meta("keys", "".join(f"{key}\n" for key in keys.public))
            store.add_head(0, keys.sign(Checkpoint(origin, 0, Edge().root()), 0), previous=0)
        return keys
    if known != origin:
        raise KeyTrouble(f"{store.name}: this is the ledger of {known}, not of {origin}")
    if not (directory / "log.pem").exists():
        raise KeyTrouble(f"{directory}/log.pem: missing", "restore the key from where it is kept")
    keys = load_or_make(directory, "log", origin)
    if store.meta("keys") != "".join(f"{key}\n" for key in keys.public):
        raise KeyTrouble(f"{directory}: these are not the keys that began {store.name}")
    return keys


def _expect_nothing_seen(path: Path) -> None:
    """A ledger that was lost must not begin anew, under another name, as if nothing had been."""
    if witness_path(path).exists() and witness_path(path).stat().st_size:
        found = Broken(0, Proof.CONSISTENCY, "what this machine saw", "nothing", "entries lost")
        raise _tampered(path, found)


def _checked_edge(ledger: Archive, keys: SigningKeys) -> tuple[Edge, int]:
    """The edge to append to, when it leads to what was signed and witnessed; cheap, O(log n).

    A log must never sign a tree that contradicts one it signed before, so it looks first.
    """
    try:
        signed = open_checkpoint(ledger.checkpoint(), keys.public)
    except NoteInvalid as error:
        finding = Broken(None, Proof.SIGNATURE, "both signatures", error.detail, "not this log's")
        raise _tampered(ledger.path, finding) from error
    head = signed.head
    if ledger.size != head.size:
        found = f"{ledger.size} entries"
        raise _tampered(
            ledger.path,
            Broken(head.size, Proof.SEQUENCE, f"{head.size} entries", found, "lost or added"),
        )
    edge = edge_of(ledger.node, head.size)
    if edge.root() != head.root:
        raise _tampered(
            ledger.path,
            Broken(None, Proof.ROOT, head.root.hex(), edge.root().hex(), "the tree was changed"),
        )
    kept = ledger.kept_checkpoint()
    if kept is not None:
        seen = compare(ledger.node, head, WITNESS_HERE, kept, keys.public)
        if isinstance(seen, Broken):
            raise _tampered(ledger.path, seen)
    return edge, cosigned_time(signed.note.by(keys.public[1])[0])


def _tampered(path: Path, finding: Broken) -> LedgerTampered:
    hint = f"run: holdfast audit verify; to accept this history remove {witness_path(path).name}"
    return LedgerTampered(f"{path}: {finding}", hint, finding)
