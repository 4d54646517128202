"""MinIO in each region: sixteen drives on four servers, any four of which may be gone.

Buckets keep versions that nobody can delete before their time. Sources: MinIO operator v7.1.1
(Tenant); MinIO, Erasure Coding, Site Replication.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.resilience import thirdparty
from holdfast.artifacts.resilience.objects import (
    DATA,
    container_security,
    named,
    owned,
    pod_security,
    resources,
    spread,
)
from holdfast.spec.model import Service

SERVERS = 4
DRIVES = 4
_USER = 1000
_KEYS = ("service", "kubernetes.namespace", "kubernetes.mesh", "regions", "resilience.objects")


def render(service: Service) -> Iterator[Artifact]:
    if service.resilience.objects != "minio":
        return
    yield Artifact(
        f"{DATA}/objects.yaml", _tenant(service),
        "The object store of each region.", _KEYS, ("T134",),
    )  # fmt: skip
    if len(service.regions) > 1:
        yield Artifact(
            f"{DATA}/objects-regions.sh", _sites(service),
            "Ties the object stores of all regions together; may run again at any time.",
            ("service", "regions", "resilience.objects", "resilience.backup.keep"),
            ("T115", "T134"),
        )  # fmt: skip


def name(service: Service) -> str:
    return named(service, "objects")


def _tenant(service: Service) -> Object:
    """In the mesh its sidecars speak TLS; outside of it MinIO does itself."""
    bucket = {
        "name": service.service,
        "region": names.primary(service).cloud,
        "objectLock": True,
    }
    spec = {
        "image": thirdparty.MINIO.reference,
        "configuration": {"name": named(service, "objects-root")},
        "requestAutoCert": service.kubernetes.mesh == "none",
        "podManagementPolicy": "Parallel",
        "buckets": [bucket],
        "env": [{"name": "MINIO_PROMETHEUS_AUTH_TYPE", "value": "public"}],
        "pools": [_pool(service)],
    }
    return owned(service, "minio.min.io/v2/Tenant", name(service), spec, "objects")


def _pool(service: Service) -> Object:
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": names.storage_class("ssd"),
        "resources": {"requests": {"storage": "100Gi"}},
    }
    return {
        "name": "pool-0",
        "servers": SERVERS,
        "volumesPerServer": DRIVES,
        "volumeClaimTemplate": {"metadata": {"name": "data"}, "spec": claim},
        "resources": resources("500m", "2Gi"),
        "securityContext": pod_security(_USER),
        "containerSecurityContext": container_security(),
        "topologySpreadConstraints": [
            {**each, "maxSkew": 2} for each in spread({"v1.min.io/tenant": name(service)})
        ],
    }


def _sites(service: Service) -> str:
    regions = service.regions
    aliases = " ".join(shlex.quote(region.name) for region in regions)
    lines = [
        "#!/bin/sh",
        "# Needs one variable for each region: MC_HOST_<alias>=https://USER:PASSWORD@HOST",
        "# (https://min.io/docs, environment variables of mc); aliases are names of regions.",
        "set -eu",
        *(f"mc ready {shlex.quote(region.name)}" for region in regions),
        f"mc admin replicate info {shlex.quote(regions[0].name)} | grep -q enabled ||",
        f"  mc admin replicate add {aliases}",
        f"for region in {aliases}; do",
        f'  mc retention set --default governance {_days(service)}d "$region"/{service.service}',
        "done",
    ]
    return "\n".join(lines) + "\n"


def _days(service: Service) -> int:
    return max(1, round(service.resilience.backup.keep / 86400))
