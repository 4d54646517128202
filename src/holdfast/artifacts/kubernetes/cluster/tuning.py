"""What nodes are told before the kubelet starts, as files: see ``artifacts/nodes.py``."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.artifacts.artifact import Artifact
from holdfast.artifacts.kubernetes.objects import CLUSTER
from holdfast.artifacts.nodes import TUNING_KEYS, kubelet, modules, sysctls
from holdfast.spec.model import Service

FOLDER = f"{CLUSTER}/nodes"


def render(service: Service) -> Iterable[Artifact]:
    yield Artifact(
        f"{FOLDER}/90-holdfast.conf",
        sysctls(service),
        "Kernel parameters of nodes, for /etc/sysctl.d; `holdfast doctor` compares a live machine.",
        ("resources",) if service.resources.hugepages else ("resources.hugepages",),
        ("T12", "T15"),
    )
    yield Artifact(
        f"{FOLDER}/modules.conf",
        modules(),
        "Kernel modules that the parameters need, for /etc/modules-load.d.",
        (),
        ("T15",),
    )
    yield Artifact(
        f"{FOLDER}/kubelet.yaml",
        {"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
         **kubelet(service)},
        "The kubelet of nodes: cores of their own for whole-core pods, one NUMA node, no holes.",
        ("resources.requests.cpu", "resources.limits", "resources.requests.memory",
         "resources.hugepages", "resources.gpus", *TUNING_KEYS),
        ("T11", "T12", "T15"),
    )  # fmt: skip
