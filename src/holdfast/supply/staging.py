"""Changes of a directory that are done as one: before, nothing is different; then all is.

New bytes are written beside the files they replace. Only when all of them are on the disk are they
moved, which takes milliseconds and is not disturbed by signals. Whoever is killed in just these
milliseconds leaves a note of what was to be; the next one knows by it what is ours and goes on.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from holdfast.supply.tree import STAGE, Change, inside, prune

_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

#: What is written of a change that is not complete: the bytes of its last file.
NOTE = "note"


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Make the directory and be the only one who changes it. Raises ``OSError``.

    Another one is waited for; the kernel ends the wait when that process ends, however it does.
    """
    root.mkdir(parents=True, exist_ok=True)
    handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def note(root: Path) -> bytes | None:
    """The last file of a change that was begun and is not complete."""
    try:
        return (root / STAGE / NOTE).read_bytes()
    except FileNotFoundError:
        return None


def replace(root: Path, planned: Sequence[Change], last: str, data: bytes) -> None:
    """Do it, with the file that tells of it as the last. Raises ``OSError``; then nothing is done
    as long as the disk was full or a directory could not be written."""
    stage = root / STAGE
    if stage.is_dir() and not stage.is_symlink():
        shutil.rmtree(stage)
    stage.mkdir()
    try:
        for number, change in enumerate(planned):
            _stage(root, stage / str(number), change)
        _put(stage / NOTE, data)
    except BaseException:
        shutil.rmtree(stage)
        raise
    with _undisturbed():
        for number, change in enumerate(planned):
            _move(root, stage / str(number), change)
        os.replace(stage / NOTE, root / last)
        stage.rmdir()


def _stage(root: Path, place: Path, change: Change) -> None:
    path = inside(root, change.path)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    parent = path.parent
    while not parent.exists():
        parent = parent.parent
    if not os.access(parent, os.W_OK | os.X_OK, effective_ids=True):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    if change.new is not None:
        _put(place, change.new)


def _put(place: Path, data: bytes) -> None:
    place.write_bytes(data)
    place.chmod(0o755 if data.startswith(b"#!") else 0o644)


def _move(root: Path, place: Path, change: Change) -> None:
    path = inside(root, change.path)
    if change.new is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.replace(place, path)
    else:
        path.unlink(missing_ok=True)
        prune(path.parent, root)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Signals that would end the process come a little later.

    A mask would not do: it is of one thread, and a signal takes any thread that does not block it.
    Handlers belong to the main thread, so that is where they are held; elsewhere none arrives.
    """
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, lambda it, _frame: came.append(it)) for number in _ENDS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if came:
            signal.raise_signal(came[0])
