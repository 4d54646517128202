"""Argo CD itself: one for all regions, installed from one commit of its repository.

It lives in one cluster and reaches the others by cluster Secrets, whose names are those of the
regions. When it is away the service runs on; only changes wait.
"""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.delivery import notifications
from holdfast.artifacts.delivery.objects import ARGOCD, FOLDER, owned, shared
from holdfast.artifacts.versions import ARGO_CD, ARGO_CD_COMMIT
from holdfast.spec.model import Service

_MANIFESTS = f"https://raw.githubusercontent.com/argoproj/argo-cd/{ARGO_CD_COMMIT}/manifests/ha"
_RESTRICTED = "pod-security.kubernetes.io/enforce"
#: Files that change an object of the install.
_PATCHES = ("argocd-cm", "argocd-cmd-params-cm", "argocd-rbac-cm", "argocd-notifications-cm")
_OWN = ("namespace.yaml", "projects.yaml", "applicationsets.yaml")
_KEYS = ("delivery.platform",)


def render(service: Service) -> Iterable[Artifact]:
    about = "Argo CD and what it is told to do." if service.delivery.platform else "What it syncs."
    yield _file("namespace.yaml", _namespace(), "Where Argo CD lives.", ())
    yield _file("kustomization.yaml", _kustomization(service), about)
    if service.delivery.platform:
        yield from _install(service)


def _install(service: Service) -> Iterable[Artifact]:
    """Argo CD is there once, whichever service brings it."""
    yield _file("argocd-cm.yaml", _settings(), "Nobody without a name; no shell into pods.")
    yield _file("argocd-cmd-params-cm.yaml", _parameters(), "Waves are an option to turn on.")
    yield _file("argocd-rbac-cm.yaml", _access(), "No rights but those a project grants.")
    yield Artifact(
        f"{FOLDER}/secrets.yaml",
        _secret(service),
        "Where notifications go; the addresses come from Vault.",
        ("service", *_KEYS),
        ("T61", "T64"),
    )


def _file(name: str, body: Object, about: str, keys: tuple[str, ...] = _KEYS) -> Artifact:
    return Artifact(f"{FOLDER}/{name}", body, about, keys, ("T61",))


def _namespace() -> Object:
    found = shared("v1/Namespace", ARGOCD, "")
    found["metadata"]["labels"][_RESTRICTED] = "restricted"
    return found


def _kustomization(service: Service) -> Object:
    found: Object = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": ARGOCD,
        "resources": list(_OWN),
    }
    return found | _with_install() if service.delivery.platform else found


def _with_install() -> Object:
    return {
        "resources": [f"{_MANIFESTS}/install.yaml", *_OWN, "operators.yaml", "secrets.yaml"],
        "patches": [{"path": f"{name}.yaml"} for name in _PATCHES],
        "images": [{"name": ARGO_CD.repository, "newTag": ARGO_CD.tag, "digest": ARGO_CD.digest}],
    }


def _settings() -> Object:
    return _config(
        "argocd-cm",
        {
            "admin.enabled": "false",  # people come by single sign-on
            "users.anonymous.enabled": "false",
            "exec.enabled": "false",
            "statusbadge.enabled": "false",
            "application.resourceTrackingMethod": "annotation",
            "timeout.reconciliation": "120s",
            "timeout.reconciliation.jitter": "60s",
        },
    )


def _parameters() -> Object:
    return _config(
        "argocd-cmd-params-cm",
        {
            "applicationsetcontroller.enable.progressive.syncs": "true",
            "controller.diff.server.side": "true",
            "reposerver.enable.git.submodule": "false",
            "server.insecure": "false",
        },
    )


def _access() -> Object:
    """Rights are granted by the roles of projects, to groups, and nowhere else."""
    data = {"policy.default": "", "policy.csv": "", "scopes": "[groups]"}
    return _config("argocd-rbac-cm", data)


def _config(name: str, data: dict[str, str]) -> Object:
    return shared("v1/ConfigMap", name, data=data)


def _secret(service: Service) -> Object:
    """Argo CD's install brings the Secret empty; the values are merged into it."""
    key = f"monitoring/{service.service}-alerting"
    data = [
        {"secretKey": each, "remoteRef": {"key": key, "property": each}}
        for each in (notifications.PAGERDUTY, notifications.SLACK)
    ]
    name = "argocd-notifications-secret"
    spec = {
        "refreshInterval": "1h",
        "secretStoreRef": {"kind": "ClusterSecretStore", "name": "vault"},
        "target": {"name": name, "creationPolicy": "Merge"},
        "data": data,
    }
    return owned(service, "external-secrets.io/v1/ExternalSecret", name, ARGOCD, spec=spec)
