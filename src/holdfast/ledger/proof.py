"""Proofs as text that anybody can check offline: C2SP tlog-proof and consistency requests.

The leaf travels in the ``extra`` line, so one ``.tlog-proof`` file is enough together with the
public keys. It is trusted only because its hash leads to the signed root.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from holdfast.ledger.checkpoint import Checkpoint, Signed, open_checkpoint, parse_checkpoint
from holdfast.ledger.errors import ProofInvalid
from holdfast.ledger.merkle import HASH_BYTES, check_consistency, check_inclusion, leaf_hash
from holdfast.ledger.note import VerifierKey, parse_note, unpack

HEADER = "c2sp.org/tlog-proof@v1"
PATH_MAX = 63
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})")
_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class Proven:
    """What a checked proof shows: this leaf is entry ``index`` of the signed tree."""

    index: int
    leaf: bytes
    signed: Signed


def write_proof(index: int, leaf: bytes, path: Sequence[bytes], checkpoint: str) -> str:
    lines = [HEADER, f"extra {base64.b64encode(leaf).decode()}", f"index {index}"]
    return "\n".join([*lines, *_encode(path), "", checkpoint])


def check_proof(
    text: str,
    log: Sequence[VerifierKey],
    witnesses: Iterable[VerifierKey] = (),
    quorum: int = 0,
    leaf: bytes | None = None,
) -> Proven:
    """Verify signatures and inclusion. ``leaf`` is needed when the proof carries none."""
    top, empty, checkpoint = text.partition("\n\n")
    lines = top.split("\n")
    if not empty or len(lines) < 2 or lines.pop(0) != HEADER:
        raise ProofInvalid(f"found no proof, wanted {HEADER!r} first")
    carried = None
    if lines[0].startswith("extra "):
        carried = unpack(lines.pop(0).removeprefix("extra "), "extra")
    match = _INDEX.fullmatch(lines.pop(0) if lines else "")
    leaf = carried if leaf is None else leaf
    if not match or leaf is None:
        raise ProofInvalid("the proof names no index or carries no leaf")
    path, index = _decode(lines), int(match[1])
    signed = open_checkpoint(checkpoint, log, witnesses, quorum)
    check_inclusion(leaf_hash(leaf), index, signed.head.size, signed.head.root, path)
    return Proven(index, leaf, signed)


def write_consistency(old: int, path: Sequence[bytes], checkpoint: str) -> str:
    """The body of a tlog-witness ``add-checkpoint`` request."""
    return "\n".join([f"old {old}", *_encode(path), "", checkpoint])


@dataclass(frozen=True, slots=True)
class Continuation:
    """A claim that the tree of ``checkpoint`` continues that of ``old`` leaves."""

    old: int
    path: tuple[bytes, ...]
    checkpoint: str

    @property
    def head(self) -> Checkpoint:
        return parse_checkpoint(parse_note(self.checkpoint).text)

    def check(self, old_root: bytes) -> None:
        head = self.head
        check_consistency(self.old, head.size, old_root, head.root, self.path)


def parse_consistency(text: str) -> Continuation:
    top, empty, checkpoint = text.partition("\n\n")
    lines = top.split("\n")
    match = _OLD.fullmatch(lines.pop(0))
    if not match or not empty:
        raise ProofInvalid("found no consistency proof, wanted 'old <size>' first")
    return Continuation(int(match[1]), tuple(_decode(lines)), checkpoint)


def _encode(path: Sequence[bytes]) -> list[str]:
    return [base64.b64encode(node).decode() for node in path]


def _decode(lines: Sequence[str]) -> list[bytes]:
    if len(lines) > PATH_MAX:
        raise ProofInvalid(f"found {len(lines)} hashes, limit {PATH_MAX}")
    path = [unpack(line, "proof hash") for line in lines]
    if any(len(node) != HASH_BYTES for node in path):
        raise ProofInvalid(f"found a hash that has not {HASH_BYTES} bytes")
    return path
