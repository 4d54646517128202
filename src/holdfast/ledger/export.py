"""The ledger as static files: C2SP tlog-tiles.

``checkpoint``, ``tile/<level>/<n>[.p/<width>]``, ``tile/entries/<n>[.p/<width>]``. Bodies that are
kept beside their leaf go to ``blob/<sha256>``. Finished tiles never change and are not written
again; the checkpoint is renamed into place last, so a reader never sees it before its tiles.
"""

from __future__ import annotations

import os
import shutil
import struct
from pathlib import Path

from holdfast.ledger.checkpoint import Checkpoint, parse_checkpoint
from holdfast.ledger.entry import LEAF_BYTES_MAX, leaf_data
from holdfast.ledger.errors import LedgerDamaged, LedgerReadOnly, NoteInvalid
from holdfast.ledger.keys import write_whole
from holdfast.ledger.merkle import HASH_BYTES
from holdfast.ledger.note import parse_note
from holdfast.ledger.store import Progress, Store, unheard
from holdfast.ledger.tiles import TILE_WIDTH, tile_path, widths


def write_export(
    store: Store, checkpoint: str, directory: Path, progress: Progress = unheard
) -> Checkpoint:
    head = parse_checkpoint(parse_note(checkpoint).text)
    _expect_ours(directory / "checkpoint", head)
    for level, index, width in widths(head.size):
        where = directory / "tile" / str(level)
        if not _finished(where, index, width):
            _put(where, index, width, store.tile(level, index)[: width * HASH_BYTES])
        if level == 0 and not _finished(directory / "tile" / "entries", index, width):
            _put(directory / "tile" / "entries", index, width, _bundle(store, index, width))
            progress(index * TILE_WIDTH + width, head.size)
    for digest in store.blob_digests():
        _put_blob(store, directory / "blob" / digest, digest)
    directory.mkdir(parents=True, exist_ok=True)
    write_whole(directory / "checkpoint", checkpoint.encode(), 0o644, durable=True)
    return head


def _expect_ours(there: Path, head: Checkpoint) -> None:
    """Nothing of another ledger, or of somebody's project, is written over."""
    if not os.path.lexists(there):
        return
    try:
        origin = parse_checkpoint(parse_note(there.read_text("utf-8", "replace")).text).origin
    except (OSError, NoteInvalid):
        origin = "something else"
    if origin != head.origin:
        detail = f"{there}: found {origin}, wanted no file or an export of {head.origin}"
        raise LedgerReadOnly(detail, "export to another directory")


def _finished(where: Path, index: int, width: int) -> bool:
    return width == TILE_WIDTH and (where / tile_path(index, width)).exists()


def _put(where: Path, index: int, width: int, data: bytes) -> None:
    path = where / tile_path(index, width)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, data, 0o644)
    if width == TILE_WIDTH:
        shutil.rmtree(path.with_name(f"{path.name}.p"), ignore_errors=True)


def _bundle(store: Store, tile: int, width: int) -> bytes:
    start = tile * TILE_WIDTH
    leaves = [leaf_data(entry) for entry in store.entries(start, start + width)]
    if len(leaves) != width or max(map(len, leaves)) > LEAF_BYTES_MAX:
        detail = f"{store.name}: the entries from {start} are not those that were written"
        raise LedgerDamaged(detail, "run: holdfast audit verify")
    return b"".join(struct.pack(">H", len(leaf)) + leaf for leaf in leaves)


def _put_blob(store: Store, path: Path, digest: str) -> None:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, store.blob(digest) or b"", 0o644)
