"""C2SP checkpoints: the tree head as a signed note, by the log and by witnesses.

The log signs with Ed25519 (0x01) *and* ML-DSA-44 (0x06); opening a checkpoint needs both.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from holdfast.ledger.errors import NoteInvalid
from holdfast.ledger.merkle import HASH_BYTES
from holdfast.ledger.note import (
    ALGORITHMS,
    ED25519,
    ED25519_COSIGNATURE,
    MLDSA44_COSIGNATURE,
    Note,
    SignatureLine,
    VerifierKey,
    parse_note,
    unpack,
)

TIME_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Which log, how many entries, which root."""

    origin: str
    size: int
    root: bytes

    def __str__(self) -> str:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def parse_checkpoint(text: str) -> Checkpoint:
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
        raise NoteInvalid("found no checkpoint, wanted the lines origin, size and root")
    origin, size, root = lines[0], lines[1], unpack(lines[2], "root")
    if not (size.isascii() and size.isdigit()) or str(int(size)) != size or int(size) > TIME_MAX:
        raise NoteInvalid(f"found tree size {size[:40]!r}, wanted a plain decimal")
    if len(root) != HASH_BYTES:
        raise NoteInvalid(f"found a root of {len(root)} bytes, wanted {HASH_BYTES}")
    return Checkpoint(origin, int(size), root)


def ed25519_message(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def mldsa_message(name: str, time: int, head: Checkpoint) -> bytes:
    """``cosigned_message`` of tlog-cosignature, for the whole tree (start is 0)."""
    signer, origin = name.encode(), head.origin.encode()
    if not (1 <= len(signer) <= 255 and 1 <= len(origin) <= 255):
        raise NoteInvalid("signer name and origin must have 1 to 255 bytes")
    return b"".join(
        (
            b"subtree/v1\n\0",
            bytes([len(signer)]) + signer,
            struct.pack(">Q", time),
            bytes([len(origin)]) + origin,
            struct.pack(">QQ", 0, head.size),
            head.root,
        )
    )


@dataclass(frozen=True, slots=True)
class Signed:
    """A checkpoint whose signatures were verified, and who made them."""

    head: Checkpoint
    note: Note
    keys: tuple[VerifierKey, ...]


def open_checkpoint(
    raw: str,
    log: Sequence[VerifierKey],
    witnesses: Iterable[VerifierKey] = (),
    quorum: int = 0,
) -> Signed:
    """Verify that *every* key of the log signed, and at least ``quorum`` witnesses by name."""
    given = {key.algorithm for key in log}
    for algorithm in (ED25519, MLDSA44_COSIGNATURE):
        if algorithm not in given:
            raise NoteInvalid(f"the log's public keys lack {ALGORITHMS[algorithm]}; both sign")
    note = parse_note(raw)
    head = parse_checkpoint(note.text)
    signed = [key for key in (*log, *witnesses) if verify_line(note, head, key)]
    for key in log:
        if key not in signed:
            raise NoteInvalid(f"checkpoint has no {ALGORITHMS[key.algorithm]} by {key.name}")
    if any(key.name != head.origin for key in log):
        raise NoteInvalid(f"checkpoint is of {head.origin}, the keys are of {log[0].name}")
    names = {key.name for key in signed if key not in log}
    if len(names) < quorum:
        raise NoteInvalid(f"checkpoint has {len(names)} of {quorum} witnesses")
    return Signed(head, note, tuple(signed))


def verify_line(note: Note, head: Checkpoint, key: VerifierKey) -> bool:
    """False when the key did not sign; raises when it did and the signature is wrong."""
    lines = note.by(key)
    for line in lines:
        try:
            _verify(note, head, key, line)
        except (InvalidSignature, ValueError) as error:
            what = f"{ALGORITHMS[key.algorithm]} by {key.name}"
            raise NoteInvalid(f"size {head.size}: the {what} does not verify") from error
    return bool(lines)


def _verify(note: Note, head: Checkpoint, key: VerifierKey, line: SignatureLine) -> None:
    if key.algorithm == ED25519:
        Ed25519PublicKey.from_public_bytes(key.public).verify(line.signature, note.text.encode())
        return
    time, signature = cosigned_time(line), line.signature[8:]
    if key.algorithm == ED25519_COSIGNATURE:
        message = ed25519_message(note.text, time)
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, message)
    elif key.algorithm == MLDSA44_COSIGNATURE:
        message = mldsa_message(key.name, time, head)
        MLDSA44PublicKey.from_public_bytes(key.public).verify(signature, message)
    else:
        raise ValueError(f"unknown signature type {key.algorithm:#04x}")


def cosigned_time(line: SignatureLine) -> int:
    if len(line.signature) < 8:
        raise ValueError("a cosignature starts with eight bytes of time")
    time: int = struct.unpack(">Q", line.signature[:8])[0]
    if time > TIME_MAX:
        raise ValueError(f"found time {time}, limit 2^63 - 1")
    return time
