"""What the engine says about itself, in Prometheus' text format."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager

BUCKETS_S = (0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25)


class Meters:
    """Counters of one process. Single-threaded, so plain numbers are enough."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.started = time.time()
        self.batches = self.decisions = self.failed = self.refused = 0
        self.pnl = 0.0
        self.latency_counts = [0] * (len(BUCKETS_S) + 1)
        self.latency_sum_s = 0.0

    @contextmanager
    def timing(self) -> Iterator[None]:
        began = time.perf_counter()
        yield
        took = time.perf_counter() - began
        self.latency_counts[bisect_left(BUCKETS_S, took)] += 1
        self.latency_sum_s += took

    def decided(self, decisions: int, pnl: float) -> None:
        self.batches += 1
        self.decisions += decisions
        self.pnl += pnl

    def exposition(self) -> str:
        lines = [
            _metric("engine_decisions_total", "counter", "decisions made", self.decisions),
            _metric("engine_batches_total", "counter", "batches answered", self.batches),
            _metric("engine_failed_total", "counter", "batches answered 500", self.failed),
            _metric("engine_refused_total", "counter", "malformed batches", self.refused),
            _metric("engine_pnl_simulated", "gauge", "what the decisions would earn", self.pnl),
            _metric("engine_start_time_seconds", "gauge", "unix time of start", self.started),
            *self._latency(),
            f'# TYPE engine_info gauge\nengine_info{{version="{self.version}"}} 1',
        ]
        return "\n".join(lines) + "\n"

    def _latency(self) -> Iterator[str]:
        yield "# HELP engine_decide_seconds time to decide one batch"
        yield "# TYPE engine_decide_seconds histogram"
        total = 0
        for bound, count in zip((*BUCKETS_S, None), self.latency_counts, strict=True):
            total += count
            edge = "+Inf" if bound is None else f"{bound:g}"
            yield f'engine_decide_seconds_bucket{{le="{edge}"}} {total}'
        yield f"engine_decide_seconds_sum {self.latency_sum_s:.9g}"
        yield f"engine_decide_seconds_count {total}"


def _metric(name: str, kind: str, says: str, value: float) -> str:
    return f"# HELP {name} {says}\n# TYPE {name} {kind}\n{name} {value:.15g}"
