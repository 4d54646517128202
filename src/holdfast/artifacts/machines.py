"""Which machine a node is, how many instances it holds, and how many nodes a region has.

Sizes of Amazon's machines of the seventh generation (c7, m7, r7) and of those with GPUs (g6), from
its instance type pages.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from holdfast.artifacts import names
from holdfast.spec.model import Service
from holdfast.spec.production.regions import Region

_GIB = 2**30
#: Kept free for the kubelet, the system and agents of every node.
RESERVED_CPU, RESERVED_MEMORY = 1.0, 3 * _GIB
_WANTED = 2  # instances a node should hold: less and a node is lost to what it keeps free


@dataclass(frozen=True, slots=True)
class Machine:
    kind: str
    cpu: int
    memory: int  # bytes
    gpus: int = 0


#: Cores of each size.
_SIZES = {"large": 2, "xlarge": 4, "2xlarge": 8, "4xlarge": 16, "8xlarge": 32, "16xlarge": 64}
#: GiB for each core, and the family that has them on either architecture, least first.
_FAMILIES = ((2, "c7i", "c7g"), (4, "m7i", "m7g"), (8, "r7i", "r7g"))
_GPU_SIZES = (("xlarge", 4, 1), ("2xlarge", 8, 1), ("4xlarge", 16, 1), ("8xlarge", 32, 1),
              ("12xlarge", 48, 4), ("48xlarge", 192, 8))  # fmt: skip
CONTROL = Machine("m7i.xlarge", 4, 16 * _GIB)


def arm(service: Service) -> bool:
    """Whether nodes are arm64: only where the image runs nowhere else."""
    return "linux/amd64" not in service.image.platforms


def machines(service: Service) -> tuple[Machine, ...]:
    """Those that can run the image, smallest first."""
    if service.resources.gpus:
        return tuple(Machine(f"g6.{n}", c, 4 * c * _GIB, g) for n, c, g in _GPU_SIZES)
    found = [
        Machine(f"{graviton if arm(service) else intel}.{size}", cpu, cpu * ratio * _GIB)
        for size, cpu in _SIZES.items()
        for ratio, intel, graviton in _FAMILIES
    ]
    return tuple(found)


def machine(service: Service) -> Machine:
    """The smallest that holds enough instances, or else the one that holds most."""
    known, wanted = machines(service), 1 if service.resources.gpus else _WANTED
    enough = [each for each in known if held(service, each) >= wanted]
    return enough[0] if enough else max(known, key=lambda each: held(service, each))


def held(service: Service, on: Machine) -> int:
    """Instances that a machine has room for."""
    asked = service.resources
    by_cpu = (on.cpu - RESERVED_CPU) // asked.requests.cpu
    by_memory = (on.memory - RESERVED_MEMORY) // (asked.requests.memory + asked.hugepages)
    by_gpu = on.gpus // asked.gpus if asked.gpus else by_cpu
    return int(min(by_cpu, by_memory, by_gpu))


def huge_pages(service: Service) -> int:
    """Pages of 2 MiB that a node sets aside for all the instances it holds."""
    instances = max(1, held(service, machine(service)))
    return instances * service.resources.hugepages // (2 * 2**20)


def tuned(service: Service) -> bool:
    """Whether instances get cores of their own, huge pages, GPUs or network cards."""
    given = service.resources
    return service.run.affinity != "none" or bool(
        given.hugepages or given.gpus or service.kubernetes.sriov.functions
    )


@dataclass(frozen=True, slots=True)
class Count:
    """How many nodes a region has."""

    least: int
    most: int


def count(service: Service, region: Region) -> Count:
    """At least one in each zone, enough for every instance, and for those that a surge adds."""
    each, replicas = max(1, held(service, machine(service))), names.replicas(service, region)
    most = service.autoscaling.max or 3 * replicas
    least = max(region.zones, math.ceil(replicas / each))
    return Count(least, max(least, math.ceil(most / each)) + region.zones)
