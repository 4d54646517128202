"""Vault itself: a server of three that unseals by KMS, and policies that give each reader its own.

The setup is a script that may run again at any time: it says what should be, not what to add.
Sources: Vault, configuration (raft storage, awskms seal), auth method kubernetes, PKI engine.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.resilience.objects import MONITORING, SECURITY, named
from holdfast.artifacts.resilience.security import certificates, secrets
from holdfast.spec.model import Service
from holdfast.spec.production.regions import Region

_FOLDER = f"{SECURITY}/vault"
_KEYS = ("service", "kubernetes.namespace")
_PEERS = 3


def render(service: Service) -> Iterator[Artifact]:
    for region in service.regions:
        yield Artifact(
            f"{_FOLDER}/server-{region.name}.json", server(service, region),
            f"Vault in {region.name}: raft over three, unsealed by KMS, only TLS.",
            ("service", "regions"), ("T8",),
        )  # fmt: skip
    for name, text in policies(service).items():
        yield Artifact(
            f"{_FOLDER}/{name}.hcl", text, "What the holder of this policy may do in Vault.",
            _policy_keys(service, name), ("T8",),
        )  # fmt: skip
    yield Artifact(
        f"{_FOLDER}/setup.sh", _setup(service),
        "Policies, roles, certificates and the audit log of Vault; may run again at any time.",
        (*_KEYS, "kubernetes.host", "resilience.database", *_counted(service)),
        ("T8", "T138", "T140"),
    )  # fmt: skip


def _counted(service: Service) -> tuple[str, ...]:
    """Nodes of CockroachDB are called after their region."""
    return ("regions",) if service.resilience.database == "cockroach" else ()


def server(service: Service, region: Region) -> Object:
    """The server's configuration; the address of the peer comes from the pod's environment."""
    tls = "/vault/tls"
    peers = [_peer(index, tls) for index in range(_PEERS)]
    listener = {
        "address": "[::]:8200",
        "cluster_address": "[::]:8201",
        "tls_cert_file": f"{tls}/tls.crt",
        "tls_key_file": f"{tls}/tls.key",
        "tls_min_version": "tls13",
        "telemetry": {"unauthenticated_metrics_access": False},
    }
    return {
        "cluster_name": named(service, "vault", region.name),
        "ui": False,
        "disable_mlock": True,
        "api_addr": "https://vault.vault.svc:8200",
        "cluster_addr": "https://vault-internal.vault.svc:8201",
        "listener": [{"tcp": listener}],
        "storage": {"raft": {"path": "/vault/data", "retry_join": peers}},
        "seal": [{"awskms": {"region": region.cloud, "kms_key_id": f"alias/{_key(service)}"}}],
        "telemetry": {"prometheus_retention_time": "24h", "disable_hostname": True},
        "default_lease_ttl": "1h",
        "max_lease_ttl": "24h",
    }


def _peer(index: int, tls: str) -> Object:
    return {
        "leader_api_addr": f"https://vault-{index}.vault-internal.vault.svc:8200",
        "leader_ca_cert_file": f"{tls}/ca.crt",
    }


def _key(service: Service) -> str:
    return named(service, "vault")


def policies(service: Service) -> dict[str, str]:
    """Policy name -> HCL. Only reading, only its own paths and names."""
    own = secrets.path(service)
    below = [f"{own}/{part}" for part in ("cache", "objects", "queue")]
    return {
        secrets.role(service): _reads(own, *below),
        secrets.role(service, "alerting"): _reads(secrets.alerting_path(service)),
        secrets.PLATFORM: _reads(f"{MONITORING}/+"),  # the same for every service
        secrets.role(service, "pki"): _may(f"pki/sign/{service.service}", "create", "update"),
    }


def _policy_keys(service: Service, name: str) -> tuple[str, ...]:
    if name == secrets.PLATFORM:
        return ()
    return _KEYS if name == secrets.role(service) else ("service",)


def _reads(*paths: str) -> str:
    return "\n".join(_may(f"secret/data/{path}", "read") for path in paths)


def _may(path: str, *verbs: str) -> str:
    said = ", ".join(f'"{verb}"' for verb in verbs)
    return f'path "{path}" {{\n  capabilities = [{said}]\n}}\n'


def _setup(service: Service) -> str:
    space = names.namespace(service)
    lines = [
        "#!/bin/sh",
        "# Needs VAULT_ADDR, VAULT_CACERT and a VAULT_TOKEN that may administer Vault.",
        "set -eu",
        'here=$(cd "$(dirname "$0")" && pwd)',
        'has() { vault "$1" list -format=json | grep -q "\\"$2/\\""; }',
        "",
        "has secrets secret || vault secrets enable -path=secret -version=2 kv",
        "has secrets pki || vault secrets enable -max-lease-ttl=87600h pki",
        "has auth kubernetes || vault auth enable kubernetes",
        "has audit file || vault audit enable file file_path=stdout",
        "vault write auth/kubernetes/config kubernetes_host=https://kubernetes.default.svc",
        "# Databases of different regions believe each other only below the same root.",
        "if ! vault list pki/issuers >/dev/null 2>&1; then",
        '  : "${PKI_BUNDLE:?a PEM file with the key and certificate of the root of all regions}"',
        '  vault write pki/issuers/import/bundle "pem_bundle=@$PKI_BUNDLE"',
        "fi",
        "",
        *(_policy(name) for name in policies(service)),
        "",
        _role(secrets.role(service), service.service, space),
        _role(secrets.role(service, "alerting"), named(service, "alerting"), MONITORING),
        _role(secrets.PLATFORM, "external-secrets", "external-secrets"),
        _role(secrets.role(service, "pki"), named(service, "issuer"), space),
        _certificates(service),
    ]
    return "\n".join(lines) + "\n"


def _policy(name: str) -> str:
    return f'vault policy write {shlex.quote(name)} "$here"/{shlex.quote(name)}.hcl'


def _role(name: str, account: str, namespace: str) -> str:
    return (
        f"vault write auth/kubernetes/role/{name} audience=vault token_ttl=15m \\\n"
        f"  bound_service_account_names={shlex.quote(account)} \\\n"
        f"  bound_service_account_namespaces={shlex.quote(namespace)} \\\n"
        f"  token_policies={shlex.quote(name)}"
    )


def _certificates(service: Service) -> str:
    """Names inside the cluster and of the regions' data services, short-lived, never a CA."""
    space = names.namespace(service)
    allowed = (f"{space}.svc", f"{space}.svc.cluster.local", names.host(service))
    return (
        f"vault write pki/roles/{service.service} max_ttl=2160h key_type=any require_cn=false \\\n"
        f"  allow_subdomains=true allow_bare_domains=true allow_ip_sans=false \\\n"
        f"  allowed_domains={shlex.quote(','.join((*allowed, *_users(service))))}"
    )


def _users(service: Service) -> tuple[str, ...]:
    """Names that are in no domain of the world: common names of clients, which databases take for
    users, and what Services are called within their namespace and beside it."""
    releases = [named(service, "db", region.name) for region in service.regions]
    own = [name for each in releases for name in (each, f"{each}-public")]
    users = {
        "postgres": ("streaming_replica", *certificates.doors(service)),
        "cockroach": ("node", "root", "localhost", "127.0.0.1", *own),
    }
    found = (*users.get(service.resilience.database, ()), names.namespace(service))
    return tuple(dict.fromkeys((*found, service.service)))
