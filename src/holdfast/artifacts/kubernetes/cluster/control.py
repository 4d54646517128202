"""The control plane's settings, shared by kubeadm on machines of one's own and by Cluster API.

Source: kubernetes.io, kubeadm Configuration (v1beta4); CIS Kubernetes Benchmark, section 1.
"""

from __future__ import annotations

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Object
from holdfast.artifacts.kubernetes.cluster import apiserver
from holdfast.spec.model import Service
from holdfast.spec.production.regions import Region

PLANES = 3  # an odd number: etcd keeps its majority when one is lost
CONFIG = "/etc/kubernetes/holdfast"
#: Addresses of pods and of Services, shared address space (RFC 6598): no region uses it.
PODS, SERVICES = "100.64.0.0/14", "100.68.0.0/16"
PORT = 6443
_AUDIT = "/var/log/kubernetes"
_LOCAL = {"bind-address": "127.0.0.1", "profiling": "false"}


def endpoint(service: Service, region: Region) -> str:
    """The name of the load balancer in front of all API servers of a region."""
    return f"api-{region.name}.{names.host(service)}"


def configuration() -> Object:
    """``apiServer``, ``controllerManager``, ``scheduler``, ``etcd``: the same in both formats."""
    return {
        "apiServer": {"extraArgs": _arguments(_api()), "extraVolumes": _volumes()},
        "controllerManager": {"extraArgs": _arguments(_LOCAL)},
        "scheduler": {"extraArgs": _arguments(_LOCAL)},
        "etcd": {"local": {"dataDir": "/var/lib/etcd", "extraArgs": _arguments(_etcd())}},
        "encryptionAlgorithm": "ECDSA-P256",
    }


def _api() -> dict[str, str]:
    audit, encryption, admission = (f"{CONFIG}/{name}" for name in apiserver.FILES)
    return {
        "admission-control-config-file": admission,
        "audit-log-maxage": "30",
        "audit-log-maxbackup": "10",
        "audit-log-maxsize": "100",
        "audit-log-path": f"{_AUDIT}/audit.log",
        "audit-policy-file": audit,
        "enable-admission-plugins": "NodeRestriction",
        "encryption-provider-config": encryption,
        "encryption-provider-config-automatic-reload": "true",
        "profiling": "false",
        "tls-min-version": "VersionTLS13",
    }


def _etcd() -> dict[str, str]:
    return {
        "auto-compaction-mode": "periodic",
        "auto-compaction-retention": "8h",
        "quota-backend-bytes": str(8 * 2**30),
    }


def _volumes() -> list[Object]:
    return [
        _volume("holdfast", CONFIG, True),
        _volume("audit", _AUDIT, False),
        _volume("kms", apiserver.SOCKET, True),
    ]


def _volume(name: str, path: str, read_only: bool) -> Object:
    place = {"name": name, "hostPath": path, "mountPath": path}
    return {**place, "readOnly": read_only, "pathType": "DirectoryOrCreate"}


def _arguments(values: dict[str, str]) -> list[Object]:
    return [{"name": name, "value": value} for name, value in sorted(values.items())]
