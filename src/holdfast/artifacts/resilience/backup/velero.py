"""Backups of the cluster's objects and volumes: twice, in the region and in another.

Every region writes to its own bucket and, half a period later, to that of the next region, so a
lost region takes no backup with it. Buckets are encrypted with the region's own key. Velero proves
who it is (IAM); it holds no credential. Sources: Velero v1.18 (BackupStorageLocation, Schedule),
plugin for AWS; external-snapshotter v8.6.
"""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.resilience.objects import (
    PLATFORM,
    VELERO,
    go_duration,
    named,
    overlay,
    placed,
    shared,
)
from holdfast.spec.model import Service
from holdfast.spec.production.regions import Region

_API = "velero.io/v1"
_KEYS = ("service", "kubernetes.namespace", "regions", "resilience.backup")
#: Objects of operators that write the volumes: their own backups are the ones that are whole.
_NOT_VOLUMES = "cnpg.io/cluster"


def render(service: Service) -> Iterator[Artifact]:
    for region in service.regions:
        yield Artifact(
            f"{overlay(region)}/backup.yaml",
            [*_locations(service, region), *_schedules(service, region)],
            f"Where {region.name} keeps its backups, and when it makes them.", _KEYS,
            ("T121", "T123", "T124"),
        )  # fmt: skip
    yield Artifact(
        f"{PLATFORM}/snapshots.yaml", _snapshots(),
        "How volumes are snapshotted; a snapshot outlives what it was taken of.", (), ("T121",),
    )  # fmt: skip


def abroad(service: Service, region: Region) -> Region:
    """The region after this one in the spec's order; the last one's is the first."""
    index = [each.name for each in service.regions].index(region.name)
    return service.regions[(index + 1) % len(service.regions)]


def _locations(service: Service, region: Region) -> Iterator[Object]:
    """Its own and the next one's are written; the others are read when a region is restored."""
    written = {region.name, abroad(service, region).name}
    for each in service.regions:
        mode = "ReadWrite" if each.name in written else "ReadOnly"
        yield _location(service, each, mode)


def location(service: Service, region: Region) -> str:
    return named(service, region.name)


def _location(service: Service, region: Region, mode: str) -> Object:
    config = {
        "region": region.cloud,
        "kmsKeyId": f"alias/{named(service, 'backup')}",
        "checksumAlgorithm": "CRC32",
    }
    bucket = {"bucket": names.bucket(service, region), "prefix": "velero"}
    spec = {
        "provider": "aws",
        "objectStorage": bucket,
        "config": config,
        "accessMode": mode,
        "backupSyncPeriod": "1m0s",
        "validationFrequency": "5m0s",
    }
    kind = f"{_API}/BackupStorageLocation"
    return placed(service, kind, location(service, region), VELERO, spec, "backup")


def _schedules(service: Service, region: Region) -> Iterator[Object]:
    yield _schedule(service, service.service, region)
    if len(service.regions) > 1:
        yield _schedule(service, named(service, "abroad"), abroad(service, region))


def _schedule(service: Service, name: str, where: Region) -> Object:
    """Volumes are moved into the bucket: a snapshot alone would die with its region."""
    backup = service.resilience.backup
    template = {
        "includedNamespaces": [names.namespace(service)],
        "storageLocation": location(service, where),
        "ttl": go_duration(backup.keep),
        "snapshotVolumes": True,
        "snapshotMoveData": True,
        "defaultVolumesToFsBackup": False,
        "csiSnapshotTimeout": "10m0s",
        "labelSelector": {"matchExpressions": [{"key": _NOT_VOLUMES, "operator": "DoesNotExist"}]},
        "metadata": {"labels": names.labels(service, "backup")},
    }
    spec = {
        "schedule": f"@every {names.duration(backup.every)}",
        "skipImmediately": False,
        "useOwnerReferencesInBackup": False,
        "template": template,
    }
    return placed(service, f"{_API}/Schedule", name, VELERO, spec, "backup")


def _snapshots() -> Object:
    """One a cluster: Velero takes the class with its label, and there must be one. No ``spec``."""
    found = shared("snapshot.storage.k8s.io/v1/VolumeSnapshotClass", "holdfast", "", {})
    found["metadata"]["labels"]["velero.io/csi-volumesnapshot-class"] = "true"
    return {
        **found,
        "driver": "ebs.csi.aws.com",
        "deletionPolicy": "Retain",
    }
