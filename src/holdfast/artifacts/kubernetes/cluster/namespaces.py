"""Namespaces that a cluster needs before anything is installed in it."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.kubernetes.mesh import install
from holdfast.artifacts.kubernetes.objects import CLUSTER, named, space
from holdfast.spec.model import Service


def render(service: Service) -> Iterable[Artifact]:
    yield Artifact(
        f"{CLUSTER}/namespaces.yaml",
        list(_spaces(service)),
        "Where clusters are described, and where the mesh is run.",
        ("service", "kubernetes.mesh", "kubernetes.ingress"),
        ("T31", "T41"),
    )


def clusters(service: Service) -> str:
    """Where Cluster API looks after the service's clusters, in the cluster that manages them."""
    return named(service, "clusters")


def _spaces(service: Service) -> Iterable[Object]:
    yield space(clusters(service), "restricted")
    if install.wanted(service):
        yield space(install.SYSTEM, "privileged")  # its CNI plugin changes the network of nodes
