"""The archive of PostgreSQL: every region writes its own, and can read those of the others.

Backups are complete and the log is continuous, so any second within ``resilience.backup.keep`` can
be restored. Nothing here holds a credential: pods prove who they are (IAM, EKS Pod Identity of the
ServiceAccount ``SERVICE-db``). Sources: plugin barman-cloud (ObjectStore), CloudNativePG Backup.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.resilience.data import postgres
from holdfast.artifacts.resilience.objects import BACKUP, named, owned, resources
from holdfast.spec.model import Service
from holdfast.spec.production.regions import Region

_DAY = 86400
_KEYS = ("service", "kubernetes.namespace", "regions", "resilience.database", "resilience.backup")


def render(service: Service) -> Iterator[Artifact]:
    if service.resilience.database != "postgres":
        return
    yield Artifact(
        f"{BACKUP}/archive.yaml", [_store(service, region) for region in service.regions],
        "Where backups and the log of the database go: one encrypted store for each region.",
        _KEYS, ("T121", "T122", "T123", "T124"),
    )  # fmt: skip
    yield Artifact(
        f"{BACKUP}/database.yaml", _scheduled(service),
        "A complete backup of the database, in every region of its own copy.",
        ("service", "kubernetes.namespace", "resilience.database", "resilience.backup.every"),
        ("T121", "T123"),
    )  # fmt: skip


def _store(service: Service, region: Region) -> Object:
    spec = {
        "configuration": {
            "destinationPath": f"s3://{names.bucket(service, region)}/postgres",
            "s3Credentials": {"inheritFromIAMRole": True},
            "wal": {"compression": "zstd", "encryption": "aws:kms", "maxParallel": 4},
            "data": {"compression": "snappy", "encryption": "aws:kms", "jobs": 4},
        },
        "retentionPolicy": f"{days(service)}d",
        "instanceSidecarConfiguration": {
            "env": [{"name": "AWS_REGION", "value": region.cloud}],
            "resources": resources("100m", "256Mi", "512Mi"),
        },
    }
    name = postgres.replica_name(service, region)
    return owned(service, "barmancloud.cnpg.io/v1/ObjectStore", name, spec, "backup")


def days(service: Service) -> int:
    """Whole days, rounded up: never shorter than the spec says."""
    return max(1, math.ceil(service.resilience.backup.keep / _DAY))


def _scheduled(service: Service) -> Object:
    spec = {
        "schedule": f"@every {names.duration(service.resilience.backup.every)}",
        "immediate": True,
        "backupOwnerReference": "cluster",
        "target": "prefer-standby",
        "cluster": {"name": postgres.name(service)},
        "method": "plugin",
        "pluginConfiguration": {"name": postgres.PLUGIN},
    }
    kind, name = "postgresql.cnpg.io/v1/ScheduledBackup", named(service, "db")
    return owned(service, kind, name, spec, "backup")
