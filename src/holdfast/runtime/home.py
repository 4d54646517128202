"""The state directory: where one conductor keeps its socket, lock, ledger, keys and services.

``$HOLDFAST_HOME``, or ``.holdfast`` beside the nearest ``holdfast.yaml``::

    conductor.sock   conductor.pid   conductor.lock   conductor.log
    ledger.db        keys/           state.db         tokens.json (0600)
    postgres.url (0600: history and leases are there, not in ledger.db and state.db)
    services/<name>/{envoy,logs,releases}

Whoever can write here can start programs as its owner. So every directory is 0700, and a home
that another user owns or that others may write to is refused instead of repaired.
"""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

SPEC_NAME = "holdfast.yaml"
#: What a spec file may be called; where both are, the first is meant.
SPEC_NAMES = (SPEC_NAME, "holdfast.yml")
HOME_NAME = ".holdfast"
HOME_VARIABLE = "HOLDFAST_HOME"
POSTGRES_NAME = "postgres.url"
POSTGRES_VARIABLE = "HOLDFAST_POSTGRES"
KEYS_VARIABLE = "HOLDFAST_KEYS"


class UnsafeHome(Exception):
    """The state directory cannot be trusted. ``hint`` says what to do about it."""

    def __init__(self, path: Path, detail: str, hint: str) -> None:
        super().__init__(f"{path}: {detail} ({hint})")
        self.path, self.detail, self.hint = path, detail, hint


@dataclass(frozen=True, slots=True)
class Home:
    """The paths below one state directory. Making one of these touches nothing."""

    path: Path

    @property
    def socket(self) -> Path:
        return self.path / "conductor.sock"

    @property
    def pid_file(self) -> Path:
        return self.path / "conductor.pid"

    @property
    def lock_file(self) -> Path:
        return self.path / "conductor.lock"

    @property
    def log_file(self) -> Path:
        return self.path / "conductor.log"

    @property
    def ledger(self) -> Path:
        return self.path / "ledger.db"

    @property
    def keys(self) -> Path:
        return self.path / "keys"

    @property
    def state(self) -> Path:
        """Leases and generations."""
        return self.path / "state.db"

    @property
    def postgres(self) -> Path:
        """The URL of the database that is used in place of files."""
        return self.path / POSTGRES_NAME

    @property
    def tokens(self) -> Path:
        return self.path / "tokens.json"

    @property
    def services(self) -> Path:
        return self.path / "services"

    def service(self, name: str) -> Path:
        assert name and "/" not in name and name not in (".", ".."), name
        return self.services / name

    def logs(self, service: str) -> Path:
        return self.service(service) / "logs"

    def exists(self) -> bool:
        return self.path.is_dir()

    def ensure(self) -> Home:
        """The same home, existing, private and checked. Raises ``UnsafeHome``."""
        self._refuse_a_foreign_directory()
        for directory in (self.path, self.keys, self.services):
            make_private(directory)
        return self

    def _refuse_a_foreign_directory(self) -> None:
        """Somebody's directory full of other things is not turned into a home."""
        known = (self.keys, self.services, self.ledger, self.socket, self.postgres)
        ours = {path.name for path in known}
        with contextlib.suppress(OSError):  # missing, or said better by the checks that follow
            names = set(os.listdir(self.path))
            if names and not names & ours:
                detail = f"holds other things, such as {sorted(names)[0]}"
                raise UnsafeHome(
                    self.path, detail, f"set {HOME_VARIABLE} to a directory of its own"
                )

    def adopt_environment(self) -> None:
        """Keep what the environment (never the command line) names, for every command.

        A mounted Secret is readable by a group; here its copy is readable by us alone. Raises
        ``UnsafeHome`` where there are no keys.
        """
        if url := os.environ.get(POSTGRES_VARIABLE):
            write_private(self.postgres, f"{url.strip()}\n".encode())
        if mounted := os.environ.get(KEYS_VARIABLE):
            self._adopt_keys(Path(mounted) / "log.pem")

    def _adopt_keys(self, mounted: Path) -> None:
        try:
            write_private(self.keys / "log.pem", mounted.read_bytes())
        except OSError as error:
            detail = f"cannot be read: {error.strerror}"
            raise UnsafeHome(mounted, detail, f"{KEYS_VARIABLE} names its directory") from error

    def ensure_service(self, name: str) -> Path:
        path = self.service(name)
        for directory in (path, path / "envoy", path / "logs", path / "releases"):
            make_private(directory)
        return path


def spec_in(directory: Path) -> Path | None:
    """The spec file of a directory, if it has one."""
    paths = (directory / name for name in SPEC_NAMES)
    return next((path for path in paths if path.is_file()), None)


def find_home(start: Path | None = None) -> Path:
    """``$HOLDFAST_HOME``; else ``.holdfast`` beside the nearest spec at or above ``start``.

    ``start`` is a directory or a spec file. Without any spec above it, ``start/.holdfast``.
    """
    if named := os.environ.get(HOME_VARIABLE):
        return Path(named).expanduser().absolute()
    begin = (start or Path.cwd()).absolute()
    if begin.is_file():
        begin = begin.parent
    for directory in (begin, *begin.parents):
        if spec_in(directory) or (directory / HOME_NAME).is_dir():
            return directory / HOME_NAME
    return begin / HOME_NAME


def make_private(directory: Path) -> None:
    """Create ``directory`` 0700 where it is missing, and check it where it is not."""
    try:
        directory.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        check_private(directory)
    except OSError as error:
        hint = f"set {HOME_VARIABLE} to a directory you can write to"
        raise UnsafeHome(directory, f"cannot be created: {error.strerror}", hint) from error


def check_private(directory: Path) -> None:
    """Refuse a directory that somebody else owns or may write to."""
    seen = directory.stat()
    if not stat.S_ISDIR(seen.st_mode):
        raise UnsafeHome(directory, "is not a directory", "move it away")
    if seen.st_uid != os.geteuid():
        detail = f"belongs to user {seen.st_uid}, you are {os.geteuid()}"
        raise UnsafeHome(directory, detail, f"set {HOME_VARIABLE} to a directory of your own")
    if seen.st_mode & 0o022:
        detail = f"others may write to it (mode {stat.S_IMODE(seen.st_mode):04o})"
        raise UnsafeHome(directory, detail, f"chmod 700 {directory}")


def read_private(path: Path) -> bytes:
    """The content of a secret file; refuses one that others may read."""
    with path.open("rb") as file:
        seen = os.fstat(file.fileno())
        if seen.st_uid != os.geteuid() or seen.st_mode & 0o077:
            detail = f"others may read it (mode {stat.S_IMODE(seen.st_mode):04o})"
            raise UnsafeHome(path, detail, f"chmod 600 {path}, and make new tokens")
        return file.read()


def write_private(path: Path, content: bytes) -> None:
    """Replace a 0600 file in one step: readers see the old content or the new, never half."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
