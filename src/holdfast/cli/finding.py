"""One thing that ``holdfast doctor`` looked at."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One checked thing. ``costs`` and ``fix`` are empty where nothing is wrong."""

    subject: str
    mark: Literal["ok", "warn", "fail"]
    says: str
    costs: str = ""
    fix: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)
