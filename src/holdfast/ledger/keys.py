"""Key pairs that sign checkpoints: Ed25519 and ML-DSA-44 under one name, in files of mode 0600.

``<directory>/<who>.pem`` is secret and holds both, ``<who>.vkey`` is what verifiers need. The file
is renamed into place whole, so a crash never leaves half an identity; a ledger that has history
and no keys is an error, because a silently made new key would start a new identity.
"""

from __future__ import annotations

import os
import stat
import struct
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA65PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from holdfast.ledger.checkpoint import Checkpoint, ed25519_message, mldsa_message
from holdfast.ledger.errors import KeyTrouble
from holdfast.ledger.note import (
    ED25519,
    ED25519_COSIGNATURE,
    MLDSA44_COSIGNATURE,
    Note,
    SignatureLine,
    VerifierKey,
)

_END = b"-----END PRIVATE KEY-----\n"


@dataclass(frozen=True)
class SigningKeys:
    """One identity with a classical and a post-quantum key. ``log`` signs as type 0x01."""

    name: str
    ed25519: Ed25519PrivateKey
    mldsa44: MLDSA44PrivateKey
    log: bool = True

    @cached_property
    def public(self) -> tuple[VerifierKey, VerifierKey]:
        classical = ED25519 if self.log else ED25519_COSIGNATURE
        return (
            VerifierKey(self.name, classical, self.ed25519.public_key().public_bytes_raw()),
            VerifierKey(
                self.name, MLDSA44_COSIGNATURE, self.mldsa44.public_key().public_bytes_raw()
            ),
        )

    def lines(self, head: Checkpoint, time: int) -> tuple[SignatureLine, SignatureLine]:
        text, stamp = str(head), struct.pack(">Q", time)
        if self.log:
            classical = self.ed25519.sign(text.encode())
        else:
            classical = stamp + self.ed25519.sign(ed25519_message(text, time))
        quantum = stamp + self.mldsa44.sign(mldsa_message(self.name, time, head))
        first, second = self.public
        return (
            SignatureLine(self.name, first.id, classical),
            SignatureLine(self.name, second.id, quantum),
        )

    def sign(self, head: Checkpoint, time: int) -> str:
        return str(Note(str(head), self.lines(head, time)))


def load_or_make(directory: Path, who: str, name: str, log: bool = True) -> SigningKeys:
    """The keys of ``who`` in ``directory``; made when there are none."""
    path = directory / f"{who}.pem"
    try:
        if not path.exists():
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_secret(path, new_identity())
        keys = load(directory, who, name, log)
        _publish(directory / f"{who}.vkey", keys)
    except OSError as error:
        says = f"{directory}: {error.strerror}"
        raise KeyTrouble(says, "make it writable, with space left") from error
    return keys


def new_identity() -> bytes:
    """Both private keys of a log or a witness that did not exist before, as PEM."""
    return pem(Ed25519PrivateKey.generate()) + pem(MLDSA44PrivateKey.generate())


def _publish(path: Path, keys: SigningKeys) -> None:
    public = "".join(f"{key}\n" for key in keys.public)
    # Not written again when it is right: on a full disk a ledger must still open.
    if not path.exists() or path.read_bytes() != public.encode():
        write_whole(path, public.encode(), 0o644)


def load(directory: Path, who: str, name: str, log: bool = True) -> SigningKeys:
    path = directory / f"{who}.pem"
    keys = read_secret_keys(path)
    classical = [key for key in keys if isinstance(key, Ed25519PrivateKey)]
    quantum = [key for key in keys if isinstance(key, MLDSA44PrivateKey)]
    if len(keys) != 2 or not classical or not quantum:
        raise KeyTrouble(f"{path}: found {len(keys)} keys, wanted one Ed25519 and one ML-DSA-44")
    return SigningKeys(name, classical[0], quantum[0], log)


def pem(key: Ed25519PrivateKey | MLDSA44PrivateKey | MLDSA65PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def write_secret(path: Path, data: bytes) -> None:
    """Durable, and never readable by others, not even for a moment."""
    write_whole(path, data, 0o600, durable=True)


def write_whole(path: Path, data: bytes, mode: int, durable: bool = False) -> None:
    """All of it or nothing: written beside ``path`` and renamed into place."""
    beside = path.with_name(f".{path.name}.new")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, mode)
            file.write(data)
            if durable:
                file.flush()
                os.fsync(handle)
        os.replace(beside, path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


def read_secret_keys(path: Path) -> list[object]:
    """Every private key in one PEM file that only its owner may read."""
    return [_load_block(path, block) for block in _blocks(path)]


def _blocks(path: Path) -> list[bytes]:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise KeyTrouble(f"{path}: found mode {mode:04o}, wanted 0600", f"chmod 600 {path}")
        return [block + _END for block in path.read_bytes().split(_END) if block.strip()]
    except OSError as error:
        raise KeyTrouble(f"{path}: {error}", "restore the key from where it is kept") from error


def _load_block(path: Path, block: bytes) -> object:
    try:
        return load_pem_private_key(block, password=None)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyTrouble(f"{path}: {error}", "restore the key from where it is kept") from error
