"""Advice on saturation metrics (memory, CPU per request, queue length): two small series compared.

Advisory by design. The counts of requests decide (``rollout/verdict.py``); a rank test on series is
slow, blind to sparse errors and to a change of spread, and its users know it (spinnaker #6278,
kayenta #426, #780; each is a test). So there are two answers side by side:

- ``kayenta``: what Kayenta's classifier says for the same series (Mann-Whitney, two-sided 98 %
  interval of the Hodges-Lehmann shift, High above a quarter of the shift), for those who compare.
- ``advice``: the rank test's own p-value plus a minimum effect. It needs ten points on each arm.

Fewer than five points are refused: with two the false alarm rate is 12 %, with three 2 to 3 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from math import copysign, erfc, isfinite, sqrt

POINTS_MIN = 5
POINTS_ADVICE = 10
POINTS_EXACT = (
    20  # up to so many on each arm the exact distribution is used, when there are no ties
)
POINTS_MAX = 200  # the newest ones count; all pairs are formed
SIGNIFICANCE = 0.02
Z_98 = 2.3263478740408408
TOLERANCE = 0.25  # Kayenta's: the interval must clear this share of the estimated shift


class Label(StrEnum):
    HIGH = "high"
    LOW = "low"
    SAME = "same"
    TOO_FEW = "too-few"


@dataclass(frozen=True, slots=True)
class Advice:
    """What two series say. ``shift``: Hodges-Lehmann, with its 98 % interval."""

    advice: Label
    kayenta: Label
    detail: str
    p_value: float = 1.0
    shift: float = 0.0
    low: float = 0.0
    high: float = 0.0


def advise(new: Sequence[float], old: Sequence[float], ratio_tolerated: float = 1.25) -> Advice:
    """Compare a saturation metric of the new release with the control's."""
    new, old = _finite(new), _finite(old)
    points = min(len(new), len(old))
    if points < POINTS_MIN:
        said = f"{len(new)} and {len(old)} points; a comparison needs {POINTS_MIN} on each arm"
        return Advice(Label.TOO_FEW, Label.TOO_FEW, said)
    p_value = mann_whitney(new, old)
    shift, low, high = hodges_lehmann(new, old)
    kayenta = _as_kayenta(new, old, (shift, low, high))
    advice = _advice(new, old, p_value, ratio_tolerated)
    said = (
        f"mean {_mean(new):.4g} against {_mean(old):.4g}, shift {shift:.4g}"
        f" ({low:.4g} to {high:.4g}), p {p_value:.2g}, {len(new)} and {len(old)} points"
    )
    if points < POINTS_ADVICE:
        said += f"; advice needs {POINTS_ADVICE} on each arm"
    return Advice(advice, kayenta, said, p_value, shift, low, high)


def _advice(new: Sequence[float], old: Sequence[float], p_value: float, tolerated: float) -> Label:
    if min(len(new), len(old)) < POINTS_ADVICE:
        return Label.TOO_FEW
    if p_value > SIGNIFICANCE:
        return Label.SAME
    above, below = _mean(new), _mean(old)
    if above > tolerated * below:
        return Label.HIGH
    return Label.LOW if above * tolerated < below else Label.SAME


def _as_kayenta(
    new: Sequence[float], old: Sequence[float], interval: tuple[float, float, float]
) -> Label:
    shift, low, high = interval
    bound = TOLERANCE * abs(shift)
    ratio = _mean(new) / _mean(old) if _mean(old) else float("inf")
    if low > bound and ratio >= 1:
        return Label.HIGH
    return Label.LOW if high < -bound and ratio <= 1 else Label.SAME


# ---- Mann-Whitney -------------------------------------------------------------------------------


def mann_whitney(new: Sequence[float], old: Sequence[float]) -> float:
    """Two-sided p-value: exact for small samples without ties, else normal with corrections."""
    n, m = len(new), len(old)
    if max(n, m) <= POINTS_EXACT and not _ties([*new, *old]):
        u = round(_u(new, old))
        return min(1.0, 2 * _lower_tail(n, m, min(u, n * m - u)))
    return erfc(abs(_z(new, old)) / sqrt(2))


