"""Which machines the service's nodes are, and how many: by what an instance asks for.

Sizes are those of Amazon EC2's instance families of the seventh generation, and G6 for GPUs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from holdfast.spec.model import Service
from holdfast.spec.production.regions import Region

#: Cores of each size.
_SIZES = {"large": 2, "xlarge": 4, "2xlarge": 8, "4xlarge": 16, "8xlarge": 32, "16xlarge": 64}
#: GiB for each core, and the family that has them, least first.
_FAMILIES = ((2, "c7i", "c7g"), (4, "m7i", "m7g"), (8, "r7i", "r7g"))
#: GPUs, cores and GiB of those with GPUs.
_GPUS = (("g6.2xlarge", 1, 8, 32), ("g6.4xlarge", 1, 16, 64), ("g6.12xlarge", 4, 48, 192),
         ("g6.48xlarge", 8, 192, 768))  # fmt: skip
_GIB = 2**30
#: What the kubelet, the system and agents of each node take: a share, and memory.
_SHARE, _TAKEN = 0.9, 1.5 * _GIB
_APIECE = 2  # instances that fit on a node, so that a surge needs no new one


@dataclass(frozen=True, slots=True)
class Machine:
    """An instance type with what is left of it for instances of the service."""

    name: str
    cores: float
    memory: float  # bytes
    gpus: int = 0

    def holds(self, service: Service) -> int:
        """How many instances of the service fit on it."""
        asks, given = service.resources.requests, service.resources
        fits = [self.cores / asks.cpu, self.memory / (asks.memory + given.hugepages)]
        return int(min([*fits, self.gpus / given.gpus] if given.gpus else fits))


def arm(service: Service) -> bool:
    """Whether nodes are arm64: only where the image runs nowhere else."""
    return "linux/amd64" not in service.image.platforms


def machine(service: Service) -> Machine:
    """The smallest machine that holds two instances, or one with GPUs; the largest otherwise."""
    apiece = 1 if service.resources.gpus else _APIECE
    found = _with_gpus() if service.resources.gpus else _without(arm(service))
    return next((each for each in found if each.holds(service) >= apiece), found[-1])


def _without(on_arm: bool) -> list[Machine]:
    found = [
        Machine(f"{graviton if on_arm else intel}.{size}", *_left(cores, cores * ratio))
        for size, cores in _SIZES.items()
        for ratio, intel, graviton in _FAMILIES
    ]
    return sorted(found, key=lambda each: (each.cores, each.memory))


def _with_gpus() -> list[Machine]:
    return [Machine(name, *_left(cores, gib), gpus) for name, gpus, cores, gib in _GPUS]


def _left(cores: int, gib: int) -> tuple[float, float]:
    return cores * _SHARE, gib * _GIB * _SHARE - _TAKEN


@dataclass(frozen=True, slots=True)
class Count:
    """How many nodes a region has."""

    least: int
    most: int


def count(service: Service, region: Region) -> Count:
    """At least one in each zone, enough for every instance, and for those that a surge adds."""
    each = max(1, machine(service).holds(service))
    replicas = service.replicas if region.replicas is None else region.replicas
    most = service.autoscaling.max or 3 * replicas
    least = max(region.zones, math.ceil(replicas / each))
    return Count(least, max(least, math.ceil(most / each)) + region.zones)
