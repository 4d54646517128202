"""``image``: the container image."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from holdfast.spec.kinds import Count, Duration, Size, Text
from holdfast.spec.section import Section


class Image(Section):
    """The container image: how it is built, named and kept small."""

    _short: ClassVar[str | None] = "repository"
    repository: Text | None = Field(
        default=None,
        description="registry and name; empty: registry.example.com/ and the service's name",
    )
    digest: Text | None = Field(
        default=None,
        description="sha256:... of what was built; empty: the delivery pipeline pins it",
    )
    language: Literal["auto", "rust", "python", "node", "go", "generic"] = Field(
        default="auto", description="how it is built; auto: told by the first word of run.command"
    )
    linkage: Literal["static", "dynamic"] = Field(
        default="static", description="of a compiled program: chooses the base image"
    )
    base: Text | None = Field(
        default=None, description="base image with its digest; empty: distroless by language"
    )
    platforms: tuple[Literal["linux/amd64", "linux/arm64"], ...] = Field(
        default=("linux/amd64", "linux/arm64"), description="what it is built for"
    )
    budget: Size | None = Field(
        default=None,
        description="a larger image fails the build; empty: 50MB, or for Python 120MB and for Node "
        "200MB, whose interpreters alone take more",
    )
    severity: Literal["critical", "high", "medium", "low"] = Field(
        default="high", description="a known vulnerability this bad fails the scan"
    )
    keep: Count = Field(default=30, ge=1, le=10_000, description="newest versions that stay")
    keep_for: Duration = Field(
        default=90 * 86400.0, description="younger versions stay too; then they may be deleted"
    )
    mirrors: dict[str, Text] = Field(
        default_factory=dict,
        description="region -> registry there, from which its nodes pull; a region without one "
        "pulls from the primary registry, and copies go to the region's name before that",
    )
    signer: Text = Field(
        default="",
        description="whose signature it needs to start: a public key (PEM) or a KMS address; "
        "empty: the identity of the repository's workflows",
    )
    user: Count = Field(default=65532, ge=1, le=2**31 - 1, description="uid and gid, never root")
    tmpfs: dict[str, Size] = Field(
        default_factory=lambda: {"/tmp": 67_108_864},
        description="writable directories in memory; all else is read-only",
    )
