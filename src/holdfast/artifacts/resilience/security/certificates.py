"""Certificates: issued, renewed long before they expire, with a new key each time.

Outside, a public authority answers by DNS; inside, Vault signs, in every region with the same
root, so that databases of different regions believe each other. Sources: cert-manager v1.21.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.resilience.objects import (
    PLATFORM,
    SECURITY,
    VAULT,
    VAULT_CA,
    annotated,
    go_duration,
    named,
    owned,
    shared,
)
from holdfast.spec.model import Service

_API = "cert-manager.io/v1"
_DAY = 86400
_LIFE = 90 * _DAY
_EARLY = 30 * _DAY  # three weeks before anybody is called
_PUBLIC = "public"
_KEYS = ("service", "kubernetes.namespace")


def render(service: Service) -> Iterator[Artifact]:
    yield Artifact(
        f"{SECURITY}/issuers.yaml", [_public(service), *_inside(service)],
        "Who signs: a public authority for users, Vault for everything inside.",
        (*_KEYS, "kubernetes.host", "regions"), ("T138",),
    )  # fmt: skip
    yield Artifact(
        f"{SECURITY}/certificates.yaml", list(_certificates(service)),
        "Which certificates there are; each is renewed 30 days before it ends, with a new key.",
        (*_KEYS, "kubernetes.host", "resilience.database", "regions"),
        ("T138",),
    )  # fmt: skip
    yield Artifact(
        f"{PLATFORM}/vault-tls.yaml", list(_vault()),
        "Vault's own certificate, and its root in every namespace (trust-manager).",
        (), ("T8", "T138"),
    )  # fmt: skip


def _public(service: Service) -> Object:
    solver = {
        "selector": {"dnsNames": [names.host(service)]},
        "dns01": {"route53": {"region": names.primary(service).cloud}},
    }
    acme = {
        "server": "https://acme-v02.api.letsencrypt.org/directory",
        "privateKeySecretRef": {"name": named(service, "acme")},
        "solvers": [solver],
    }
    return owned(service, f"{_API}/Issuer", named(service, _PUBLIC), {"acme": acme}, "tls")


def _inside(service: Service) -> Iterator[Object]:
    name = named(service, "issuer")
    yield {
        **owned(service, "v1/ServiceAccount", name, {}, "tls"),
        "automountServiceAccountToken": False,
    }
    yield from _token(service, name)
    login = {"name": name, "audiences": ["vault"]}
    vault = {
        "server": VAULT,
        "path": f"pki/sign/{service.service}",
        "caBundleSecretRef": {"name": VAULT_CA, "key": "ca.crt"},
        "auth": {
            "kubernetes": {
                "mountPath": "/v1/auth/kubernetes",
                "role": named(service, "pki"),
                "serviceAccountRef": login,
            }
        },
    }
    yield owned(service, f"{_API}/Issuer", name, {"vault": vault}, "tls")


def _token(service: Service, account: str) -> Iterator[Object]:
    """cert-manager may ask for tokens of this one account, and of no other."""
    name, rbac = named(service, "issuer-token"), "rbac.authorization.k8s.io"
    rule = {
        "apiGroups": [""],
        "resources": ["serviceaccounts/token"],
        "resourceNames": [account],
        "verbs": ["create"],
    }
    yield {**owned(service, f"{rbac}/v1/Role", name, {}, "tls"), "rules": [rule]}
    subject = {"kind": "ServiceAccount", "name": "cert-manager", "namespace": "cert-manager"}
    found = owned(service, f"{rbac}/v1/RoleBinding", name, {}, "tls")
    found["roleRef"] = {"apiGroup": rbac, "kind": "Role", "name": name}
    found["subjects"] = [subject]
    yield annotated(found, **{"holdfast.dev/external": "ServiceAccount/cert-manager"})


def _certificates(service: Service) -> Iterator[Object]:
    outside = _certificate(service, "tls", [names.host(service)], named(service, _PUBLIC))
    outside["spec"]["usages"] = ["digital signature", "server auth"]
    yield outside
    if service.resilience.database == "postgres":
        yield from _postgres(service)


def _certificate(service: Service, suffix: str, hosts: Sequence[str], issuer: str) -> Object:
    """A secret of its own, an elliptic key that is new each time."""
    name = named(service, suffix)
    spec = {
        "secretName": name,
        "duration": go_duration(_LIFE),
        "renewBefore": go_duration(_EARLY),
        "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
        "revisionHistoryLimit": 3,
        "dnsNames": list(hosts),
        "issuerRef": {"name": issuer, "kind": "Issuer", "group": "cert-manager.io"},
    }
    return owned(service, f"{_API}/Certificate", name, spec, "tls")


def doors(service: Service) -> list[str]:
    """The Services by which the database is reached: for writing, for reading copies, for any."""
    return [named(service, "db", way) for way in ("rw", "ro", "r")]


def _postgres(service: Service) -> Iterator[Object]:
    """Of the servers, and of the copies that follow them from wherever they are."""
    space = names.namespace(service)
    hosts = [h for way in doors(service) for h in (way, f"{way}.{space}", f"{way}.{space}.svc")]
    hosts += [names.regional_host(service, region, "db") for region in service.regions]
    yield _watched(_certificate(service, "db-server", hosts, named(service, "issuer")))
    copies = _certificate(service, "db-replication", (), named(service, "issuer"))
    del copies["spec"]["dnsNames"]
    copies["spec"] |= {"commonName": "streaming_replica", "usages": ["client auth"]}
    yield _watched(copies)


def _watched(certificate: Object) -> Object:
    """CloudNativePG reads a new certificate as soon as the secret has it."""
    certificate["spec"]["secretTemplate"] = {"labels": {"cnpg.io/reload": ""}}
    return certificate


# ---- whom everybody believes to be Vault ---------------------------------------------------------


def _vault() -> Iterator[Object]:
    """A root in the cluster, the certificate of Vault's servers, the root in every namespace."""
    yield shared(f"{_API}/ClusterIssuer", "bootstrap", "", {"selfSigned": {}})
    root = {
        "isCA": True,
        "commonName": VAULT_CA,
        "secretName": VAULT_CA,
        "duration": go_duration(10 * 365 * _DAY),
        "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Never"},
        "issuerRef": _cluster_issuer("bootstrap"),
    }
    yield shared(f"{_API}/Certificate", VAULT_CA, "cert-manager", root)
    yield shared(f"{_API}/ClusterIssuer", VAULT_CA, "", {"ca": {"secretName": VAULT_CA}})
    yield shared(f"{_API}/Certificate", "vault-server-tls", "vault", _vault_server())
    spec = {
        "sources": [{"secret": {"name": VAULT_CA, "key": "tls.crt"}}],
        "target": {"configMap": {"key": "ca.crt"}, "secret": {"key": "ca.crt"}},
    }
    yield shared("trust.cert-manager.io/v1alpha1/Bundle", VAULT_CA, "", spec)


def _vault_server() -> Object:
    names_of = ["vault", "vault.vault", "vault.vault.svc", "*.vault-internal.vault.svc"]
    return {
        "secretName": "vault-server-tls",
        "duration": go_duration(_LIFE),
        "renewBefore": go_duration(_EARLY),
        "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
        "dnsNames": names_of,
        "issuerRef": _cluster_issuer(VAULT_CA),
    }


def _cluster_issuer(name: str) -> Object:
    return {"name": name, "kind": "ClusterIssuer", "group": "cert-manager.io"}
