"""Durations, sizes and rates as people write them, and back.

Durations are seconds (float), sizes are bytes (int), rates are per second (float).
"""

from __future__ import annotations

import math
import re

_DURATION = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = {
    "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30,
}  # fmt: skip
_RATE = {"/s": 1.0, "/m": 1 / 60.0, "/h": 1 / 3600.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m|h|d)")


def parse_duration(text: object) -> float:
    """``"250ms"``, ``"1h30m"``, ``"90s"``; a bare number is refused because it has no unit."""
    written = text.strip() if isinstance(text, str) else ""
    parts = _PART.findall(written)
    if parts and "".join(number + unit for number, unit in parts) == written:
        seconds = sum(float(number) * _DURATION[unit] for number, unit in parts)
        if math.isfinite(seconds):
            return seconds
    raise ValueError(f"found {text!r}, wanted a duration with a unit, such as 250ms, 30s, 1h30m")


def parse_size(text: str | int) -> int:
    """``"50MB"``, ``"512MiB"``, ``"8Gi"``."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]i?B?|B)", str(text).strip())
    if match and match[2] in _SIZE:
        return int(float(match[1]) * _SIZE[match[2]])
    raise ValueError(f"found {text!r}, wanted a size with a unit, such as 50MB, 512MiB, 8Gi")


def parse_rate(text: str | int | float) -> float:
    """``"1000000/s"``, ``"300/m"``; underscores may group digits."""
    match = re.fullmatch(r"(\d[\d_]*(?:\.\d+)?)\s*(/[smh])", str(text).strip())
    if match:
        return float(match[1].replace("_", "")) * _RATE[match[2]]
    raise ValueError(f"found {text!r}, wanted a rate, such as 1000000/s or 300/m")


def show_duration(seconds: float) -> str:
    """The shortest honest form: ``0.7 ms``, ``12.3 s``, ``4 m 10 s``, ``2 h 5 m``."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} us"
    if seconds < 1:
        return f"{seconds * 1e3:.3g} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} m {int(seconds % 60)} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} m"
