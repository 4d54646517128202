"""Draws that the standard library lacks, from a seeded generator and in bounded time."""

from __future__ import annotations

import math
import random


def binomial(dice: random.Random, n: int, p: float) -> int:
    """Successes of ``n`` trials: exact for few, by Poisson or the normal curve for many."""
    if n <= 0 or p <= 0:
        return 0
    if p >= 1:
        return n
    if n <= 16:
        return sum(dice.random() < p for _ in range(n))
    mean = n * p
    if mean < 20:
        return min(n, poisson(dice, mean))
    return min(n, max(0, round(dice.gauss(mean, math.sqrt(mean * (1 - p))))))


def poisson(dice: random.Random, mean: float) -> int:
    if mean >= 50:
        return max(0, round(dice.gauss(mean, math.sqrt(mean))))
    count, product, limit = 0, dice.random(), math.exp(-mean)
    while product > limit:
        count += 1
        product *= dice.random()
    return count


def clumped(dice: random.Random, n: int, p: float, burst: float) -> int:
    """Like ``binomial``, but failures come in clumps of mean size ``burst``."""
    if burst <= 1:
        return binomial(dice, n, p)
    clumps = poisson(dice, n * p / burst)
    return min(n, sum(1 + int(dice.expovariate(1 / (burst - 0.5))) for _ in range(clumps)))
