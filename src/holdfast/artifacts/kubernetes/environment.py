"""The environment of an instance: the spec's own values, its secrets, and memory tuning."""

from __future__ import annotations

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Object
from holdfast.artifacts.kubernetes.words import label, literal
from holdfast.artifacts.tuning import tuning
from holdfast.spec.model import Service

KEYS = (
    "service", "version", "run.command", "run.env", "run.secrets", "traffic.port",
    "image.language", "resources.limits", "resources.hugepages",
)  # fmt: skip


def environment(service: Service) -> list[Object]:
    """``env`` of the container; names that others refer to come first."""
    told = [_told(name, value) for name, value in _identity(service).items()]
    tuned = [_told(n, v) for n, v in tuning(service).items() if n not in service.run.env]
    written = [_told(name, literal(value)) for name, value in sorted(service.run.env.items())]
    return [
        *told,
        _field("HOLDFAST_REPLICA", "metadata.name"),
        *tuned,
        *written,
        *_secrets(service),
    ]


def _identity(service: Service) -> dict[str, str]:
    return {
        "PORT": str(service.traffic.port),
        "HOLDFAST_SERVICE": service.service,
        "HOLDFAST_RELEASE": release(service),
        "HOLDFAST_VERSION": literal(names.version(service)),
    }


def release(service: Service) -> str:
    """The release as the pod's label says it."""
    return label(names.version(service)) or "unnamed"


def _secrets(service: Service) -> list[Object]:
    return [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": _secret(service), "key": name}}}
        for name in sorted(service.run.secrets)
    ]


def _secret(service: Service) -> str:
    return f"{service.service}-secrets"


def _told(name: str, value: str) -> Object:
    return {"name": name, "value": value}


def _field(name: str, path: str) -> Object:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
