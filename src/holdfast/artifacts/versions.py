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

# Images that containers are built from and in. Each digest was read in several public repositories
# that pin the same tag (Dockerfiles of builds in use, July to November 2026).

#: Frontend of BuildKit; buildah has its own and ignores it.
DOCKERFILE = Image(
    "docker.io/docker/dockerfile",
    "1.24",
    "sha256:87999aa3d42bdc6bea60565083ee17e86d1f3339802f543c0d03998580f9cb89",
)
#: Certificates, time zones, a user; no C library, no shell.
DISTROLESS_STATIC = Image(
    "gcr.io/distroless/static-debian13",
    "nonroot",
    "sha256:e2e927ec666bae08560abb3c55d0659eceabb657f56b6782ab500a9fc7f555e3",
)
#: The C library and libgcc besides.
DISTROLESS_CC = Image(
    "gcr.io/distroless/cc-debian13",
    "nonroot",
    "sha256:54df941ed0d06a1bd95ef5e0ce391fd8d9f94b64782dc9a60062727849ee3f97",
)
DISTROLESS_PYTHON = Image(
    "gcr.io/distroless/python3-debian13",
    "nonroot",
    "sha256:0e52dfee02b1aba142e77b004f6ea11210b79456b51f10d70e9bd631cbc21d98",
)
DISTROLESS_NODE = Image(
    "gcr.io/distroless/nodejs24-debian13",
    "nonroot",
    "sha256:fbbdda866ea71aef98c4abece17e3d61fbf820cc2ef3961522caa2478716171a",
)
#: The distribution that distroless is made of: its Python is the same build.
DEBIAN = Image(
    "docker.io/library/debian",
    "trixie-slim",
    "sha256:d7e12182ce18b85b93007c1dedf31f2d29e01ccf3182cc4017c709b6259bc132",
)
RUST = Image(
    "docker.io/library/rust",
    "1.97.0-trixie",
    "sha256:b92b8c8574f8f3b207fcb0912fb3e2de4041580b5934d90312d53938c9a038a9",
)
GO = Image(
    "docker.io/library/golang",
    "1.26.5-trixie",
    "sha256:117e07f49461abb984fc8aef661432461ff43d06faa22c3b73af6a49ce325cb9",
)
NODE = Image(
    "docker.io/library/node",
    "24.21.0-trixie-slim",
    "sha256:8ec5d7557396cfe32d21c3f9c13072355ceab22b584578ca4bb28af31120cffe",
)

#: Packages inside the builders, by exact version (crates.io and the Python package index).
CARGO_CHEF = "0.1.77"
CARGO_ZIGBUILD = "0.24.1"
ZIG = "0.17.1"
#: The first release whose signatures are bundles in the registry by default (sigstore/cosign).
COSIGN = "3.0.4"

#: The release of Argo CD whose objects are rendered (argoproj/argo-cd, tag v3.5.1), its image's
#: digest read in three public repositories that pin the same tag.
ARGO_CD_COMMIT = "109ca7ca71139e514114499d294a492e7910a965"
ARGO_CD = Image(
    "quay.io/argoproj/argocd",
    "v3.5.1",
    "sha256:0deb1a1c917629b960ead995ae3b6069450a866992676599658687ef9a641ee8",
)
#: Objects of the cluster as metrics (kubernetes/kube-state-metrics v2.17.0).
KUBE_STATE_METRICS = Image("registry.k8s.io/kube-state-metrics/kube-state-metrics", "v2.17.0")
#: The build that the Fluent operator runs (fluent/fluent-operator, cmd/fluent-watcher).
FLUENT_BIT = Image("ghcr.io/fluent/fluent-operator/fluent-bit", "v4.2.0")
#: Has the shell and the curl that set it up (elastic/elasticsearch v9.2.0).
ELASTICSEARCH = Image("docker.elastic.co/elasticsearch/elasticsearch", "9.2.0")

UNPINNED: tuple[Image, ...] = (KUBE_STATE_METRICS, FLUENT_BIT, ELASTICSEARCH)
