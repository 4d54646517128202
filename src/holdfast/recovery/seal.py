"""Sealed objects: a data key wrapped for each recipient, then chunks that cannot be reordered.

::

    "holdfast-sealed/1\\n" | header length (4) | header (JSON) | chunk* | last chunk

Each chunk is AES-256-GCM over at most 1 MiB. Its nonce is a counter with a flag for the last one
(the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár, CRYPTO 2015), so that a chunk
that is missing, doubled, moved or cut off is found. The header is authenticated with every chunk.
The data key is random and seals one object only, so a counter is a nonce.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from holdfast.recovery.keys import Recipient, SecretKey
from holdfast.recovery.trouble import Damaged, KeyTrouble

MAGIC = b"holdfast-sealed/1\n"
CHUNK = 1 << 20  # larger ones fall out of the cache and are slower
_TAG = 16
_HEADER_MAX = 1 << 20
_CHUNKS_MAX = 1 << 32


class Readable(Protocol):
    """Whatever bytes come from: a file, a pipe, a compressor."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Sealed:
    """What was written: size and SHA-256 of the object as stored, size of what is inside."""

    size: int
    sha256: str
    content: int


def seal(source: Readable, into: BinaryIO, recipients: Sequence[Recipient], label: str) -> Sealed:
    """Encrypt ``source`` to its end for every recipient. ``label`` says what it is, in the open.

    Raises ``KeyTrouble`` without recipients, ``OSError`` of the files.
    """
    if not recipients:
        raise KeyTrouble("there is no recipient: nobody could open the backup")
    data_key = os.urandom(32)
    header = _header(recipients, data_key, label)
    out = _Counted(into)
    out.write(MAGIC + struct.pack(">I", len(header)) + header)
    content = 0
    cipher, bound = AESGCM(data_key), hashlib.sha256(header).digest()
    for number, (chunk, last) in enumerate(_chunks(source, CHUNK)):
        content += len(chunk)
        out.write(cipher.encrypt(_nonce(number, last), chunk, bound))
    return Sealed(out.size, out.sha256.hexdigest(), content)


def open_sealed(source: Readable, key: SecretKey) -> Iterator[bytes]:
    """The content, chunk by chunk; each is authentic when it is given out.

    Only when the iterator ends is the object whole. Raises ``KeyTrouble`` when it was sealed for
    others and ``Damaged`` for anything that is not as it was written.
    """
    header = _read_header(source)
    data_key = key.unwrap(_wrapped_for(header, key.recipient))
    cipher, bound = AESGCM(data_key), hashlib.sha256(header).digest()
    for number, (chunk, last) in enumerate(_chunks(source, CHUNK + _TAG)):
        try:
            yield cipher.decrypt(_nonce(number, last), chunk, bound)
        except InvalidTag as error:
            where = f"chunk {number + 1}, at about {number * CHUNK >> 20} MiB"
            raise Damaged(f"the sealed object is damaged or cut off in {where}") from error


def recipients_of(source: Readable) -> tuple[tuple[str, str], ...]:
    """Id and name of everybody it was sealed for. Raises ``Damaged``."""
    found = _parsed(_read_header(source))
    return tuple((each["id"], each["name"]) for each in found["recipients"])


def sealed_bytes(content: bytes, recipients: Sequence[Recipient], label: str) -> bytes:
    into = io.BytesIO()
    seal(io.BytesIO(content), into, recipients, label)
    return into.getvalue()


class _Counted:
    """Size and digest of what passes."""

    def __init__(self, into: BinaryIO) -> None:
        self._into, self.size, self.sha256 = into, 0, hashlib.sha256()

    def write(self, data: bytes) -> None:
        self._into.write(data)
        self.sha256.update(data)
        self.size += len(data)


def _nonce(number: int, last: bool) -> bytes:
    if number >= _CHUNKS_MAX:
        raise ValueError("the object is larger than 4 PiB")
    return struct.pack(">7xIB", number, last)


def _chunks(source: Readable, size: int) -> Iterator[tuple[bytes, bool]]:
    """Pieces of ``size``, and whether each is the last; the last one may be empty."""
    here = _full(source, size)
    while len(here) == size:
        after = _full(source, size)
        yield here, not after
        if not after:
            return
        here = after
    yield here, True


def _full(source: Readable, size: int) -> bytes:
    """Pipes give less than they are asked for."""
    parts, missing = [], size
    while missing and (part := source.read(missing)):
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def _header(recipients: Sequence[Recipient], data_key: bytes, label: str) -> bytes:
    wrapped = [
        {"id": r.id, "name": r.name, "key": base64.b64encode(r.wrap(data_key)).decode()}
        for r in recipients
    ]
    return json.dumps({"label": label, "recipients": wrapped}).encode()


def _read_header(source: Readable) -> bytes:
    begin = _full(source, len(MAGIC) + 4)
    if begin[: len(MAGIC)] != MAGIC or len(begin) < len(MAGIC) + 4:
        raise Damaged("this is no sealed object: its first bytes are not those of one")
    (size,) = struct.unpack(">I", begin[len(MAGIC) :])
    header = _full(source, min(size, _HEADER_MAX))
    if len(header) != size:
        raise Damaged("the header of the sealed object is cut off or damaged")
    return header


def _parsed(header: bytes) -> dict[str, list[dict[str, str]]]:
    try:
        found = json.loads(header)
        if all(
            isinstance(each[k], str) for each in found["recipients"] for k in ("id", "name", "key")
        ):
            return dict(found)
    except (ValueError, KeyError, TypeError):
        pass
    raise Damaged("the header of the sealed object is damaged")


def _wrapped_for(header: bytes, recipient: Recipient) -> bytes:
    found = _parsed(header)["recipients"]
    for each in found:
        if each["id"] == recipient.id:
            try:
                return base64.b64decode(each["key"], validate=True)
            except ValueError as error:
                raise Damaged("the wrapped data key in the header is damaged") from error
    names = ", ".join(f"{each['name']} ({each['id']})" for each in found)
    raise KeyTrouble(f"sealed for {names}; the key given is {recipient.name} ({recipient.id})")
