"""Who we are at a registry: the file of ``docker login``, which only its owner may read.

Source: docker/cli, config file ``auths``; a name and password in base64, or an identity token.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "HOLDFAST_REGISTRY_AUTH"


class UnsafeFile(Exception):
    """A file of passwords that others can read, or that cannot be understood."""


@dataclass(frozen=True, slots=True)
class Login:
    """Never printed: its text names nobody."""

    name: str
    password: str

    def __repr__(self) -> str:
        return "Login(...)"


def login(registry: str, path: Path | None = None) -> Login | None:
    """The login for a registry, None without one. Raises ``UnsafeFile`` and ``OSError``."""
    path = path or Path(os.environ.get(VARIABLE) or Path.home() / ".docker" / "config.json")
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    entry = _entry(path, registry)
    if entry is None:
        return None
    if stat.S_IMODE(mode) & 0o077:
        raise UnsafeFile(f"{path} can be read by others; run: chmod 600 {path}")
    try:
        name, _, password = base64.b64decode(entry, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, TypeError):
        raise UnsafeFile(f"{path}: the login of {registry} cannot be read") from None
    return Login(name, password)


def _entry(path: Path, registry: str) -> str | None:
    try:
        body = json.loads(path.read_bytes())
        entry = (body.get("auths") or {}).get(registry) or {}
        found = entry.get("auth")
    except (ValueError, AttributeError):
        raise UnsafeFile(f"{path} is no file of docker login") from None
    return found if isinstance(found, str) else None
