"""A few megabytes set aside, so that taking a rollout back can still be written on a full disk.

SQLite needs *file system* space for its log, so free pages inside the database would not help:
the reserve is a file of real blocks that is given back to the file system when it is needed. It
is given back slice by slice, each used at once, because whoever filled the disk is still writing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

RESERVE_BYTES = 2 * 2**20
SLICE_BYTES = 64 * 2**10  # a commit takes about 50 KiB of log


@dataclass(frozen=True, slots=True)
class Reserve:
    path: Path
    size: int = RESERVE_BYTES

    @property
    def left(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def whole(self) -> bool:
        return self.left == self.size

    def make(self) -> bool:
        """Set the space aside; False when the device has not that much left."""
        if self.whole:
            return True
        before = self.left
        try:
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600)
        except OSError:
            return False
        try:
            os.posix_fallocate(handle, 0, self.size)
            os.ftruncate(handle, self.size)
        except OSError:
            os.ftruncate(handle, before)
            return False
        finally:
            os.close(handle)
        return True

    def release(self) -> bool:
        """Give a slice back; False when there is none left."""
        left = self.left
        if left > 0:
            os.truncate(self.path, max(0, left - SLICE_BYTES))
        return left > 0
