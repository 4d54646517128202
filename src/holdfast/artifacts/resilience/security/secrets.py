"""Secrets come from Vault and are nowhere else: stores that prove who asks, and what is asked for.

Each namespace has its own store and its own role in Vault, so the operator can read for a service
no more than the service may. Sources: external-secrets v2.9, provider HashiCorp Vault; Vault, auth
method kubernetes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.resilience.objects import (
    EXTERNAL,
    MONITORING,
    SECURITY,
    VAULT,
    VAULT_CA,
    named,
    placed,
    shared,
)
from holdfast.artifacts.resilience.objects import PLATFORM as FOLDER
from holdfast.spec.model import Service

_API = "external-secrets.io/v1"
_STORE = "vault"
_REFRESH = "5m0s"  # a rotated secret is in the cluster within this
ALERTING = ("pagerduty-key", "slack-url")
_KEYS = ("service", "kubernetes.namespace")


def render(service: Service) -> Iterator[Artifact]:
    yield Artifact(
        f"{SECURITY}/secretstores.yaml", [*_own_store(service), *_alerting_store(service)],
        "Where secrets are read: Vault, with the identity of the service.", _KEYS, ("T8",),
    )  # fmt: skip
    yield Artifact(
        f"{FOLDER}/secretstores.yaml", [_platform_store()],
        "Where secrets of the platform are read, and from which namespaces.", (), ("T8",),
    )  # fmt: skip
    yield Artifact(
        f"{SECURITY}/secrets.yaml", list(_secrets(service)),
        "Which secrets are brought from Vault; none of them is written here.",
        (*_KEYS, "run.secrets", "resilience.cache", "resilience.objects"),
        ("T8",),
    )  # fmt: skip


#: Namespaces whose secrets are the platform's, not a service's: alerting, deliveries.
PLATFORM_SPACES = ("argocd", MONITORING)
PLATFORM = "platform"


def alerting_path(service: Service) -> str:
    return f"{MONITORING}/{named(service, 'alerting')}"


def path(service: Service, part: str = "") -> str:
    """Of a secret below the mount ``secret`` (KV version 2)."""
    return "/".join(filter(None, (names.namespace(service), service.service, part)))


def role(service: Service, *suffixes: str) -> str:
    """The role in Vault: what the holder of the account may read."""
    return named(service, *suffixes)


def _own_store(service: Service) -> Iterator[Object]:
    yield _store(service, names.namespace(service), service.service, role(service))


def _alerting_store(service: Service) -> Iterator[Object]:
    """Alertmanager's secrets are in another namespace, by another identity."""
    name = named(service, "alerting")
    account = placed(service, "v1/ServiceAccount", name, MONITORING, {}, "alerting")
    yield {**account, "automountServiceAccountToken": False}
    yield _store(service, MONITORING, name, role(service, "alerting"))


def _platform_store() -> Object:
    """For secrets that no service owns, and only in the namespaces where they are."""
    spec = {
        "conditions": [{"namespaces": list(PLATFORM_SPACES)}],
        "provider": {"vault": _vault("external-secrets", PLATFORM, "external-secrets")},
        "retrySettings": _RETRIES,
    }
    found = shared(f"{_API}/ClusterSecretStore", _STORE, "", spec)
    found["metadata"]["annotations"] = {EXTERNAL: "ServiceAccount/external-secrets"}  # the chart's
    return found


def _store(service: Service, namespace: str, account: str, vault_role: str) -> Object:
    spec = {"provider": {"vault": _vault(account, vault_role)}, "retrySettings": _RETRIES}
    name = _STORE if namespace != MONITORING else named(service, _STORE)
    return placed(service, f"{_API}/SecretStore", name, namespace, spec, "secrets")


_RETRIES = {"maxRetries": 5, "retryInterval": "10s"}


def _vault(account: str, vault_role: str, namespace: str = "") -> Object:
    """``namespace``: of the account and the trusted root, where the store is in none."""
    where = {"namespace": namespace} if namespace else {}
    login = {"name": account, "audiences": ["vault"], **where}
    return {
        "server": VAULT,
        "path": "secret",
        "version": "v2",
        "caProvider": {"type": "ConfigMap", "name": VAULT_CA, "key": "ca.crt", **where},
        "auth": {
            "kubernetes": {
                "mountPath": "kubernetes",
                "role": vault_role,
                "serviceAccountRef": login,
            }
        },
    }


def _secrets(service: Service) -> Iterator[Object]:
    space, data = names.namespace(service), service.resilience
    if service.run.secrets:
        keys = sorted(service.run.secrets)
        yield secret(service, named(service, "secrets"), space, path(service), keys)
    yield secret(service, named(service, "alerting"), MONITORING, alerting_path(service), ALERTING)
    if data.cache == "redis":
        yield secret(service, named(service, "cache"), space, path(service, "cache"), ("password",))
    if data.objects == "minio":
        yield _tenant(service)


def secret(service: Service, name: str, namespace: str, where: str, keys: Sequence[str]) -> Object:
    wanted = [{"secretKey": key, "remoteRef": {"key": where, "property": key}} for key in keys]
    target: Object = {"name": name, "creationPolicy": "Owner", "deletionPolicy": "Retain"}
    store = _STORE if namespace != MONITORING else named(service, _STORE)
    spec = {
        "refreshInterval": _REFRESH,
        "secretStoreRef": {"kind": "SecretStore", "name": store},
        "target": target,
        "data": wanted,
    }
    return placed(service, f"{_API}/ExternalSecret", name, namespace, spec, "secrets")


def _tenant(service: Service) -> Object:
    """MinIO reads shell lines; the template puts the secret values into them inside the cluster."""
    name = named(service, "objects-root")
    found = secret(
        service, name, names.namespace(service), path(service, "objects"), ("user", "password")
    )
    lines = (
        "export MINIO_ROOT_USER={{ .user | squote }}\n"
        "export MINIO_ROOT_PASSWORD={{ .password | squote }}\n"
    )
    found["spec"]["target"]["template"] = {"engineVersion": "v2", "data": {"config.env": lines}}
    return found
