"""What a load run saw, request by request, and the questions a drill asks of it.

Times are ``CLOCK_MONOTONIC`` seconds, which all processes of one Linux machine share, so the moment
of a command in the drill and the moment of an answer in the generator can be compared. Latency is
counted from the instant the schedule intended, never from the instant of sending: a generator
that waits for a slow server cannot hide the wait (no coordinated omission).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from hdrh.histogram import HdrHistogram
from numpy.typing import NDArray

OK = "ok"
HIGHEST_US = 120_000_000
WAKE_MS_MAX = 50.0  # later than this, the schedule was not held
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Window:
    """From ``start`` to before ``end``, monotonic seconds."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        return max(0.0, self.end - self.start)


@dataclass(frozen=True, slots=True)
class Slice:
    """One bin of the time series."""

    at: float  # seconds since the run began
    requests: int
    failures: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    versions: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Record:
    """All requests of one run. The arrays are parallel, in order of the schedule."""

    start: float  # monotonic: request i was intended at start + intended[i]
    intended: Floats
    sent: Floats  # nan: never sent, its time was over while it waited
    done: Floats
    kind: NDArray[np.uint8]
    who: NDArray[np.uint8]
    kinds: tuple[str, ...]  # kinds[0] is OK
    versions: tuple[str, ...]  # versions[0] is "": nobody answered
    plan: dict[str, Any]
    facts: dict[str, Any]

    # ---- selection

    def within(self, *windows: Window | None) -> NDArray[np.bool_]:
        """Which requests were intended inside any of the windows; no window means all."""
        if not windows or None in windows:
            return np.ones(len(self.intended), dtype=bool)
        at = self.intended + self.start
        inside = np.zeros(len(at), dtype=bool)
        for window in windows:
            if window is not None:
                inside |= (at >= window.start) & (at < window.end)
        return inside

    @property
    def window(self) -> Window:
        """The whole run."""
        last = float(self.intended[-1]) if len(self.intended) else 0.0
        return Window(self.start, self.start + last + 1e-6)

    # ---- counting

    def requests(self, window: Window | None = None) -> int:
        return int(self.within(window).sum())

    def failures(self, window: Window | None = None) -> dict[str, int]:
        """Failed requests by kind; empty when there were none."""
        counts = np.bincount(self.kind[self.within(window)], minlength=len(self.kinds))
        return {k: int(n) for k, n in zip(self.kinds, counts, strict=True) if n and k != OK}

    def failed(self, window: Window | None = None) -> int:
        return sum(self.failures(window).values())

    def answered_by(self, window: Window | None = None) -> dict[str, int]:
        counts = np.bincount(self.who[self.within(window)], minlength=len(self.versions))
        return {v: int(n) for v, n in zip(self.versions, counts, strict=True) if n and v}

    def answered(self, window: Window) -> int:
        """Right answers that arrived inside the window, whenever they were asked for."""
        at = self.done + self.start
        return int(((self.kind == 0) & (at >= window.start) & (at < window.end)).sum())

    def last_answer(self, version: str) -> float | None:
        """Monotonic time of the last answer this version gave, good or bad."""
        if version not in self.versions:
            return None
        done = self.done[self.who == self.versions.index(version)]
        return self.start + float(np.nanmax(done)) if len(done) else None

    def answer_gap_s(self, version: str, before: float, over_s: float = 2.0) -> float:
        """Mean seconds between this version's answers in the time before a moment; nan: none."""
        if version not in self.versions:
            return float("nan")
        at = self.done[self.who == self.versions.index(version)] + self.start
        answers = int(((at >= before - over_s) & (at < before)).sum())
        return over_s / answers if answers else float("nan")

    def first_answer(self, version: str) -> float | None:
        if version not in self.versions:
            return None
        done = self.done[self.who == self.versions.index(version)]
        return self.start + float(np.nanmin(done)) if len(done) else None

    # ---- latency

    def latencies_ms(self, *windows: Window | None) -> Floats:
        """Of every request that got any answer or ran out of time; intended to done."""
        chosen = self.within(*windows)
        took: Floats = (self.done[chosen] - self.intended[chosen]) * 1e3
        return took[~np.isnan(took)]

    def histogram(self, *windows: Window | None) -> HdrHistogram:
        """Microseconds, three significant digits."""
        whole = HdrHistogram(1, HIGHEST_US, 3)
        us = np.clip(self.latencies_ms(*windows) * 1e3, 1, HIGHEST_US).astype(np.int64)
        for value, count in zip(*np.unique(us, return_counts=True), strict=True):
            whole.record_value(int(value), int(count))
        return whole

    def percentile_ms(self, percent: float, *windows: Window | None) -> float:
        """From the histogram; nan when nothing was measured."""
        histogram = self.histogram(*windows)
        if not histogram.get_total_count():
            return float("nan")
        return float(histogram.get_value_at_percentile(percent)) / 1e3

    # ---- the generator's own honesty

    def lag_ms(self, percent: float = 99.0, window: Window | None = None) -> float:
        """How late the generator itself woke up to send, not waits for a free connection."""
        woke = self._lags_ms(window)
        return float(np.percentile(woke, percent)) if len(woke) else 0.0

    def held_rate(self, window: Window | None = None) -> float:
        """Share of the schedule at which the generator was in time to send what was due.

        By time, not by wake-ups: one sleep of two seconds is one late wake-up of thousands. A
        server that keeps all connections busy does not lower it: that is the server's doing, and
        shows as latency and as timeouts.
        """
        woke = self._lags_ms(window)
        if not len(woke):
            return 0.0
        late_s = float(np.clip(woke - WAKE_MS_MAX, 0, None).sum()) / 1e3
        return max(0.0, 1.0 - late_s / (window or self.window).seconds)

    def _lags_ms(self, window: Window | None) -> Floats:
        woke = np.asarray(self.facts["wake_lag_ms"], dtype=np.float64)
        if window is None:
            return woke
        at = np.asarray(self.facts["wake_at"], dtype=np.float64) + self.start
        return woke[(at >= window.start) & (at < window.end)]

    # ---- series

    def series(self, bin_s: float = 0.1) -> list[Slice]:
        if not len(self.intended):
            return []
        bins = (self.intended / bin_s).astype(np.int64)
        edges = np.searchsorted(bins, np.arange(bins[-1] + 2))
        spans = itertools.pairwise(edges.tolist())
        return [self._slice(i * bin_s, slice(a, b)) for i, (a, b) in enumerate(spans) if b > a]

    def _slice(self, at: float, rows: slice) -> Slice:
        took = (self.done[rows] - self.intended[rows]) * 1e3
        took = took[~np.isnan(took)]
        p50, p99, top = np.percentile(took, (50, 99, 100)) if len(took) else (np.nan,) * 3
        who = np.bincount(self.who[rows], minlength=len(self.versions))
        return Slice(
            at=round(at, 6),
            requests=rows.stop - rows.start,
            failures=int((self.kind[rows] != 0).sum()),
            p50_ms=float(p50),
            p99_ms=float(p99),
            max_ms=float(top),
            versions={v: int(n) for v, n in zip(self.versions, who, strict=True) if v and n},
        )

    # ---- keeping

    def summary(self) -> dict[str, Any]:
        """Plain numbers for people and for JSON."""
        lat = {f"p{q:g}_ms": _round(self.percentile_ms(q)) for q in (50, 90, 99, 99.9, 100)}
        return {
            "requests": self.requests(),
            "failed": self.failed(),
            "failures": self.failures(),
            "answered_by": self.answered_by(),
            **lat,
            "held_rate": round(self.held_rate(), 6),
            "lag_p99_ms": _round(self.lag_ms()),
            "start_monotonic": self.start,
            "plan": self.plan,
            "loop": self.facts.get("loop", ""),
        }

    def save(self, path: Path) -> None:
        names = {
            "start": self.start, "kinds": self.kinds, "versions": self.versions,
            "plan": self.plan, "facts": self.facts,
        }  # fmt: skip
        with path.open("wb") as file:
            np.savez(
                file, intended=self.intended, sent=self.sent, done=self.done,
                kind=self.kind, who=self.who, names=np.array(json.dumps(names)),
            )  # fmt: skip

    @classmethod
    def load(cls, path: Path) -> Record:
        with np.load(path, allow_pickle=False) as kept:
            names = json.loads(str(kept["names"]))
            arrays = {n: kept[n] for n in ("intended", "sent", "done", "kind", "who")}
        lists: dict[str, Any] = {key: tuple(names.pop(key)) for key in ("kinds", "versions")}
        return cls(**arrays, **lists, **names)


def _round(value: float, digits: int = 3) -> float | None:
    return None if np.isnan(value) else round(float(value), digits)


def rolling(series: list[Slice], pick: Callable[[Slice], float]) -> tuple[Floats, Floats]:
    """The series as two arrays, ready to be drawn."""
    return np.array([s.at for s in series]), np.array([pick(s) for s in series], dtype=np.float64)
