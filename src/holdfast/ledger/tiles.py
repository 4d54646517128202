"""C2SP tlog-tiles: 256 consecutive nodes of every eighth height, as one piece of storage.

Tile ``(level, n)`` holds the nodes of height ``8 * level`` from index ``256 * n``. The heights in
between are recomputed from the tile. The same bytes are a row in the database and a file of the
export.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from holdfast.ledger.errors import LedgerDamaged
from holdfast.ledger.merkle import HASH_BYTES, Edge, node_hash

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
Tile = tuple[int, int]  # level, index


class TileTree:
    """Answers ``(height, index)`` nodes from tiles; keeps what it computed of each tile."""

    KEPT_MAX = 256  # tiles; 16 KiB each

    def __init__(self, read: Callable[[int, int], bytes]) -> None:
        self._read = read
        self._rows: dict[Tile, list[list[bytes]]] = {}

    def node(self, height: int, index: int) -> bytes:
        level, rise = divmod(height, TILE_HEIGHT)
        first = index << rise  # of the nodes at the tile's own height
        tile, offset = divmod(first, TILE_WIDTH)
        rows = self._rows.get((level, tile))
        if rows is None or len(rows[rise]) <= offset >> rise:
            rows = self._load(level, tile)
        if len(rows[rise]) <= offset >> rise:
            raise LedgerDamaged(f"tile {level}/{tile} lacks the node {height}/{index}")
        return rows[rise][offset >> rise]

    def _load(self, level: int, tile: int) -> list[list[bytes]]:
        if len(self._rows) >= self.KEPT_MAX:
            self._rows.clear()
        rows = self._rows[(level, tile)] = rows_of(split(self._read(level, tile)))
        return rows


def split(packed: bytes) -> list[bytes]:
    return [packed[at : at + HASH_BYTES] for at in range(0, len(packed), HASH_BYTES)]


def rows_of(hashes: list[bytes]) -> list[list[bytes]]:
    """The tile's own row and the seven rows of complete nodes above it."""
    rows = [hashes]
    for _ in range(TILE_HEIGHT - 1):
        below = rows[-1]
        rows.append([node_hash(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)])
    return rows


def grow(
    edge: Edge, partial: Mapping[int, bytes], leaves: list[bytes]
) -> tuple[dict[Tile, bytes], dict[int, bytes]]:
    """Push ``leaves``; the tiles that changed, and the new unfinished tile of each level."""
    open_tiles = {level: bytearray(packed) for level, packed in partial.items()}
    changed: dict[Tile, bytes] = {}
    touched: dict[int, int] = {}
    for leaf in leaves:
        for height, index, node in edge.push(leaf):
            level, rise = divmod(height, TILE_HEIGHT)
            if rise:
                continue
            open_tile = open_tiles.setdefault(level, bytearray())
            open_tile += node
            touched[level] = index // TILE_WIDTH
            if index % TILE_WIDTH == TILE_WIDTH - 1:
                changed[(level, touched.pop(level))] = bytes(open_tile)
                open_tiles[level] = bytearray()
    unfinished = {level: bytes(packed) for level, packed in open_tiles.items()}
    changed.update({(level, tile): unfinished[level] for level, tile in touched.items()})
    return changed, unfinished


def widths(size: int) -> list[tuple[int, int, int]]:
    """Every tile of a tree: (level, index, width). Empty tiles do not exist."""
    found = []
    level, nodes = 0, size
    while nodes:
        full, rest = divmod(nodes, TILE_WIDTH)
        found += [(level, tile, TILE_WIDTH) for tile in range(full)]
        if rest:
            found.append((level, full, rest))
        level, nodes = level + 1, full
    return found


def tile_path(index: int, width: int) -> str:
    """``1234067`` is ``x001/x234/067``; a partial tile ends in ``.p/<width>``."""
    parts = [f"{index % 1000:03d}"]
    while index >= 1000:
        index //= 1000
        parts.append(f"x{index % 1000:03d}")
    path = "/".join(reversed(parts))
    return path if width == TILE_WIDTH else f"{path}.p/{width}"
