"""What a rule over several keys found."""

from __future__ import annotations

from dataclasses import dataclass

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Finding:
    """A rule that does not hold. A warning (``breaks`` is false) stops nothing.

    ``also``: other keys the rule looked at; while one of them is wrong by itself, the rule is
    not asked. ``private``: the line holds something that must not be repeated.
    """

    path: Path
    found: str
    wanted: str
    hint: str = ""
    also: tuple[Path, ...] = ()
    breaks: bool = True
    private: bool = False
