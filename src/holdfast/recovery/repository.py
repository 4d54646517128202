"""Where backups lie: sealed objects in a directory, and a catalogue whose lines name each other.

``catalogue.jsonl`` is only appended to. Each line holds the SHA-256 of the one before, so that a
line that was changed, removed or moved is found; its head can be kept elsewhere. Objects are
written beside, synchronised and renamed, and only then told in the catalogue. A second directory
(another region's, or one with locks on its objects) gets the same objects before the catalogue
tells of them.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import secrets
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from holdfast.recovery.entries import Contents, Entry, Escrow, Expired, Stored
from holdfast.recovery.keys import Recipient, SecretKey
from holdfast.recovery.planning import fold
from holdfast.recovery.seal import Readable, Sealed, open_sealed, seal, sealed_bytes
from holdfast.recovery.trouble import Damaged, KeyTrouble
from holdfast.runtime.codec import Undecodable, canonical, decode, encode

_GENESIS = "0" * 64
_LINE_MAX = 1 << 20
_PIECE = 1 << 20


class Repository:
    """One directory and its copies. Several processes may use it: writers take its lock."""

    def __init__(self, root: Path, copies: Sequence[Path] = ()) -> None:
        self.root, self.copies = root, tuple(copies)
        self._known = (0, _GENESIS)  # size of the catalogue, and its head then

    # ---- catalogue ------------------------------------------------------------------------------

    @property
    def catalogue(self) -> Path:
        return self.root / "catalogue.jsonl"

    def entries(self) -> tuple[Entry, ...]:
        """In order. Raises ``Damaged`` naming the line; a last line that is cut off never was."""
        return tuple(entry for entry, _head in self._lines())

    def contents(self) -> Contents:
        return fold(self.entries())

    def head(self) -> str:
        """SHA-256 of the last line: kept elsewhere, it shows that nothing was taken away."""
        head = _GENESIS
        for _entry, head in self._lines():  # noqa: B007
            pass
        return head

    def _lines(self) -> Iterator[tuple[Entry, str]]:
        before = _GENESIS
        for number, line in enumerate(_whole_lines(self.catalogue), 1):
            where = f"{self.catalogue}:{number}"
            try:
                found = json.loads(line)
                entry = cast(Entry, decode(Entry, found["entry"]))
                prev = found["prev"]
            except (ValueError, KeyError, TypeError, Undecodable) as error:
                raise Damaged(f"{where}: this is no entry of a catalogue: {error}") from error
            if prev != before:
                raise Damaged(f"{where}: a line was changed, removed or moved before this one")
            before = hashlib.sha256(line).hexdigest()
            yield entry, before

    def record(self, *entries: Entry) -> None:
        """Append; on disk when it returns. The copies of the catalogue follow."""
        with self._locked():
            at, head = self._end()
            lines = bytearray()
            for entry in entries:
                line = canonical({"prev": head, "entry": encode(entry)})
                head = hashlib.sha256(line).hexdigest()
                lines += line + b"\n"
            _append(self.catalogue, at, bytes(lines))
            self._known = at + len(lines), head
            for copy in self.copies:
                self._follow(copy / self.catalogue.name, at, bytes(lines))

    def _follow(self, path: Path, at: int, lines: bytes) -> None:
        if path.exists() and path.stat().st_size == at:
            _append(path, at, lines)
        else:  # it was away for a while
            _put(path, self.catalogue.read_bytes())

    def _end(self) -> tuple[int, str]:
        """Where the next line goes (over one that a crash cut off), and the head before it."""
        size, head = self._known
        if size and self.catalogue.exists() and self.catalogue.stat().st_size == size:
            return size, head
        return sum(len(line) + 1 for line in _whole_lines(self.catalogue)), self.head()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    # ---- keys -----------------------------------------------------------------------------------

    def add_recipient(self, recipient: Recipient, secret: SecretKey, at: float) -> None:
        """Only whoever can open may be sealed for. Raises ``KeyTrouble``."""
        canary = os.urandom(32)
        sealed = sealed_bytes(canary, [recipient], "escrow proof")
        if b"".join(open_sealed(io.BytesIO(sealed), secret)) != canary:
            raise KeyTrouble(f"{secret.name} did not give back what was sealed for it")
        _put(self.root / "recipients" / f"{recipient.id}.pub", recipient.text().encode())
        for copy in self.copies:
            _put(copy / "recipients" / f"{recipient.id}.pub", recipient.text().encode())
        self.record(Escrow(at, recipient.id, recipient.name))

    def recipients(self) -> tuple[Recipient, ...]:
        """Those who showed that they can open. Raises ``KeyTrouble`` when there is none."""
        proven = dict.fromkeys(each.recipient for each in self.contents().escrow)
        if not proven:
            words = "nobody has shown yet that a backup could be opened"
            raise KeyTrouble(f"{words}; holdfast backup key, then holdfast backup escrow")
        paths = [self.root / "recipients" / f"{each}.pub" for each in proven]
        try:
            found = [Recipient.parse(path.read_text(), str(path)) for path in paths]
        except OSError as error:
            raise KeyTrouble(f"the public key of a recipient is missing: {error}") from error
        return tuple(found)

    # ---- objects --------------------------------------------------------------------------------

    def store(self, name: str, source: Readable, recipients: Sequence[Recipient]) -> Stored:
        """Compressed, sealed and on disk, here and in every copy. Told nowhere yet."""
        path = f"{name}-{secrets.token_hex(4)}"
        deflated = _Deflated(source)
        with _beside(self.root / path) as file:
            sealed: Sealed = seal(deflated, file, recipients, name)
        for copy in self.copies:
            with open(self.root / path, "rb") as source_again, _beside(copy / path) as file:
                _copy(source_again, file)
        return Stored(path, sealed.size, sealed.sha256, deflated.content)

    def fetch(self, stored: Stored, key: SecretKey) -> Iterator[bytes]:
        """What was stored, from the first place where it is as it was written.

        Looked at whole before a byte is given out. Raises ``Damaged`` when no place has it whole.
        """
        place = self._whole_place(stored)
        inflate = zlib.decompressobj()
        with open(place / stored.path, "rb") as file:
            for chunk in open_sealed(file, key):
                yield inflate.decompress(chunk)
        yield inflate.flush()

    def _whole_place(self, stored: Stored) -> Path:
        found = {place: _state(place / stored.path, stored) for place in (self.root, *self.copies)}
        for place, state in found.items():
            if state is None:
                return place
        told = "; ".join(f"{place / stored.path}: {state}" for place, state in found.items())
        raise Damaged(told)

    def damaged(self) -> tuple[str, ...]:
        """Every object that some place does not have as it was written. Reads everything."""
        found = self.contents()
        stored = [*(b.stored for b in found.bases), *(s.stored for s in found.segments.values())]
        return tuple(
            f"{place / each.path}: {state}"
            for each in stored
            for place in (self.root, *self.copies)
            if (state := _state(place / each.path, each)) is not None
        )

    def expire(self, paths: Sequence[str], at: float) -> None:
        """Told first, then deleted: a crash between leaves rubbish and never a lie."""
        if not paths:
            return
        self.record(Expired(at, tuple(paths)))
        self.forget(paths)

    def forget(self, paths: Sequence[str]) -> None:
        for place in (self.root, *self.copies):
            for path in paths:
                (place / path).unlink(missing_ok=True)


class _Deflated:
    """A file that is compressed while it is read; level 1, because disks are not the bottleneck."""

    def __init__(self, source: Readable) -> None:
        self._source, self._deflate = source, zlib.compressobj(1)
        self._ready, self._ended, self.content = b"", False, 0

    def read(self, size: int) -> bytes:
        parts, missing = [self._ready], size - len(self._ready)
        while missing > 0 and not self._ended:
            piece = self._more()
            parts.append(piece)
            missing -= len(piece)
        whole = b"".join(parts)
        self._ready = whole[size:]
        return whole[:size]

    def _more(self) -> bytes:
        piece = self._source.read(_PIECE)
        self.content += len(piece)
        if piece:
            return self._deflate.compress(piece)
        self._ended = True
        return self._deflate.flush()


def _state(path: Path, stored: Stored) -> str | None:
    """What is wrong with an object, or None."""
    digest, size = hashlib.sha256(), 0
    try:
        with open(path, "rb") as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
                size += len(piece)
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if size != stored.size:
        return f"damaged: {size} bytes, {stored.size} were written"
    return None if digest.hexdigest() == stored.sha256 else "damaged: its SHA-256 is another"


def _whole_lines(path: Path) -> Iterator[bytes]:
    if not path.exists():
        return
    with open(path, "rb") as file:
        while (line := file.readline(_LINE_MAX)).endswith(b"\n"):
            yield line[:-1]


@contextmanager
def _beside(path: Path) -> Iterator[BinaryIO]:
    """Written beside, synchronised, renamed: the name is never of something half."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside = path.with_name(f".{path.name}.new")
    try:
        with open(beside, "wb", opener=_private) as file:
            yield file
            _synchronise(file)
        os.replace(beside, path)
        _synchronise_directory(path.parent)
    finally:
        beside.unlink(missing_ok=True)


def _append(path: Path, at: int, lines: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(path, "ab", opener=_private) as file:
        file.truncate(at)
        file.write(lines)
        _synchronise(file)


def _private(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)


def _put(path: Path, data: bytes) -> None:
    with _beside(path) as file:
        file.write(data)


def _copy(source: BinaryIO, into: BinaryIO) -> None:
    while piece := source.read(_PIECE):
        into.write(piece)


def _synchronise(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _synchronise_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
