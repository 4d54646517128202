"""What a check found. Here, below everything that checks, so that all findings look alike. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """``error`` fails a check; ``warning`` is said and fails nothing."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong in one artifact.

    ``rule`` is ``checker/name``, such as ``promtool/syntax`` or ``holdfast/selector``: waivers
    name it. ``line`` counts from 1; 0 where a checker names no line. ``key`` is the spec key to
    change, empty where it is not known.
    """

    rule: str
    artifact: str  # path in the rendered set
    found: str
    wanted: str = ""
    line: int = 0
    key: str = ""
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        where = f"{self.artifact}:{self.line}" if self.line else self.artifact
        wanted = f", wanted {self.wanted}" if self.wanted else ""
        change = f" (change {self.key})" if self.key else ""
        return f"{where}: {self.rule}: found {self.found}{wanted}{change}"
