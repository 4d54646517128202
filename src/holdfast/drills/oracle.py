"""What the trading engine must answer, worked out by other arithmetic than the engine's own.

Features are multiples of 1/8 and so are the weights: every score is exact in any order of adding,
in any precision, and the decision is beyond doubt. A release that gives another release's answer
under its own name is told apart, because the versions decide some rows differently.
"""

from __future__ import annotations

import numpy as np

FEATURES = 8
EIGHTHS_MAX = 24  # features lie within [-3, 3]
HOLD_BELOW = 4 * 8  # a score of 1/2, in units of 1/64
#: In eighths. Written down a second time on purpose: an oracle that asks the engine is none.
FIRST = (4, -2, 1, 0, 3, -4, 2, 0)
NEWEST = (4, -3, 2, 1, 3, -4, 1, 0)


def batch(rows: int, seed: int = 7) -> bytes:
    """Rows for ``POST /decide``: the same bytes for the same seed, everywhere."""
    return (_eighths(rows, seed) / 8).astype("<f4").tobytes()


def answers(rows: int, seed: int = 7) -> tuple[dict[str, bytes], bytes]:
    """The right answer to that batch of v1, and the one of every later version."""
    eighths = _eighths(rows, seed).tolist()
    return {"v1": _decide(eighths, FIRST)}, _decide(eighths, NEWEST)


def _eighths(rows: int, seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    drawn = np.random.default_rng(seed)
    return drawn.integers(-EIGHTHS_MAX, EIGHTHS_MAX + 1, (rows, FEATURES), dtype=np.int64)


def _decide(rows: list[list[int]], weights: tuple[int, ...]) -> bytes:
    scores = (sum(f * w for f, w in zip(row, weights, strict=True)) for row in rows)
    return bytes(1 if s > HOLD_BELOW else 255 if s < -HOLD_BELOW else 0 for s in scores)
