"""What a node is told before its kubelet starts: kernel parameters, modules, the kubelet itself.

A node is born so. No privileged pod changes it later, which the restricted standard would refuse.
Sources: ``artifacts/kernel.py``; kubernetes.io, KubeletConfiguration, CPU and Topology Manager;
CIS Kubernetes Benchmark, section 4.2; Amazon EKS, nodeadm.
"""

from __future__ import annotations

from holdfast.artifacts import machines, names
from holdfast.artifacts.artifact import Object
from holdfast.artifacts.format import yaml_text
from holdfast.artifacts.kernel import MODULES, PARAMETERS
from holdfast.spec.model import Service

SIZE_KEYS = ("resources", "image.platforms")
TUNING_KEYS = ("run.affinity", "kubernetes.sriov.functions", "rollout.drain", "run.stop.grace")
#: The tag by which node pools find their subnets and security groups; the service is its value.
DISCOVERY = "holdfast.dev/cluster"
_CRITICAL = 30  # seconds that pods of the node itself get at its end
_EDGE = "--HOLDFAST"  # between the parts of a message (RFC 2046)
_MIME = 'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="HOLDFAST"'


def profile(service: Service) -> str:
    """The instance profile of nodes, one for all regions as IAM is."""
    return f"{service.service}-node"


def user_data(service: Service) -> str:
    """First the kernel by a script, then the kubelet by ``nodeadm`` (AL2023)."""
    config = {
        "apiVersion": "node.eks.aws/v1alpha1",
        "kind": "NodeConfig",
        "spec": {"kubelet": {"config": kubelet(service)}},
    }
    parts = {
        "text/x-shellscript": _script(service),
        "application/node.eks.aws": yaml_text((config,)),
    }
    body = "".join(f"{_EDGE}\nContent-Type: {kind}\n\n{text}\n" for kind, text in parts.items())
    return f"{_MIME}\n\n{body}{_EDGE}--\n"


def _script(service: Service) -> str:
    files = {
        "/etc/modules-load.d/holdfast.conf": modules(),
        "/etc/sysctl.d/90-holdfast.conf": sysctls(service),
    }
    written = "".join(f"cat > {path} <<'END'\n{text}END\n" for path, text in files.items())
    after = "systemctl restart systemd-modules-load\nsysctl --system\n"
    return f"#!/bin/bash\nset -euo pipefail\n{written}{after}"


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
