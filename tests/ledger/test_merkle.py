"""RFC 6962 arithmetic: published vectors, and properties over all tree sizes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.ledger.errors import ProofInvalid
from holdfast.ledger.merkle import (
    EMPTY_ROOT,
    Edge,
    check_consistency,
    check_inclusion,
    consistency_path,
    edge_of,
    inclusion_path,
    leaf_hash,
    node_hash,
    root_of,
)
from holdfast.ledger.tiles import TileTree, grow, tile_path, widths

# The eight leaves of the reference tests of Certificate Transparency and their roots.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243",
        "5051525354555657", "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
SIBLING_4 = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
PAIR_6_7 = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
PAIR_4_5 = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
PAIR_2_3 = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"


class Grown:
    """A tree in memory: every node by height and index, and every root by size."""

    def __init__(self, leaves: list[bytes]) -> None:
        edge, self.nodes, self.roots = Edge(), {}, [EMPTY_ROOT]
        for leaf in leaves:
            self.nodes.update({(h, i): node for h, i, node in edge.push(leaf)})
            self.roots.append(edge.root())

    def node(self, height: int, index: int) -> bytes:
        return self.nodes[(height, index)]


SMALL = Grown([leaf_hash(leaf) for leaf in LEAVES])
LARGE_SIZE = 700  # spans three tile levels' worth of partial and full tiles
LARGE_LEAVES = [leaf_hash(b"%d" % n) for n in range(LARGE_SIZE)]
LARGE = Grown(LARGE_LEAVES)


def slow_root(leaves: list[bytes]) -> bytes:
    """The definition of RFC 6962 2.1, word for word."""
    if len(leaves) < 2:
        return leaves[0] if leaves else EMPTY_ROOT
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(slow_root(leaves[:split]), slow_root(leaves[split:]))


@pytest.mark.req("I4")
@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_the_published_vectors(size):
    assert SMALL.roots[size].hex() == ROOTS[size]


def test_proofs_are_those_of_the_published_vectors():
    included = [h.hex() for h in inclusion_path(SMALL.node, 5, 8)]
    assert included == [SIBLING_4, PAIR_6_7, ROOTS[4]]
    assert [h.hex() for h in consistency_path(SMALL.node, 6, 8)] == [PAIR_4_5, PAIR_6_7, ROOTS[4]]
    assert [h.hex() for h in consistency_path(SMALL.node, 2, 5)] == [PAIR_2_3, SIBLING_4]


@given(st.integers(0, 200))
@settings(max_examples=40, deadline=None)
def test_the_growing_edge_gives_the_root_of_the_definition(size):
    assert LARGE.roots[size] == slow_root(LARGE_LEAVES[:size])


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_every_entry_has_an_inclusion_proof_at_every_size(data):
    size = data.draw(st.integers(1, LARGE_SIZE))
    index = data.draw(st.integers(0, size - 1))
    path = inclusion_path(LARGE.node, index, size)
    check_inclusion(LARGE_LEAVES[index], index, size, LARGE.roots[size], path)
    assert len(path) <= (size - 1).bit_length()


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_every_size_is_consistent_with_every_smaller_one(data):
    new = data.draw(st.integers(0, LARGE_SIZE))
    old = data.draw(st.integers(0, new))
    path = consistency_path(LARGE.node, old, new)
    check_consistency(old, new, LARGE.roots[old], LARGE.roots[new], path)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_an_inclusion_proof_with_anything_changed_is_refused(data):
    size = data.draw(st.integers(2, LARGE_SIZE))
    index = data.draw(st.integers(0, size - 1))
    path, leaf, root = (
        inclusion_path(LARGE.node, index, size),
        LARGE_LEAVES[index],
        LARGE.roots[size],
    )
    what = data.draw(st.sampled_from(["leaf", "index", "root", "hash", "short", "long"]))
    at = data.draw(st.integers(0, len(path) - 1))
    match what:
        case "leaf":
            leaf = flipped(leaf)
        case "index":
            index = data.draw(st.integers(0, size - 1).filter(lambda other: other != index))
        case "root":
            root = flipped(root)
        case "hash":
            path[at] = flipped(path[at])
        case "short":
            path.pop(at)
        case "long":
            path.insert(at, leaf)
    with pytest.raises(ProofInvalid):
        check_inclusion(leaf, index, size, root, path)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_a_consistency_proof_with_anything_changed_is_refused(data):
    new = data.draw(st.integers(2, LARGE_SIZE))
    old = data.draw(st.integers(1, new - 1))
    path, old_root, new_root = (
        consistency_path(LARGE.node, old, new),
        LARGE.roots[old],
        LARGE.roots[new],
    )
    what = data.draw(st.sampled_from(["old", "new", "hash", "short", "long"]))
    at = data.draw(st.integers(0, len(path) - 1))
    match what:
        case "old":
            old_root = flipped(old_root)
        case "new":
            new_root = flipped(new_root)
        case "hash":
            path[at] = flipped(path[at])
        case "short":
            path.pop(at)
        case "long":
            path.insert(at, new_root)
    with pytest.raises(ProofInvalid):
        check_consistency(old, new, old_root, new_root, path)


def flipped(node: bytes) -> bytes:
    return bytes([node[0] ^ 1]) + node[1:]


@pytest.mark.parametrize(
    ("old", "new"), [(5, 4), (-1, 3), (0, -1)], ids=["shrinking", "negative", "negative new"]
)
def test_a_tree_that_shrinks_is_refused(old, new):
    with pytest.raises(ProofInvalid):
        check_consistency(old, new, EMPTY_ROOT, EMPTY_ROOT, [])


def test_two_roots_at_one_size_are_refused():
    with pytest.raises(ProofInvalid, match="two roots"):
        check_consistency(4, 4, SMALL.roots[4], SMALL.roots[5], [])


# ---- tiles --------------------------------------------------------------------------------------


def test_tiles_answer_every_node_that_the_tree_has():
    tiles, open_tiles, edge = {}, {}, Edge()
    for start in range(0, LARGE_SIZE, 37):
        changed, open_tiles = grow(edge, open_tiles, LARGE_LEAVES[start : start + 37])
        tiles.update(changed)
    tree = TileTree(lambda level, index: tiles.get((level, index), b""))
    assert all(tree.node(h, i) == node for (h, i), node in LARGE.nodes.items())
    assert edge_of(tree.node, LARGE_SIZE) == edge
    assert root_of(tree.node, 512) == LARGE.roots[512]


def test_the_tiles_of_a_tree_of_70000_are_those_of_the_specification():
    found = widths(70_000)
    full = [(level, index) for level, index, width in found if width == 256]
    partial = [each for each in found if each[2] < 256]
    assert full == [(0, n) for n in range(273)] + [(1, 0)]
    assert partial == [(0, 273, 112), (1, 1, 17), (2, 0, 1)]
    assert widths(256) == [(0, 0, 256), (1, 0, 1)]
    assert widths(0) == []


@pytest.mark.parametrize(
    ("index", "width", "written"),
    [
        (0, 256, "000"),
        (1_234_067, 256, "x001/x234/067"),
        (1_000, 7, "x001/000.p/7"),
        (999, 255, "999.p/255"),
    ],
)
def test_tile_paths_are_those_of_the_specification(index, width, written):
    assert tile_path(index, width) == written
