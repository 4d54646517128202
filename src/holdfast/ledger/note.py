"""C2SP signed notes and verifier keys: text, an empty line, signature lines.

Types used: 0x01 Ed25519 over the text; 0x04 and 0x06 timestamped cosignatures of a checkpoint
with Ed25519 and ML-DSA-44. The type is part of the key id, so an algorithm is always named and
can be replaced. Lines of unknown keys are ignored; a known key that does not verify is fatal.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from holdfast.ledger.errors import NoteInvalid

ED25519 = 0x01
ED25519_COSIGNATURE = 0x04
MLDSA44_COSIGNATURE = 0x06
ALGORITHMS = {
    ED25519: "Ed25519",
    ED25519_COSIGNATURE: "Ed25519 cosignature",
    MLDSA44_COSIGNATURE: "ML-DSA-44 cosignature",
}
_PUBLIC_BYTES = {ED25519: 32, ED25519_COSIGNATURE: 32, MLDSA44_COSIGNATURE: 1312}
NOTE_BYTES_MAX = 512 * 1024
LINES_MAX = 64


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with the name it signs under. As text: ``name+id+base64(type || key)``."""

    name: str
    algorithm: int
    public: bytes

    @property
    def id(self) -> bytes:
        material = self.name.encode() + b"\n" + bytes([self.algorithm]) + self.public
        return hashlib.sha256(material).digest()[:4]

    def __str__(self) -> str:
        packed = base64.b64encode(bytes([self.algorithm]) + self.public).decode()
        return f"{self.name}+{self.id.hex()}+{packed}"


@dataclass(frozen=True, slots=True)
class SignatureLine:
    name: str
    key_id: bytes
    signature: bytes

    def __str__(self) -> str:
        return f"— {self.name} {base64.b64encode(self.key_id + self.signature).decode()}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """``text`` ends in a newline; the empty line is between it and ``lines``."""

    text: str
    lines: tuple[SignatureLine, ...]

    def __str__(self) -> str:
        return self.text + "\n" + "".join(map(str, self.lines))

    def by(self, key: VerifierKey) -> tuple[SignatureLine, ...]:
        return tuple(ln for ln in self.lines if (ln.name, ln.key_id) == (key.name, key.id))


def parse_note(raw: str) -> Note:
    if len(raw.encode()) > NOTE_BYTES_MAX:
        raise NoteInvalid(f"found a note of {len(raw)} characters, limit {NOTE_BYTES_MAX} bytes")
    if any(ch < " " and ch != "\n" for ch in raw):
        raise NoteInvalid("found a control character in a note")
    text, empty, tail = raw.rpartition("\n\n")
    if not empty or not tail.endswith("\n"):
        raise NoteInvalid("found no signature lines after an empty line")
    lines = tail[:-1].split("\n")
    if len(lines) > LINES_MAX:
        raise NoteInvalid(f"found {len(lines)} signature lines, limit {LINES_MAX}")
    return Note(text + "\n", tuple(parse_line(line) for line in lines))


def parse_line(line: str) -> SignatureLine:
    dash, name, packed = [*line.split(" "), "", ""][:3]
    signature = unpack(packed, "signature line")
    if dash != "—" or not name or "+" in name or len(signature) < 5 or line.count(" ") != 2:
        raise NoteInvalid(f"found {line[:60]!r}, wanted '— name base64'")
    return SignatureLine(name, signature[:4], signature[4:])


def parse_key(text: str) -> VerifierKey:
    name, key_id, packed = [*text.strip().split("+", 2), "", ""][:3]
    material = unpack(packed, "verifier key")
    if not name or len(material) < 2 or _PUBLIC_BYTES.get(material[0]) != len(material) - 1:
        raise NoteInvalid(f"found {text[:60]!r}, wanted name+id+base64(type || key)")
    key = VerifierKey(name, material[0], material[1:])
    if key.id.hex() != key_id:
        raise NoteInvalid(f"key {name}: found id {key_id}, its material gives {key.id.hex()}")
    return key


def parse_keys(text: str) -> tuple[VerifierKey, ...]:
    """One key a line; empty lines and ``#`` comments are skipped."""
    lines: Iterable[str] = (line.strip() for line in text.splitlines())
    return tuple(parse_key(line) for line in lines if line and not line.startswith("#"))


def unpack(packed: str, what: str) -> bytes:
    try:
        data = base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteInvalid(f"{what}: found {packed[:40]!r}, wanted base64") from error
    if base64.b64encode(data).decode() != packed:
        raise NoteInvalid(f"{what}: found base64 that is not canonical")
    return data
