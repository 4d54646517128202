"""GPUs: the operator that makes them usable, the runtime that hands them in, a claim by name.

Pods ask for ``nvidia.com/gpu``, which the operator's device plugin serves. The claim template is
for pods that choose by properties instead (Dynamic Resource Allocation, resource.k8s.io/v1).
"""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.kubernetes.objects import BASE, PLATFORM, named, namespaced, shared
from holdfast.artifacts.kubernetes.placement import GPU
from holdfast.spec.model import Service

RUNTIME = "holdfast-gpu"
_HANDLER = "nvidia"  # the name under which the container toolkit registers itself
_TAINT = {"key": GPU, "operator": "Exists", "effect": "NoSchedule"}


def render(service: Service) -> Iterable[Artifact]:
    if not service.resources.gpus:
        return
    yield Artifact(
        f"{PLATFORM}/gpu.yaml",
        [_operator(), _runtime()],
        "What makes the GPUs of nodes usable, and the runtime that hands them into containers.",
        ("resources.gpus",),
        ("T14",),
    )
    yield Artifact(
        f"{BASE}/gpu-claim.yaml",
        _claim(service),
        "GPUs as a claim, for pods that choose them by their properties.",
        ("service", "kubernetes.namespace", "resources.gpus"),
        ("T14",),
    )


def runtime(service: Service) -> str:
    """The runtime class of the service's pods; empty: the usual one."""
    return RUNTIME if service.resources.gpus else ""


def _operator() -> Object:
    """Driver and toolkit are part of the node image: a node that boots is a node that works."""
    found = shared("nvidia.com/v1/ClusterPolicy", "cluster-policy")
    on, off = {"enabled": True}, {"enabled": False}
    found["spec"] = {
        "operator": {"defaultRuntime": "containerd", "runtimeClass": _HANDLER},
        "daemonsets": {"updateStrategy": "RollingUpdate", "tolerations": [_TAINT]},
        "driver": off,
        "toolkit": off,
        "devicePlugin": on,
        "dcgm": off,
        "dcgmExporter": {"enabled": True, "serviceMonitor": {"enabled": True, "interval": "15s"}},
        "gfd": on,
        "nodeStatusExporter": off,
        "migManager": off,
        "mig": {"strategy": "single"},
        "cdi": {"enabled": True, "default": True},
        "sandboxWorkloads": off,
    }
    return found


def _runtime() -> Object:
    found = shared("node.k8s.io/v1/RuntimeClass", RUNTIME)
    return {**found, "handler": _HANDLER, "scheduling": {"tolerations": [_TAINT]}}


def _claim(service: Service) -> Object:
    found = namespaced(
        service, "resource.k8s.io/v1/ResourceClaimTemplate", named(service, "gpu"), "gpu"
    )
    exactly = {
        "deviceClassName": "gpu.nvidia.com",
        "allocationMode": "ExactCount",
        "count": service.resources.gpus,
    }
    requests = [{"name": "gpu", "exactly": exactly}]
    return {**found, "spec": {"spec": {"devices": {"requests": requests}}}}
