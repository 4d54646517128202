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


@dataclass(frozen=True, slots=True)
class Action:
    """A GitHub action at one commit; the tag is what people read."""

    repository: str  # owner/name, with a path where there are several actions
    tag: str
    commit: str

    @property
    def reference(self) -> str:
        """What ``uses`` says."""
        return f"{self.repository}@{self.commit}"


#: The release whose API the rendered objects speak (kubernetes/api v0.36.3).
KUBERNETES = "v1.36"

#: The patch release that nodes are made with (kubernetes/kubernetes, tag v1.36.2).
KUBERNETES_PATCH = "v1.36.2"

#: What EKS offers by now: it follows Kubernetes by some months. Its images of nodes of this release
#: were seen for it (awslabs/amazon-eks-ami, tag v20260930; SSM's public parameters of 1.35).
EKS = "1.35"
EKS_NODES = "v20260930"

#: Istio's control plane and proxies (istio/istio, tag 1.30.3).
ISTIO = "1.30.3"

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
#: The release of Velero 1.18; the digest was read beside the tag in public values and their tests.
VELERO_AWS = Image(
    "docker.io/velero/velero-plugin-for-aws",
    "v1.14.2",
    "sha256:0751144c1c8e52d52c48717fbd13ad5a3061e612ae4d7ad744a946cd5b139d1a",
)
#: Objects of the cluster as metrics (kubernetes/kube-state-metrics v2.17.0).
KUBE_STATE_METRICS = Image("registry.k8s.io/kube-state-metrics/kube-state-metrics", "v2.17.0")
#: The build that the Fluent operator runs (fluent/fluent-operator, cmd/fluent-watcher).
FLUENT_BIT = Image("ghcr.io/fluent/fluent-operator/fluent-bit", "v4.2.0")
#: Has the shell and the curl that set it up (elastic/elasticsearch v9.2.0).
ELASTICSEARCH = Image("docker.elastic.co/elasticsearch/elasticsearch", "9.2.0")

UNPINNED: tuple[Image, ...] = (KUBE_STATE_METRICS, FLUENT_BIT, ELASTICSEARCH)

# Tools of the pipelines. Digests and commits were read in public repositories that pin the same
# version.

#: Many lock files and scripts of 2026 pin this digest beside this tag.
SEMGREP = Image(
    "semgrep/semgrep",
    "1.178.0",
    "sha256:32e459968daabe7ab86968184a29109b9564aa00392401156f9788452b42786b",
)
ZAP = Image(
    "ghcr.io/zaproxy/zaproxy",
    "2.17.0",
    "sha256:781a2bdaea47324e7bab583e2263f21d257b0aee61ed51521a5be45f5f5081ef",
)
TRIVY = "0.74.0"  # aquasecurity/trivy
COSIGN_USED = "3.1.2"  # sigstore/cosign, tag v3.1.2; at least COSIGN
GIT_CLIFF = "2.14.2"

#: Workflows of kyverno/kyverno, argoproj/argo-cd, goharbor/harbor and zizmorcore/zizmor in August
#: 2026; ``attest`` of zizmorcore/zizmor, ``setup-python`` of kyverno/kyverno, ``harden-runner`` of
#: argoproj/argo-cd, ``setup-trivy`` as trivy-action 0.36.0 pins it.
CHECKOUT = Action("actions/checkout", "v7.0.1", "3d3c42e5aac5ba805825da76410c181273ba90b1")
UPLOAD = Action("actions/upload-artifact", "v7.0.1", "043fb46d1a93c77aae656e7c1c64a875d1fc6a0a")
DOWNLOAD = Action("actions/download-artifact", "v8.0.1", "3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c")
SETUP_PYTHON = Action("actions/setup-python", "v7.0.0", "5fda3b95a4ea91299a34e894583c3862153e4b97")
APP_TOKEN = Action(
    "actions/create-github-app-token", "v3.2.0", "bcd2ba49218906704ab6c1aa796996da409d3eb1"
)
ATTEST = Action("actions/attest", "v4.2.2", "1e69f48acb82d1966a394da916b4c1698aa569d6")
HARDEN = Action(
    "step-security/harden-runner", "v2.21.0", "05e31511f85b41b11d1cf0ef85d0992719546e2c"
)
BUILDX = Action("docker/setup-buildx-action", "v4.3.0", "37fe631027851001ddb9b187196cc803df7f5f0e")
LOGIN = Action("docker/login-action", "v4.6.0", "dbcb813823bdd20940b903addbd779551569679f")
COSIGN_INSTALLER = Action(
    "sigstore/cosign-installer", "v4.1.2", "6f9f17788090df1f26f669e9d70d6ae9567deba6"
)
SETUP_TRIVY = Action(
    "aquasecurity/setup-trivy", "v0.2.6", "3fb12ec12f41e471780db15c232d5dd185dcb514"
)
_CODEQL = ("v4.37.7", "ff2f1c621b7f889edc0d3c761ac2e6a3f8cdb0dd")
CODEQL_INIT = Action("github/codeql-action/init", *_CODEQL)
CODEQL_ANALYZE = Action("github/codeql-action/analyze", *_CODEQL)
CODEQL_UPLOAD = Action("github/codeql-action/upload-sarif", *_CODEQL)
ACTIONS = (
    CHECKOUT, UPLOAD, DOWNLOAD, SETUP_PYTHON, APP_TOKEN, ATTEST, HARDEN, BUILDX, LOGIN,
    COSIGN_INSTALLER, SETUP_TRIVY, CODEQL_INIT, CODEQL_ANALYZE, CODEQL_UPLOAD,
)  # fmt: skip
