"""What the API server keeps, encrypts and lets in: audit policy, encryption, default standards.

Sources: kubernetes.io, Auditing, KMS provider, Pod Security Admission; CIS Kubernetes Benchmark,
sections 1.2 and 3.2.
"""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.artifacts import names, versions
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.kubernetes.objects import CLUSTER
from holdfast.spec.model import Service

FILES = ("audit-policy.yaml", "encryption.yaml", "admission.yaml")
SOCKET = "/var/run/kmsplugin"
_WRITES = ["create", "update", "patch", "delete", "deletecollection"]
#: Namespaces whose pods must touch their node; others of that kind carry labels of their own.
_EXEMPT = ["gpu-operator", "istio-system", "kube-system", "sriov-network-operator"]


def render(service: Service) -> Iterable[Artifact]:
    yield Artifact(
        f"{CLUSTER}/audit-policy.yaml",
        audit(service),
        "What the API server writes down: who changed what; never the content of a Secret.",
        ("service", "kubernetes.namespace"),
        ("T140",),
    )
    yield Artifact(
        f"{CLUSTER}/encryption.yaml",
        encryption(),
        "Secrets are stored encrypted, with a key that never leaves the key store. Every control "
        f"plane needs its KMS v2 plugin on {SOCKET}/socket.sock first: see the guide on rendering.",
        (),
        ("T31",),
    )
    yield Artifact(
        f"{CLUSTER}/admission.yaml",
        admission(),
        "Namespaces that say nothing take restricted pods only.",
        (),
        ("T31", "T56"),
    )


def files(service: Service) -> dict[str, Object]:
    """By the names under which the control plane reads them."""
    return dict(zip(FILES, (audit(service), encryption(), admission()), strict=True))


def audit(service: Service) -> Object:
    """The first rule that fits decides."""
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "omitManagedFields": True,
        "rules": [*_noise(), *_private(), *_rights(), *_inside(service), {"level": "Metadata"}],
    }


def _noise() -> Iterable[Object]:
    yield {"level": "None", "nonResourceURLs": ["/healthz*", "/livez*", "/readyz*", "/version"]}
    yield {"level": "None", "resources": [_of("", "events"), _of("events.k8s.io", "events")]}
    leases = [_of("coordination.k8s.io", "leases")]
    yield {"level": "None", "userGroups": ["system:nodes"], "resources": leases}
    watched = [_of("", "endpoints", "services"), _of("discovery.k8s.io", "endpointslices")]
    yield {
        "level": "None",
        "users": ["system:kube-proxy"],
        "verbs": ["get", "list", "watch"],
        "resources": watched,
    }


def _private() -> Iterable[Object]:
    """Who touched it is written down, what is in it is not."""
    yield {
        "level": "Metadata",
        "resources": [
            _of("", "secrets", "configmaps", "serviceaccounts/token"),
            _of("authentication.k8s.io", "tokenreviews"),
        ],
    }


def _rights() -> Iterable[Object]:
    """Changes of who may do what, whole."""
    groups = ("rbac.authorization.k8s.io", "admissionregistration.k8s.io", "policies.kyverno.io")
    changed = [{"group": group} for group in groups]
    yield {"level": "RequestResponse", "verbs": _WRITES, "resources": changed}
    doors = ("exec", "attach", "portforward", "proxy", "ephemeralcontainers", "eviction")
    yield {"level": "Request", "resources": [_of("", *(f"pods/{door}" for door in doors))]}


def _inside(service: Service) -> Iterable[Object]:
    """Every change in the service's namespace, whole: a rollout can be told from it."""
    yield {
        "level": "RequestResponse",
        "verbs": _WRITES,
        "namespaces": [names.namespace(service)],
        "resources": [_of("", "pods", "services"), {"group": "apps"}, {"group": "batch"},
                      {"group": "networking.k8s.io"}, {"group": "gateway.networking.k8s.io"},
                      {"group": "networking.istio.io"}],
    }  # fmt: skip


def _of(group: str, *resources: str) -> Object:
    return {"group": group, "resources": list(resources)}


def encryption() -> Object:
    """What was stored in the clear before stays readable until it is written again.

    The plugin is of the key store's maker and runs beside the API server, as a static pod or a unit
    of systemd, before it starts; there is no image of it that could be named here for all
    (kubernetes.io, Using a KMS provider).
    """
    kms = {
        "apiVersion": "v2",
        "name": "holdfast",
        "endpoint": f"unix://{SOCKET}/socket.sock",
        "timeout": "3s",
    }
    stored = {"resources": ["secrets"], "providers": [{"kms": kms}, {"identity": {}}]}
    return {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [stored],
    }


def admission() -> Object:
    modes = {mode: "restricted" for mode in ("enforce", "audit", "warn")}
    pinned = {f"{mode}-version": versions.KUBERNETES for mode in modes}
    standard = {
        "apiVersion": "pod-security.admission.config.k8s.io/v1",
        "kind": "PodSecurityConfiguration",
        "defaults": {**modes, **pinned},
        "exemptions": {"usernames": [], "runtimeClasses": [], "namespaces": _EXEMPT},
    }
    return {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AdmissionConfiguration",
        "plugins": [{"name": "PodSecurity", "configuration": standard}],
    }
