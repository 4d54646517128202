"""Namespaces of the platform's keepers: only pods of the Pod Security Standard fit into them."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.resilience.objects import PLATFORM, VELERO, shared
from holdfast.spec.model import Service

_ENFORCE = "pod-security.kubernetes.io/enforce"
_SPACES = ("cert-manager", "external-secrets", "trivy-system", "vault", VELERO)


def render(service: Service) -> Iterator[Artifact]:
    yield Artifact(
        f"{PLATFORM}/namespaces.yaml", [_space(name) for name in _SPACES],
        "Where certificates, secrets, scans and backups are kept.", (),
        ("T8", "T121", "T138", "T139"),
    )  # fmt: skip


def _space(name: str) -> Object:
    found = shared("v1/Namespace", name, "", {})
    found["metadata"]["labels"][_ENFORCE] = "restricted"
    return found
