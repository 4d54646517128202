"""The namespace and the identity of the service's pods.

Pods never talk to the API server, so no token is mounted. The namespace accepts only pods of the
Pod Security Standard *restricted*, and says so to people who try others before they are refused.
"""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.artifacts import names, versions
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.kubernetes.objects import BASE, WAVE, clustered, named, namespaced
from holdfast.spec.model import Service

_KEYS = ("service", "kubernetes.namespace")


def render(service: Service) -> Iterable[Artifact]:
    yield Artifact(
        f"{BASE}/namespace.yaml",
        namespace(service),
        "The namespace of the service and its data services; restricted pods only.",
        (*_KEYS, "kubernetes.mesh"),
        ("T56",),
    )
    yield Artifact(
        f"{BASE}/serviceaccount.yaml",
        account(service),
        "Who the pods are: an identity without a token.",
        _KEYS,
        ("T59",),
    )


def namespace(service: Service) -> Object:
    found = clustered(service, "v1/Namespace", names.namespace(service))
    found["metadata"]["labels"] |= _pod_security() | _mesh(service)
    found["metadata"]["annotations"] = {WAVE: "-3"}
    return found


def account(service: Service) -> Object:
    found = namespaced(service, "v1/ServiceAccount", named(service))
    return {**found, "automountServiceAccountToken": False}


def _pod_security() -> dict[str, str]:
    prefix = "pod-security.kubernetes.io"
    found = {}
    for mode in ("enforce", "audit", "warn"):
        found[f"{prefix}/{mode}"] = "restricted"
        found[f"{prefix}/{mode}-version"] = versions.KUBERNETES
    return found


def _mesh(service: Service) -> dict[str, str]:
    return {"istio-injection": "enabled"} if service.kubernetes.mesh == "istio" else {}
