"""Recovery keys: X-Wing (ML-KEM-768 and X25519), so that what is copied today stays closed later.

The secret half is one file of mode 0600; the public half may be anywhere. A backup is sealed for
every recipient, and each must have shown that its secret half opens before the first backup.
Source: HPKE is RFC 9180, the KEM is draft-connolly-cfrg-xwing-kem.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from holdfast.recovery.trouble import KeyTrouble

SECRET, PUBLIC = "holdfast-recovery-secret/1", "holdfast-recovery-public/1"
_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_INFO = b"holdfast backup data key v1"


@dataclass(frozen=True)
class Recipient:
    """The public half: whoever has it can seal, nobody can open."""

    name: str
    mlkem768: bytes
    x25519: bytes

    @property
    def id(self) -> str:
        """16 hexadecimal digits of SHA-256 over both public keys."""
        return hashlib.sha256(self.mlkem768 + self.x25519).hexdigest()[:16]

    def wrap(self, data_key: bytes) -> bytes:
        key = MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(self.mlkem768),
            X25519PublicKey.from_public_bytes(self.x25519),
        )
        return _SUITE.encrypt(data_key, key, info=_INFO)

    def text(self) -> str:
        halves = {"mlkem768": _b64(self.mlkem768), "x25519": _b64(self.x25519)}
        return json.dumps({"kind": PUBLIC, "name": self.name, "id": self.id, **halves}) + "\n"

    @classmethod
    def parse(cls, text: str, where: str) -> Recipient:
        """Raises ``KeyTrouble``."""
        name, first, second = _parsed(text, PUBLIC, where)
        try:
            MLKEM768PublicKey.from_public_bytes(first)
            X25519PublicKey.from_public_bytes(second)
        except ValueError as error:
            raise KeyTrouble(f"{where}: the public keys are damaged: {error}") from error
        return cls(name, first, second)


@dataclass(frozen=True, repr=False)
class SecretKey:
    """The secret half, as two seeds."""

    name: str
    mlkem768: bytes
    x25519: bytes

    @classmethod
    def make(cls, name: str) -> SecretKey:
        first, second = MLKEM768PrivateKey.generate(), X25519PrivateKey.generate()
        return cls(name, first.private_bytes_raw(), second.private_bytes_raw())

    @property
    def recipient(self) -> Recipient:
        first, second = self._halves()
        return Recipient(
            self.name,
            first.public_key().public_bytes_raw(),
            second.public_key().public_bytes_raw(),
        )

    def unwrap(self, wrapped: bytes) -> bytes:
        """The data key. Raises ``KeyTrouble`` when it was wrapped for another or damaged."""
        try:
            return _SUITE.decrypt(wrapped, MLKEM768X25519PrivateKey(*self._halves()), info=_INFO)
        except Exception as error:  # the library says InvalidTag or ValueError by what is wrong
            raise KeyTrouble(f"the key {self.name} does not open this data key") from error

    def _halves(self) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
        return (
            MLKEM768PrivateKey.from_seed_bytes(self.mlkem768),
            X25519PrivateKey.from_private_bytes(self.x25519),
        )

    def text(self) -> str:
        halves = {"mlkem768": _b64(self.mlkem768), "x25519": _b64(self.x25519)}
        return json.dumps({"kind": SECRET, "name": self.name, **halves}) + "\n"


def make_files(name: str, secret: Path) -> tuple[Path, Recipient]:
    """Write ``secret`` (0600) and ``secret`` + ``.pub``, never over a file: ``KeyTrouble``."""
    key = SecretKey.make(name)
    public = secret.with_name(secret.name + ".pub")
    _write_new(secret, key.text(), 0o600)
    _write_new(public, key.recipient.text(), 0o644)
    return public, key.recipient


def load_secret(path: Path) -> SecretKey:
    """Raises ``KeyTrouble``: missing, readable by others, damaged, or a public key."""
    text = _read(path)
    name, first, second = _parsed(text, SECRET, str(path))
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise KeyTrouble(f"{path}: others may read it (mode {mode:04o}); chmod 600 {path}")
    key = SecretKey(name, first, second)
    try:
        key.recipient  # noqa: B018 - seeds of a wrong length are told here
    except ValueError as error:
        raise KeyTrouble(f"{path}: the secret keys are damaged: {error}") from error
    return key


def load_recipient(path: Path) -> Recipient:
    """Raises ``KeyTrouble``."""
    return Recipient.parse(_read(path), str(path))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise KeyTrouble(f"{path}: cannot be read: {error}") from error


def _write_new(path: Path, text: str, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError as error:
        raise KeyTrouble(f"{path} exists; choose another name: keys are never replaced") from error
    except OSError as error:
        raise KeyTrouble(f"{path}: cannot be written: {error}") from error
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _parsed(text: str, kind: str, where: str) -> tuple[str, bytes, bytes]:
    try:
        found = json.loads(text)
        halves = (base64.b64decode(found[half], validate=True) for half in ("mlkem768", "x25519"))
        said, name, (first, second) = found["kind"], str(found["name"]), halves
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise KeyTrouble(f"{where}: this is no recovery key ({kind})") from error
    if said != kind:
        raise KeyTrouble(f"{where}: found {str(said)[:60]!r}, wanted {kind!r}")
    return name, first, second


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
