"""The model: a linear score per row, compared with an edge. Pure arithmetic, no sockets."""

from __future__ import annotations

import numpy as np

FEATURES = 8
ROW_BYTES = 4 * FEATURES
EDGE = np.float32(0.5)  # scores inside (-EDGE, EDGE) are not worth the spread: hold
RETURN = 7  # the feature that stands for the next tick's return: what a decision would have earned

#: Weights by version. Multiples of 1/8, so that tests can check decisions exactly.
WEIGHTS = {
    "v1": (0.5, -0.25, 0.125, 0.0, 0.375, -0.5, 0.25, 0.0),
    "v2": (0.5, -0.375, 0.25, 0.125, 0.375, -0.5, 0.125, 0.0),
}


class Model:
    """The decisions of one version; a version without own weights uses the newest."""

    def __init__(self, version: str) -> None:
        chosen = WEIGHTS.get(version, WEIGHTS["v2"])
        self.weights = np.array(chosen, dtype=np.float32)

    @staticmethod
    def problem(body: bytes) -> str | None:
        """Why this body is not a batch of rows, or None."""
        if not body:
            return "empty body: send at least one row"
        if len(body) % ROW_BYTES:
            return f"{len(body)} bytes are not whole rows of {ROW_BYTES} bytes"
        return None

    def decide(self, body: bytes) -> tuple[bytes, float]:
        """One int8 decision per row, and what they would have earned. NaN means hold."""
        rows = np.frombuffer(body, dtype="<f4").reshape(-1, FEATURES)
        with np.errstate(invalid="ignore", over="ignore"):
            score = rows @ self.weights
            decisions = (score > EDGE).view(np.int8) - (score < -EDGE).view(np.int8)
            pnl = float(decisions @ rows[:, RETURN])
        return decisions.tobytes(), pnl if np.isfinite(pnl) else 0.0
