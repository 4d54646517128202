"""May this release start on this machine? Checked before anything moves."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import tempfile
from pathlib import Path

import psutil

from holdfast.rollout.model import Failure
from holdfast.spec.model import Traffic
from holdfast.targets.base import Bundle, Refused
from holdfast.targets.local import envoy, launch
from holdfast.targets.local.envoy_config import Places
from holdfast.targets.local.kept import Kept

DISK_MIN = 16 * 1024 * 1024
_SOCKET_PATH_MAX = 100  # the kernel allows 107 bytes


def check_machine(bundle: Bundle, base: Path, root: Path, current: Traffic | None) -> None:
    """Raises ``Refused`` with the first reason why the release can never start here."""
    envoy.find_binary()
    start = Kept(root).directory(bundle, launch.directory(bundle.service.run, base))
    why = start if isinstance(start, Failure) else launch.check(bundle, base, start)
    if why is not None:
        raise _refused(why)
    if (free := shutil.disk_usage(root).free) < DISK_MIN:
        raise Refused("disk-full", f"only {free} bytes are free in {root}")
    traffic = bundle.service.traffic
    if current and (current.address, current.port) == (traffic.address, traffic.port):
        return  # ours already
    if (error := launch.bindable(traffic.address, traffic.port)) is not None:
        raise Refused("port-taken", port_words(traffic, error))


def _refused(why: Failure) -> Refused:
    return Refused(why.code, why.detail)


def port_words(traffic: Traffic, error: OSError) -> str:
    where = f"{traffic.address}:{traffic.port}"
    if error.errno == errno.EADDRINUSE:
        return f"{where} is already taken{_by_whom(traffic.port)}"
    return f"{where} cannot be listened on: {error.strerror}"


def _by_whom(port: int) -> str:
    """The other program, where we may know."""
    try:
        for found in psutil.net_connections("tcp"):
            if found.status == psutil.CONN_LISTEN and tuple(found.laddr)[1:] == (port,):
                return f" by {psutil.Process(found.pid).name()} (pid {found.pid})"
    except (psutil.Error, OSError):
        return ""
    return ""


def places_of(root: Path) -> Places:
    """Where Envoy's files are. Its socket moves to a short path when the own one is too long."""
    directory = root / "envoy"
    admin = directory / "admin.sock"
    if len(os.fsencode(admin)) > _SOCKET_PATH_MAX:
        digest = hashlib.sha256(os.fsencode(root)).hexdigest()[:16]
        short = Path(tempfile.gettempdir()) / f"holdfast-{os.getuid()}"
        short.mkdir(mode=0o700, exist_ok=True)
        seen = short.lstat()
        if seen.st_uid != os.getuid() or not stat.S_ISDIR(seen.st_mode) or seen.st_mode & 0o077:
            raise Refused("admission-denied", f"{short} is not a private directory of ours")
        admin = short / f"{digest}.sock"
    return Places(str(directory), str(admin), str(root / "logs" / "access.log"))
