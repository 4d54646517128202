"""StorageClasses for the three kinds of disk, encrypted, made where the pod runs.

Sources: aws-ebs-csi-driver ``docs/parameters.md``; Kubernetes, Storage Classes.
"""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.kubernetes.objects import PLATFORM, shared
from holdfast.spec.model import Service

_DISKS: dict[str, dict[str, str]] = {
    "nvme": {"type": "io2", "iopsPerGB": "50", "allowAutoIOPSPerGBIncrease": "true"},
    "ssd": {"type": "gp3", "iops": "6000", "throughput": "250"},
    "hdd": {"type": "st1"},
}


def render(service: Service) -> Iterable[Artifact]:
    yield Artifact(
        f"{PLATFORM}/storageclasses.yaml",
        [_class(kind) for kind in _DISKS],
        "Disks by what they are good at: nvme for latency, ssd for most things, hdd for logs.",
        (),
        ("T34",),
    )


def _class(kind: str) -> Object:
    found = shared("storage.k8s.io/v1/StorageClass", names.storage_class(kind))
    return {
        **found,
        "provisioner": "ebs.csi.aws.com",
        "parameters": {**_DISKS[kind], "encrypted": "true", "csi.storage.k8s.io/fstype": "ext4"},
        "reclaimPolicy": "Retain",
        "allowVolumeExpansion": True,
        "volumeBindingMode": "WaitForFirstConsumer",
    }
