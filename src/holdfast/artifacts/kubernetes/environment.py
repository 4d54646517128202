"""The environment of an instance: the spec's own values, its secrets, and memory tuning.

Memory tuning keeps a runtime inside the container's limit: it would otherwise size itself by the
node (go.dev/doc/gc-guide, nodejs.org ``--max-old-space-size``, glibc ``mallopt(3)`` M_ARENA_MAX,
jemalloc ``TUNING.md``). A value in ``run.env`` wins over it.
"""

from __future__ import annotations

import math

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Object
from holdfast.artifacts.kubernetes.words import label, literal
from holdfast.spec.model import Service

KEYS = (
    "service", "version", "run.command", "run.env", "run.secrets", "traffic.port",
    "image.language", "resources.limits", "resources.hugepages",
)  # fmt: skip
_MIB = 2**20


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


def tuning(service: Service) -> dict[str, str]:
    """What the allocator and the garbage collector of a language are told."""
    language, limits = names.language(service), service.resources.limits
    cores, memory = math.ceil(limits.cpu), limits.memory
    if language == "go":
        return {"GOMAXPROCS": str(cores), "GOMEMLIMIT": f"{memory * 9 // 10 // _MIB}MiB"}
    found = {"MALLOC_ARENA_MAX": str(max(2, cores))} | _huge(service)
    if language == "node":
        found["NODE_OPTIONS"] = f"--max-old-space-size={memory * 3 // 4 // _MIB}"
    if language == "rust":
        found["_RJEM_MALLOC_CONF"] = f"background_thread:true,narenas:{cores},dirty_decay_ms:1000"
    return found


def _huge(service: Service) -> dict[str, str]:
    """The heap comes from huge pages where there are some; a program without glibc ignores it."""
    return {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=2"} if service.resources.hugepages else {}


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
