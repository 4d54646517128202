"""``resources``: what one instance asks for and may use at most."""

from __future__ import annotations

from pydantic import Field

from holdfast.spec.kinds import Count, Number, Size
from holdfast.spec.section import Section


class Amount(Section):
    """Processor and memory."""

    cpu: Number = Field(default=2.0, gt=0, le=1024, description="cores; 0.5 is half of one")
    memory: Size = Field(default=4 * 2**30, description="memory")


class Limit(Amount):
    """Processor and memory at most."""

    cpu: Number = Field(default=4.0, gt=0, le=1024, description="cores; 0.5 is half of one")
    memory: Size = Field(default=8 * 2**30, description="memory; more is killed")


class Resources(Section):
    """What one instance asks for, and what it may use at most."""

    requests: Amount = Field(default=Amount(), description="reserved for it")
    limits: Limit = Field(default=Limit(), description="never more than this")
    hugepages: Size = Field(default=0, description="memory in 2 MiB pages; 0B: none")
    gpus: Count = Field(default=0, ge=0, le=64, description="GPUs of one instance")