def _u(new: Sequence[float], old: Sequence[float]) -> float:
    return _rank_sum(new, [*new, *old]) - len(new) * (len(new) + 1) / 2


def _z(new: Sequence[float], old: Sequence[float]) -> float:
    """U as a normal deviate, corrected for continuity and for ties; above 0: ``new`` is larger."""
    n, m = len(new), len(old)
    total = n + m
    ties = _ties([*new, *old])
    variance = n * m / 12 * (total + 1 - ties / (total * (total - 1)))
    away = _u(new, old) - n * m / 2
    if variance <= 0 or abs(away) <= 0.5:
        return 0.0
    return copysign(abs(away) - 0.5, away) / sqrt(variance)


def _rank_sum(part: Sequence[float], joined: Sequence[float]) -> float:
    ranks: dict[float, float] = {}
    place = 0
    for value, count in _counts(joined):
        ranks[value] = place + (count + 1) / 2
        place += count
    return sum(ranks[value] for value in part)


def _ties(joined: Sequence[float]) -> int:
    return sum(count**3 - count for _, count in _counts(joined))


def _counts(values: Sequence[float]) -> list[tuple[float, int]]:
    counts: dict[float, int] = {}
    for value in sorted(values):
        counts[value] = counts.get(value, 0) + 1
    return list(counts.items())


def _lower_tail(n: int, m: int, u: int) -> float:
    ways = _ways(n, m)
    return sum(ways[: u + 1]) / sum(ways)


@lru_cache(maxsize=512)
def _ways(n: int, m: int) -> tuple[int, ...]:
    """In how many orders U takes each value: the Gaussian binomial coefficient of n+m over n."""
    ways = [1] + [0] * (n * m)
    for i in range(1, n + 1):
        for u in range(n * m, m + i - 1, -1):
            ways[u] -= ways[u - m - i]
        for u in range(i, n * m + 1):
            ways[u] += ways[u - i]
    return tuple(ways)


# ---- Hodges-Lehmann -----------------------------------------------------------------------------


def hodges_lehmann(new: Sequence[float], old: Sequence[float]) -> tuple[float, float, float]:
    """The median of all differences, and its 98 % interval."""
    differences = sorted(a - b for a in new for b in old)
    last = len(differences) - 1
    middle = (differences[last // 2] + differences[(last + 1) // 2]) / 2
    if _ties([*new, *old]):
        return middle, _lowest(new, old, differences), -_lowest(old, new, _mirrored(differences))
    skip = _skip(len(new), len(old))
    return middle, differences[skip], differences[last - skip]


def _lowest(new: Sequence[float], old: Sequence[float], differences: list[float]) -> float:
    """With ties: the smallest shift above which the rank test no longer objects.

    As R's ``wilcox.test`` does, and so Kayenta; R's root finder stops up to 1e-4 beside it.
    """
    shifts = sorted(set(differences))
    low, high = 0, len(shifts) - 1
    while low < high:
        at = (low + high) // 2
        between = (shifts[at] + shifts[at + 1]) / 2
        if _z([value - between for value in new], old) > Z_98:
            low = at + 1
        else:
            high = at
    return shifts[low]


def _mirrored(differences: list[float]) -> list[float]:
    return [-difference for difference in differences]


def _skip(n: int, m: int) -> int:
    """How many of the sorted differences lie outside the interval on each side."""
    if max(n, m) <= POINTS_EXACT:
        skip = 0
        while _lower_tail(n, m, skip) <= SIGNIFICANCE / 2:
            skip += 1
        return max(skip - 1, 0) if skip else 0
    deviation = sqrt(n * m * (n + m + 1) / 12)
    return max(0, round(n * m / 2 - Z_98 * deviation))


def _finite(values: Sequence[float]) -> list[float]:
    """Missing points are no zeros: they are left out."""
    return [value for value in values if isfinite(value)][-POINTS_MAX:]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
