"""What a built image promised: its size, its user, no shell. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from holdfast.supply.images.contents import Contents, Layer

#: So many layers are named when an image is too large.
NAMED = 3


@dataclass(frozen=True, slots=True)
class Broken:
    """A promise that the image does not keep. ``code`` is for programs."""

    code: str
    platform: str
    says: str


def broken(found: Contents, budget: int, user: int) -> Iterator[Broken]:
    """``budget``: bytes unpacked, what a node stores and the larger of the two sizes."""
    if found.unpacked > budget:
        named = "; ".join(_said(layer) for layer in largest(found.layers))
        says = f"{megabytes(found.unpacked)} are more than the budget of {megabytes(budget)}"
        yield Broken("over-budget", found.platform, f"{says}; largest layers: {named}")
    if not _runs_as(found.user, user):
        said = found.user or "root, because the image names nobody"
        yield Broken("user", found.platform, f"it runs as {said}; wanted {user}:{user}")
    if found.shells:
        yield Broken("shell", found.platform, f"it has a shell: {', '.join(found.shells)}")


def largest(layers: Sequence[Layer]) -> list[Layer]:
    return sorted(layers, key=lambda layer: -layer.unpacked)[:NAMED]


def megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _said(layer: Layer) -> str:
    made = " ".join(layer.made_by.replace("#(nop)", "").split()).removeprefix("/bin/sh -c ")
    step = made if len(made) <= 60 else made[:59] + "…"
    return f"{megabytes(layer.unpacked)} {step or 'of the base image'}"


def _runs_as(found: str, user: int) -> bool:
    uid, _, gid = found.partition(":")
    return uid == str(user) and gid in ("", str(user))
