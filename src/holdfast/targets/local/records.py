"""Small files by which the next supervisor finds what this one left running."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from holdfast.rollout.model import Release, ReleaseId
from holdfast.runtime.codec import Undecodable, decode, encode
from holdfast.spec.model import Service
from holdfast.targets.base import Bundle
from holdfast.targets.local.process import Identity

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Instance:
    """One running instance."""

    identity: Identity
    release: ReleaseId
    replica: str
    index: int
    port: int
    log_from: int = 0  # where its output begins in its log file
    admitted: bool = False
    leaving: bool = False  # retired: it finishes its work and ends


@dataclass(frozen=True, slots=True)
class Standing:
    """What the target was last told."""

    generation: int = 0
    sizes: dict[str, int] = field(default_factory=dict)
    weights: tuple[tuple[str, int], ...] = ()


def write(path: Path, text: str) -> None:
    """All or nothing: written beside and renamed into place."""
    beside = path.with_name(path.name + ".new")
    with open(beside, "w", opener=_private) as file:
        file.write(text)
    os.replace(beside, path)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def save(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write(path, json.dumps(encode(value)))


def load(path: Path, kind: type[T]) -> T | None:
    """None when the file is not there or damaged: then what it told of is simply not known."""
    try:
        found: T = decode(kind, json.loads(path.read_text()))
        return found
    except (OSError, ValueError, Undecodable):
        return None


def save_identity(path: Path, identity: Identity) -> None:
    save(path, identity)


def load_identity(path: Path) -> Identity | None:
    return load(path, Identity)


def save_bundle(path: Path, bundle: Bundle) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    service = bundle.service.model_dump(mode="json")
    body = {"release": encode(bundle.release), "service": service, "base_dir": bundle.base_dir}
    write(path, json.dumps(body))


def load_bundle(path: Path) -> Bundle | None:
    try:
        value = json.loads(path.read_text())
        release = decode(Release, value["release"])
        service = Service.model_validate(value["service"])
        return Bundle(release, service, value.get("base_dir", "."))
    except (OSError, ValueError, KeyError):
        return None
