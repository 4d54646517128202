"""Third-party programs by exact version: one constant each, with where it was seen.

An image is pinned by its digest where the digest is published in a public place that was looked
at; one without a digest is *unpinned*, and ``holdfast check`` says so.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Image:
    """A third-party container image."""

    repository: str
    tag: str
    digest: str = ""  # sha256:..., of the index over all platforms

    @property
    def reference(self) -> str:
        """What a container runtime is told: name, tag and, where known, digest."""
        pinned = f"@{self.digest}" if self.digest else ""
        return f"{self.repository}:{self.tag}{pinned}"


#: The release whose API the rendered objects speak (kubernetes/api v0.36.3).
KUBERNETES = "v1.36"

#: Holds a place and does nothing (kubernetes/kubernetes, build/pause; many public lock files).
PAUSE = Image(
    "registry.k8s.io/pause",
    "3.10.1",
    "sha256:278fb9dbcca9518083ad1e11276933a2e96f23de604a3a08cc3c80002767d24c",
)

UNPINNED: tuple[Image, ...] = ()
