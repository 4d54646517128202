"""Drives whoever builds images here: buildah, or docker with BuildKit. Both give an OCI layout."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

#: Looked for in this order: buildah needs no daemon.
BUILDERS = ("buildah", "docker")
_TAIL = 20


class CannotBuild(Exception):
    """No builder, or it failed; ``tail`` are its last lines."""

    def __init__(self, says: str, hint: str = "", tail: Sequence[str] = ()) -> None:
        super().__init__(says)
        self.says, self.hint, self.tail = says, hint, tuple(tail)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is built, and where the result goes."""

    dockerfile: Path
    context: Path
    target: str
    platforms: tuple[str, ...]
    output: Path
    name: str  # of the image in the builder's own store
    arguments: Mapping[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()  # of the builder itself


def installed(only: str | None = None) -> str:
    """The builder to use. Raises ``CannotBuild``."""
    for name in (only,) if only else BUILDERS:
        if shutil.which(name) and (name != "docker" or _has_buildx()):
            return name
    said = only or "neither buildah nor docker with buildx"
    says = f"{said} is {'not ' if only else ''}installed"
    raise CannotBuild(says, "apt-get install buildah")


def _has_buildx() -> bool:
    asked = subprocess.run(["docker", "buildx", "version"], capture_output=True, check=False)
    return asked.returncode == 0


def commands(builder: str, wanted: Wanted) -> list[list[str]]:
    """The calls that leave an OCI layout, layers compressed with zstd, in ``wanted.output``."""
    return _buildah(wanted) if builder == "buildah" else _buildx(wanted)


def _buildah(wanted: Wanted) -> list[list[str]]:
    isolation = ["--isolation", "chroot"] if os.geteuid() == 0 else []
    several = len(wanted.platforms) > 1
    store = ["--manifest" if several else "--tag", wanted.name]
    build = [
        "buildah", "build", *isolation, "--layers", "--format", "oci", "--pull=false",
        "--file", str(wanted.dockerfile), "--ignorefile", f"{wanted.dockerfile}.dockerignore",
        "--target", wanted.target, "--platform", ",".join(wanted.platforms),
        *_arguments(wanted), *store, *wanted.options, str(wanted.context),
    ]  # fmt: skip
    to = f"oci:{wanted.output}"
    if several:
        return [build, ["buildah", "manifest", "push", "--all", wanted.name, to]]
    return [build, ["buildah", "push", "--compression-format", "zstd", wanted.name, to]]


def _buildx(wanted: Wanted) -> list[list[str]]:
    to = (
        f"type=oci,tar=false,dest={wanted.output},compression=zstd,force-compression=true,"
        "oci-mediatypes=true"
    )
    return [[
        "docker", "buildx", "build", "--progress", "plain", "--file", str(wanted.dockerfile),
        "--target", wanted.target, "--platform", ",".join(wanted.platforms),
        *_arguments(wanted), "--provenance", "mode=max", "--output", to, *wanted.options,
        str(wanted.context),
    ]]  # fmt: skip


def _arguments(wanted: Wanted) -> list[str]:
    return [
        word
        for name, value in wanted.arguments.items()
        for word in ("--build-arg", f"{name}={value}")
    ]


def build(builder: str, wanted: Wanted, told: Callable[[str], None]) -> None:
    """Build; ``told`` hears every line. Raises ``CannotBuild`` and ``OSError``.

    An image from an earlier build is replaced only by a whole new one.
    """
    output = wanted.output
    fresh = output.with_name(f".{output.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.parent.mkdir(parents=True, exist_ok=True)
    for call in commands(builder, replace(wanted, output=fresh)):
        _run(call, told)
    if not (fresh / "index.json").is_file():
        raise CannotBuild(f"{builder} left no image in {output}")
    shutil.rmtree(output, ignore_errors=True)
    fresh.rename(output)


def _run(call: Sequence[str], told: Callable[[str], None]) -> None:
    tail: list[str] = []
    with subprocess.Popen(
        call, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as running:
        assert running.stdout is not None
        for line in running.stdout:
            told(line.rstrip())
            tail = [*tail, line.rstrip()][-_TAIL:]
    if running.returncode:
        says = f"{call[0]} {call[1]} ended with {running.returncode}"
        raise CannotBuild(says, "read its lines above", tail)


def revision(context: Path) -> tuple[str, str]:
    """The commit of a git work tree and its date; empty where there is none."""
    asked = ["git", "-C", str(context), "log", "-1", "--format=%H %cI"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
    except OSError:
        return "", ""
    commit, _, date = done.stdout.strip().partition(" ")
    return (commit, date) if done.returncode == 0 else ("", "")
