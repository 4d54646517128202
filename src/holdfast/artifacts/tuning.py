"""Memory tuning: keeps a runtime inside the container's limit.

It would otherwise size itself by the node (go.dev/doc/gc-guide, nodejs.org
``--max-old-space-size``, glibc ``mallopt(3)`` M_ARENA_MAX, jemalloc ``TUNING.md``). A value in
``run.env`` wins over it.
"""

from __future__ import annotations

import math

from holdfast.artifacts import names
from holdfast.spec.model import Service

KEYS = ("run.command", "image.language", "resources.limits", "resources.hugepages")
_MIB = 2**20


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
