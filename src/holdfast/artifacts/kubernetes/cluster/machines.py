"""Which machine a node is, and how many instances it holds.

Sizes of Amazon's general (m7) and GPU (g6) machines, from its instance type pages.
"""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.spec.model import Service

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


_SIZES = (("xlarge", 4), ("2xlarge", 8), ("4xlarge", 16), ("8xlarge", 32), ("12xlarge", 48),
          ("16xlarge", 64))  # fmt: skip
_GPU_SIZES = (("xlarge", 4, 1), ("2xlarge", 8, 1), ("4xlarge", 16, 1), ("8xlarge", 32, 1),
              ("12xlarge", 48, 4), ("48xlarge", 192, 8))  # fmt: skip
CONTROL = Machine("m7i.xlarge", 4, 16 * _GIB)


def machines(service: Service) -> tuple[Machine, ...]:
    """Those that can run the image, smallest first; four GiB of memory for each core."""
    if service.resources.gpus:
        return tuple(Machine(f"g6.{n}", c, 4 * c * _GIB, g) for n, c, g in _GPU_SIZES)
    family = "m7i" if "linux/amd64" in service.image.platforms else "m7g"
    return tuple(Machine(f"{family}.{name}", cpu, 4 * cpu * _GIB) for name, cpu in _SIZES)


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
