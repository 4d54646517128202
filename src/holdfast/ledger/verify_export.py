"""A second program: checks an exported ledger from its files and the log's public keys alone.

It shares no code with the rest of Holdfast on purpose (standard library and ``cryptography``
only), so that a mistake in one is found by the other. Copy it anywhere and run::

    python verify_export.py DIRECTORY KEYS.vkey [--older CHECKPOINT]

Exit code 0: every entry leads to the root that the log signed with Ed25519 and ML-DSA-44, and the
tree continues the older checkpoint if one is given. Exit code 1: it says what does not fit.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

Head = tuple[str, int, bytes]  # origin, size, root
Key = tuple[str, int, bytes]  # name, type, public bytes
WIDTH = 256


class Rejected(Exception):
    """What does not fit, in one sentence."""


#: What bytes that nobody has signed yet can make a parser raise.
MALFORMED = (
    Rejected, OSError, ValueError, KeyError, IndexError, TypeError, AttributeError,
    RecursionError, struct.error,
)  # fmt: skip


def verify_export(directory: Path, keys: str, older: str | None = None) -> Head:
    """Check everything; the signed head. Raises ``Rejected``."""
    trusted = [_key(line) for line in keys.split("\n") if line.strip()]
    if {kind for _, kind, _ in trusted} != {1, 6}:
        raise Rejected("wanted the log's Ed25519 and its ML-DSA-44 key, found others")
    head = _open((directory / "checkpoint").read_text(), trusted)
    hashes = [_check_entry(directory, *each) for each in _entries(directory, head[1])]
    levels = _tiles_of(hashes)
    for level, nodes in enumerate(levels):
        for tile, width in _widths(len(nodes)):
            path = _path(directory / "tile" / str(level), tile, width)
            if path.read_bytes() != b"".join(nodes[tile * WIDTH : tile * WIDTH + width]):
                raise Rejected(f"{path}: not the hashes of what is below")
    _same_root(hashes, head)
    if older is not None:
        _same_root(hashes, _open(older, trusted))
    return head


def _same_root(hashes: list[bytes], head: Head) -> None:
    if head[1] > len(hashes):
        raise Rejected(f"a checkpoint signed {head[1]} entries, there are {len(hashes)}")
    root = _root(hashes[: head[1]])
    if root != head[2]:
        raise Rejected(f"size {head[1]}: signed root {head[2].hex()}, entries give {root.hex()}")


# ---- signed text --------------------------------------------------------------------------------


def _key(line: str) -> Key:
    name, _, packed = line.strip().split("+", 2)
    material = base64.b64decode(packed)
    return name, material[0], material[1:]


def _open(checkpoint: str, keys: list[Key]) -> Head:
    """Every key must have signed; lines of other keys are ignored."""
    text, _, tail = checkpoint.rpartition("\n\n")
    origin, size, root = ([*text.split("\n"), "", "", ""])[:3]
    head = (origin, int(size), base64.b64decode(root))
    lines = [line.split(" ") for line in tail.splitlines()]
    signatures = [(name, base64.b64decode(packed)) for _, name, packed in lines]
    for name, kind, public in keys:
        ident = hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]
        found = [sig[4:] for who, sig in signatures if who == name and sig[:4] == ident]
        if name != origin or not found:
            raise Rejected(f"checkpoint of {origin} is not signed by {name}, type {kind}")
        for signature in found:
            _check_signature((name, kind, public), signature, text + "\n", head)
    return head


def _check_signature(key: Key, signature: bytes, text: str, head: Head) -> None:
    name, kind, public = key
    try:
        if kind == 1:
            Ed25519PublicKey.from_public_bytes(public).verify(signature, text.encode())
        elif kind == 6:
            who, origin = name.encode(), head[0].encode()
            message = b"subtree/v1\n\0" + struct.pack("B", len(who)) + who + signature[:8]
            message += struct.pack("B", len(origin)) + origin
            message += struct.pack(">QQ", 0, head[1]) + head[2]
            MLDSA44PublicKey.from_public_bytes(public).verify(signature[8:], message)
        else:
            raise Rejected(f"signature type {kind} is not known here")
    except InvalidSignature as error:
        raise Rejected(f"signature of {name}, type {kind}, does not verify") from error


# ---- files --------------------------------------------------------------------------------------


def _widths(count: int) -> list[tuple[int, int]]:
    full, rest = divmod(count, WIDTH)
    return [(tile, WIDTH) for tile in range(full)] + ([(full, rest)] if rest else [])


def _path(base: Path, tile: int, width: int) -> Path:
    digits = f"{tile:03d}"
    digits = digits.rjust((len(digits) + 2) // 3 * 3, "0")
    parts = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    path = base.joinpath(*(f"x{part}" for part in parts[:-1]), parts[-1])
    return path if width == WIDTH else path.with_name(f"{path.name}.p") / str(width)


def _entries(directory: Path, size: int) -> Iterator[tuple[int, bytes]]:
    for tile, width in _widths(size):
        path = _path(directory / "tile" / "entries", tile, width)
        data, at = path.read_bytes(), 0
        for offset in range(width):
            (length,) = struct.unpack_from(">H", data, at)
            leaf = data[at + 2 : at + 2 + length]
            if len(leaf) != length:
                raise Rejected(f"{path}: ends inside entry {offset}")
            yield tile * WIDTH + offset, leaf
            at += 2 + length
        if at != len(data):
            raise Rejected(f"{path}: {len(data) - at} bytes after the last entry")


def _check_entry(directory: Path, index: int, leaf: bytes) -> bytes:
    word, _, rest = leaf.partition(b" ")
    line, _, inline = rest.partition(b"\n")
    header = json.loads(line)
    if word != b"holdfast-entry/v1" or header["index"] != index:
        raise Rejected(f"entry {index}: says it is entry {header.get('index')}")
    body = inline
    if header["body"] != "inline":
        digest = header["body"].removeprefix("sha256:")
        body = (directory / "blob" / digest).read_bytes()
        if hashlib.sha256(body).hexdigest() != digest:
            raise Rejected(f"entry {index}: its blob is not {digest}")
    if len(body) != header["bytes"]:
        raise Rejected(f"entry {index}: found {len(body)} bytes, said {header['bytes']}")
    return hashlib.sha256(b"\x00" + leaf).digest()


# ---- tree ---------------------------------------------------------------------------------------


def _root(hashes: list[bytes]) -> bytes:
    """MTH of RFC 6962 2.1, level by level: an odd last node rises unchanged."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    while len(hashes) > 1:
        pairs = [hashlib.sha256(b"\x01" + hashes[i] + hashes[i + 1]).digest()
                 for i in range(0, len(hashes) - 1, 2)]  # fmt: skip
        hashes = pairs + hashes[len(hashes) - len(hashes) % 2 :]
    return hashes[0]


def _tiles_of(hashes: list[bytes]) -> list[list[bytes]]:
    """The nodes of each tile level: above level 0, the roots of full tiles below."""
    levels = []
    while hashes:
        levels.append(hashes)
        full = len(hashes) // WIDTH
        hashes = [_root(hashes[tile * WIDTH : (tile + 1) * WIDTH]) for tile in range(full)]
    return levels


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("keys", type=Path)
    parser.add_argument("--older", type=Path, help="a checkpoint kept from before")
    given = parser.parse_args(argv)
    try:
        older = given.older.read_text() if given.older else None
        origin, size, root = verify_export(given.directory, given.keys.read_text(), older)
    except MALFORMED as error:
        print(f"rejected: {error}")
        return 1
    print(f"intact: {origin}, {size} entries, root {root.hex()}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
