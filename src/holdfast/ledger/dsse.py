"""DSSE envelopes signed twice: Ed25519 and ML-DSA-65. Verifying needs both.

Each signature's ``keyid`` names its algorithm, so one of them can be replaced later. Breaking one
of the two schemes is not enough to forge an envelope.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey, MLDSA65PublicKey

from holdfast.ledger.errors import KeyTrouble, LedgerError
from holdfast.ledger.keys import pem, read_secret_keys, write_secret
from holdfast.runtime.codec import canonical

ENVELOPE_BYTES_MAX = 16 * 2**20


class EnvelopeInvalid(LedgerError):
    """The envelope is malformed, or one of the two signatures is missing or wrong."""


@dataclass(frozen=True, slots=True)
class ReleaseVerifier:
    """The two public keys of whoever may sign releases."""

    ed25519: bytes
    mldsa65: bytes

    @property
    def keyids(self) -> tuple[str, str]:
        return _keyid("ed25519", self.ed25519), _keyid("ml-dsa-65", self.mldsa65)


@dataclass(frozen=True, slots=True)
class ReleaseSigner:
    ed25519: Ed25519PrivateKey
    mldsa65: MLDSA65PrivateKey

    @classmethod
    def load_or_make(cls, path: Path) -> ReleaseSigner:
        """Both keys in one PEM file of mode 0600."""
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh = pem(Ed25519PrivateKey.generate()) + pem(MLDSA65PrivateKey.generate())
            write_secret(path, fresh)
        match read_secret_keys(path):
            case [Ed25519PrivateKey() as classical, MLDSA65PrivateKey() as quantum]:
                return cls(classical, quantum)
        raise KeyTrouble(f"{path}: wanted one Ed25519 and one ML-DSA-65 key")

    @property
    def public(self) -> ReleaseVerifier:
        return ReleaseVerifier(
            self.ed25519.public_key().public_bytes_raw(),
            self.mldsa65.public_key().public_bytes_raw(),
        )

    def sign(self, payload: bytes, payload_type: str) -> bytes:
        """The envelope as canonical JSON."""
        message = pre_authentication(payload_type, payload)
        signed = (self.ed25519.sign(message), self.mldsa65.sign(message))
        signatures = [
            {"keyid": keyid, "sig": base64.b64encode(signature).decode()}
            for keyid, signature in zip(self.public.keyids, signed, strict=True)
        ]
        return canonical(
            {
                "payload": base64.b64encode(payload).decode(),
                "payloadType": payload_type,
                "signatures": signatures,
            }
        )


def pre_authentication(payload_type: str, payload: bytes) -> bytes:
    """PAE of the DSSE specification: what is really signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def open_envelope(raw: bytes, trusted: ReleaseVerifier, payload_type: str) -> bytes:
    """The payload, when both trusted keys signed it as ``payload_type``."""
    envelope = _parse(raw)
    if envelope["payloadType"] != payload_type:
        raise EnvelopeInvalid(f"found type {envelope['payloadType']!r}, wanted {payload_type!r}")
    payload = _decode(envelope["payload"])
    message = pre_authentication(payload_type, payload)
    found = {each["keyid"]: _decode(each["sig"]) for each in envelope["signatures"]}
    classical, quantum = trusted.keyids
    for keyid in (classical, quantum):
        if keyid not in found:
            raise EnvelopeInvalid(f"not signed by {keyid}")
    try:
        Ed25519PublicKey.from_public_bytes(trusted.ed25519).verify(found[classical], message)
        MLDSA65PublicKey.from_public_bytes(trusted.mldsa65).verify(found[quantum], message)
    except (InvalidSignature, ValueError) as error:
        raise EnvelopeInvalid("a signature of a trusted key does not verify") from error
    return payload


def _parse(raw: bytes) -> dict[str, Any]:
    if len(raw) > ENVELOPE_BYTES_MAX:
        raise EnvelopeInvalid(f"found {len(raw)} bytes, limit {ENVELOPE_BYTES_MAX}")
    try:
        envelope: dict[str, Any] = json.loads(raw)
        texts = [envelope["payload"], envelope["payloadType"]]
        for each in envelope["signatures"]:
            texts += [each["keyid"], each["sig"]]
    except (ValueError, KeyError, TypeError) as error:
        raise EnvelopeInvalid(f"not a DSSE envelope: {type(error).__name__} {error}") from error
    if not all(isinstance(text, str) for text in texts):
        raise EnvelopeInvalid("not a DSSE envelope: a field is not text")
    return envelope


def _decode(packed: str) -> bytes:
    try:
        return base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError) as error:
        raise EnvelopeInvalid(f"found {packed[:40]!r}, wanted base64") from error


def _keyid(algorithm: str, public: bytes) -> str:
    return f"{algorithm}:{hashlib.sha256(public).hexdigest()}"
