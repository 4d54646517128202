"""What nodes are told before the kubelet starts: kernel parameters, modules, the kubelet itself.

A node is born so. No privileged pod changes it later, which the restricted standard would refuse.
Sources: ``artifacts/kernel.py``; kubernetes.io, KubeletConfiguration, CPU and Topology Manager;
CIS Kubernetes Benchmark, section 4.2.
"""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.kernel import MODULES, PARAMETERS
from holdfast.artifacts.kubernetes.cluster import machines
from holdfast.artifacts.kubernetes.objects import CLUSTER
from holdfast.spec.model import Service

FOLDER = f"{CLUSTER}/nodes"
SIZE_KEYS = ("resources", "image.platforms")
TUNING_KEYS = ("run.affinity", "kubernetes.sriov.functions", "rollout.drain", "run.stop.grace")
_CRITICAL = 30  # seconds that pods of the node itself get at its end


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


def sysctls(service: Service) -> str:
    """``name = value`` lines, each after what a worse value costs."""
    lines = [f"# else: {each.costs}\n{each.name} = {each.value}" for each in PARAMETERS]
    if pages := machines.huge_pages(service):
        lines.append("# else: instances that ask for huge pages find none")
        lines.append(f"vm.nr_hugepages = {pages}")
    return "\n".join(lines) + "\n"


def modules() -> str:
    return "\n".join(MODULES) + "\n"


def kubelet(service: Service) -> Object:
    """The fields that matter, without apiVersion and kind."""
    return {**_placing(service), **_room(), **_closed(), **_ending(service)}


def _placing(service: Service) -> Object:
    """Instances that asked for devices, pages or cores get them from one NUMA node."""
    strict = machines.tuned(service)
    found: Object = {
        "cpuManagerPolicy": "static",
        "topologyManagerPolicy": "single-numa-node" if strict else "best-effort",
        "topologyManagerScope": "pod",
    }
    if strict and _whole_cores(service):
        found["cpuManagerPolicyOptions"] = {"full-pcpus-only": "true"}
    return found


def _whole_cores(service: Service) -> bool:
    """Guaranteed, and an even number of threads: both of a core belong to one instance."""
    asked, most = service.resources.requests, service.resources.limits
    even = asked.cpu == int(asked.cpu) and int(asked.cpu) % 2 == 0
    return even and (asked.cpu, asked.memory) == (most.cpu, most.memory)


def _room() -> Object:
    return {
        "kubeReserved": {"cpu": "250m", "memory": "1Gi", "ephemeral-storage": "2Gi"},
        "systemReserved": {"cpu": "250m", "memory": "512Mi", "ephemeral-storage": "2Gi"},
        "evictionHard": {
            "memory.available": "512Mi",
            "nodefs.available": "10%",
            "nodefs.inodesFree": "5%",
            "imagefs.available": "15%",
        },
        "maxPods": 110,
        "podPidsLimit": 4096,
        "serializeImagePulls": False,
        "maxParallelImagePulls": 5,
        "containerLogMaxSize": "50Mi",
        "containerLogMaxFiles": 5,
    }


def _closed() -> Object:
    return {
        "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": True}},
        "authorization": {"mode": "Webhook"},
        "readOnlyPort": 0,
        "protectKernelDefaults": True,
        "seccompDefault": True,
        "rotateCertificates": True,
        "serverTLSBootstrap": True,
        "tlsMinVersion": "VersionTLS13",
        "failSwapOn": True,
    }


def _ending(service: Service) -> Object:
    """A node that is switched off lets its instances drain first."""
    ends = names.seconds(service.rollout.drain) + names.seconds(service.run.stop.grace)
    return {
        "shutdownGracePeriod": f"{ends + _CRITICAL}s",
        "shutdownGracePeriodCriticalPods": f"{_CRITICAL}s",
    }
