"""Outlines and pieces of this family's objects."""

from __future__ import annotations

from typing import Final

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Object
from holdfast.spec.model import Service
from holdfast.spec.production.regions import Region

DATA: Final = "resilience/data"
BACKUP: Final = "resilience/backup"
SECURITY: Final = "resilience/security"
EDGE: Final = "resilience/edge"
CHAOS: Final = "resilience/chaos"
RUNBOOKS: Final = "resilience/runbooks"
BASE: Final = "resilience/base"
OVERLAYS: Final = "resilience/overlays"  # one directory for each region
#: What all services of a cluster share, and is applied once.
PLATFORM: Final = "resilience/platform"
VAULT: Final = "https://vault.vault.svc:8200"
#: ConfigMap and Secret by which every namespace knows Vault; kept by trust-manager.
VAULT_CA: Final = "vault-ca"
VELERO: Final = "velero"  # the namespace where Velero and its objects live
MONITORING: Final = "monitoring"
ZONE: Final = "topology.kubernetes.io/zone"
#: How ExternalDNS is told the name of a Service.
HOSTNAME: Final = "external-dns.alpha.kubernetes.io/hostname"
EXTERNAL: Final = "holdfast.dev/external"  # what an object needs and others bring


def named(service: Service, *suffixes: str) -> str:
    """``shop``, ``shop-db``."""
    return "-".join((service.service, *suffixes))


def owned(service: Service, kind: str, name: str, spec: Object, component: str = "") -> Object:
    """An object of the service's namespace. ``kind``: ``apps/v1/Deployment``."""
    return placed(service, kind, name, names.namespace(service), spec, component)


def placed(
    service: Service, kind: str, name: str, namespace: str, spec: Object, component: str = ""
) -> Object:
    """An object that belongs to the service in another namespace; none: of the cluster."""
    place = {"namespace": namespace} if namespace else {}
    metadata = {"name": name, **place, "labels": names.labels(service, component)}
    return _object(kind, metadata, spec)


def shared(kind: str, name: str, namespace: str, spec: Object) -> Object:
    """An object that is the same whichever service brings it; no namespace: of the cluster."""
    place = {"namespace": namespace} if namespace else {}
    labels = {"app.kubernetes.io/managed-by": names.MANAGER}
    return _object(kind, {"name": name, **place, "labels": labels}, spec)


def _object(kind: str, metadata: Object, spec: Object) -> Object:
    version, _, name = kind.rpartition("/")
    body = {"spec": spec} if spec else {}
    return {"apiVersion": version, "kind": name, "metadata": metadata, **body}


def annotated(found: Object, **annotations: str) -> Object:
    """The object with annotations."""
    found["metadata"].setdefault("annotations", {}).update(annotations)
    return found


def overlay(region: Region) -> str:
    """The directory of what only one region is given."""
    return f"{OVERLAYS}/{region.name}"


def within_regions(name: str) -> dict[str, str]:
    """Annotations of a load balancer that has a name, and addresses of the region's network."""
    return {HOSTNAME: name, "service.beta.kubernetes.io/aws-load-balancer-scheme": "internal"}


def resources(cpu: str, memory: str, most: str = "") -> Object:
    """Memory is limited to what is asked for unless ``most`` says more; the processor is not."""
    return {
        "requests": {"cpu": cpu, "memory": memory},
        "limits": {"memory": most or memory},
    }


def pod_security(user: int) -> Object:
    """What the Pod Security Standard *restricted* wants of a pod."""
    return {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": user,
        "fsGroup": user,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security(*, read_only: bool = True) -> Object:
    """What it wants of a container; ``read_only``: the image's file system is not written."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": read_only,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
    }


def spread(labels: dict[str, str]) -> list[Object]:
    """One pod a zone as long as zones differ by at most one."""
    return [
        {
            "maxSkew": 1,
            "topologyKey": ZONE,
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": labels},
        }
    ]


def go_duration(seconds: float) -> str:
    """Go's way, as cert-manager and Velero write it back: ``720h0m0s``."""
    whole = round(seconds)
    return f"{whole // 3600}h{whole % 3600 // 60}m{whole % 60}s"
