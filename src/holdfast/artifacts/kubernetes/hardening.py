"""Security contexts that the Pod Security Standard *restricted* accepts.

Source: kubernetes.io, Pod Security Standards.
"""

from __future__ import annotations

from holdfast.artifacts.artifact import Object
from holdfast.spec.model import Service

_FIRST_OPEN_PORT = 1024


def pod_context(service: Service) -> Object:
    """Not root, files of the group, the runtime's seccomp filter; low ports without privilege."""
    user, port = service.image.user, service.traffic.port
    context: Object = {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": user,
        "fsGroup": user,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    if port < _FIRST_OPEN_PORT:
        unprivileged = {"name": "net.ipv4.ip_unprivileged_port_start", "value": str(port)}
        context["sysctls"] = [unprivileged]
    return context


def container_context() -> Object:
    """No way to more rights, nothing written to the image's file system."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
    }


def bare_context(user: int) -> Object:
    """The pod context of helpers that neither listen nor own files."""
    return {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": user,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
