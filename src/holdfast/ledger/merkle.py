"""RFC 6962 Merkle trees: hashing, the growing edge, and both proofs. Pure.

A *node* is the root of a perfect subtree, addressed by ``(height, index)``: it covers the leaves
``index << height`` up to ``(index + 1) << height``. Proofs are made from a function that answers
nodes, so it does not matter here whether they come from memory, a database or static files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from holdfast.ledger.errors import ProofInvalid

Node = Callable[[int, int], bytes]

EMPTY_ROOT = hashlib.sha256(b"").digest()
HASH_BYTES = 32


def leaf_hash(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(slots=True)
class Edge:
    """The right edge of a tree: one perfect subtree per one-bit of ``size``, largest first."""

    size: int = 0
    peaks: list[bytes] = field(default_factory=list)

    def copy(self) -> Edge:
        return Edge(self.size, list(self.peaks))

    def push(self, leaf: bytes) -> list[tuple[int, int, bytes]]:
        """Add a leaf; every node that became complete, as (height, index, hash)."""
        height, index, node = 0, self.size, leaf
        grown = [(height, index, node)]
        while index & 1:
            node = node_hash(self.peaks.pop(), node)
            height, index = height + 1, index >> 1
            grown.append((height, index, node))
        self.peaks.append(node)
        self.size += 1
        return grown

    def root(self) -> bytes:
        if not self.peaks:
            return EMPTY_ROOT
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = node_hash(peak, root)
        return root


def edge_of(node: Node, size: int) -> Edge:
    """The edge of the tree with ``size`` leaves, read back from stored nodes."""
    peaks, start = [], 0
    for height in range(size.bit_length() - 1, -1, -1):
        if size >> height & 1:
            peaks.append(node(height, start >> height))
            start += 1 << height
    return Edge(size, peaks)


def root_of(node: Node, size: int) -> bytes:
    return edge_of(node, size).root()


def _split(width: int) -> int:
    """The largest power of two smaller than ``width`` (RFC 6962, section 2.1)."""
    return 1 << ((width - 1).bit_length() - 1)


def _range_root(node: Node, start: int, end: int) -> bytes:
    width = end - start
    if width & (width - 1) == 0:
        height = width.bit_length() - 1
        return node(height, start >> height)
    middle = start + _split(width)
    return node_hash(_range_root(node, start, middle), _range_root(node, middle, end))


def inclusion_path(node: Node, index: int, size: int) -> list[bytes]:
    """RFC 6962 2.1.1: the siblings from the leaf up to the child of the root."""
    if not 0 <= index < size:
        raise ProofInvalid(f"no entry {index} in a tree of {size}")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_range_root(node, middle, end))
            end = middle
        else:
            path.append(_range_root(node, start, middle))
            start = middle
    path.reverse()
    return path


def consistency_path(node: Node, old: int, new: int) -> list[bytes]:
    """RFC 6962 2.1.2: shows that the tree of ``old`` leaves is a prefix of that of ``new``."""
    if not 0 <= old <= new:
        raise ProofInvalid(f"a tree of {new} cannot continue one of {old}")
    if old in (0, new):
        return []
    path: list[bytes] = []
    start, end, whole = 0, new, True
    while old < end:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(_range_root(node, middle, end))
            end = middle
        else:
            path.append(_range_root(node, start, middle))
            start, whole = middle, False
    if not whole:
        path.append(_range_root(node, start, end))
    path.reverse()
    return path


def root_by_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root that this path leads to (RFC 9162 2.1.3.2)."""
    if not 0 <= index < size:
        raise ProofInvalid(f"no entry {index} in a tree of {size}")
    at, last, root = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise ProofInvalid(f"inclusion path of entry {index} is too long: {len(path)}")
        if at & 1 or at == last:
            root = node_hash(sibling, root)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            root = node_hash(root, sibling)
        at, last = at >> 1, last >> 1
    if last != 0:
        raise ProofInvalid(f"inclusion path of entry {index} is too short: {len(path)}")
    return root


def check_inclusion(leaf: bytes, index: int, size: int, root: bytes, path: Sequence[bytes]) -> None:
    found = root_by_inclusion(leaf, index, size, path)
    if found != root:
        raise ProofInvalid(
            f"entry {index}: the path leads to root {found.hex()}, signed is {root.hex()}"
        )


def check_consistency(
    old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]
) -> None:
    """RFC 9162 2.1.4.2. Raises ``ProofInvalid`` unless ``new`` only appends to ``old``."""
    if not 0 <= old <= new:
        raise ProofInvalid(f"a tree of {new} cannot continue one of {old}")
    if old in (0, new):
        _check_trivial(old, new, (old_root, new_root), path)
        return
    rest = list(path)
    if old & (old - 1) == 0:
        rest.insert(0, old_root)
    if not rest:
        raise ProofInvalid(f"consistency proof from {old} to {new} is empty")
    old_found, new_found = _fold_consistency(old - 1, new - 1, rest)
    if old_found != old_root:
        raise ProofInvalid(f"size {old}: proof has root {old_found.hex()}, not {old_root.hex()}")
    if new_found != new_root:
        raise ProofInvalid(f"size {new}: proof has root {new_found.hex()}, not {new_root.hex()}")


def _check_trivial(old: int, new: int, roots: tuple[bytes, bytes], path: Sequence[bytes]) -> None:
    if path:
        raise ProofInvalid(f"consistency proof from {old} to {new} must be empty")
    if old == new and roots[0] != roots[1]:
        raise ProofInvalid(f"two roots at size {new}: {roots[0].hex()} and {roots[1].hex()}")
    if old == 0 and roots[0] != EMPTY_ROOT:
        raise ProofInvalid(f"an empty tree has root {EMPTY_ROOT.hex()}, not {roots[0].hex()}")


def _fold_consistency(at: int, last: int, path: Sequence[bytes]) -> tuple[bytes, bytes]:
    while at & 1:
        at, last = at >> 1, last >> 1
    old_root = new_root = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofInvalid("consistency proof is too long")
        if at & 1 or at == last:
            old_root, new_root = node_hash(sibling, old_root), node_hash(sibling, new_root)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            new_root = node_hash(new_root, sibling)
        at, last = at >> 1, last >> 1
    if last != 0:
        raise ProofInvalid("consistency proof is too short")
    return old_root, new_root
