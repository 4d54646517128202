"""What the ledger costs: durable appends, proofs, checkpoints, audits. Measured on real files.

    python benchmarks/ledger.py --json ledger.json [--directory DIR] [--rounds 5]

An append is acknowledged when it is committed (WAL, fsync) and signed with Ed25519 and ML-DSA-44.
The floor is measured in the same rounds on the same disk: the same bytes written to a plain file
with one ``fdatasync`` per batch. Absolute figures belong to this disk; the ratios travel. The
median of the rounds is reported, with the least and the most.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import cryptography

from holdfast.ledger import Archive, Draft, Intact, Ledger
from holdfast.ledger.archive import public_keys
from holdfast.ledger.checkpoint import open_checkpoint
from holdfast.ledger.proof import check_proof

ORIGIN = "bench.example/ledger"
BODY = b'{"at":12.5,"is":"WeightReached","step":2,"note":"' + b"x" * 150 + b'"}'
BATCHES = (1, 16, 256)
Figures = dict[str, object]


def spread(values: Sequence[float]) -> Figures:
    return {
        "median": round(statistics.median(values), 1),
        "least": round(min(values), 1),
        "most": round(max(values), 1),
    }


def rate(count: int, work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return count / (time.perf_counter() - began)


def commits_for(batch: int) -> int:
    """Enough for a steady figure, few enough to stay quick on a slow disk."""
    return {1: 300, 16: 120}.get(batch, 30)


async def _append(ledger: Ledger, batch: int, commits: int, took: list[float]) -> None:
    for _ in range(commits):
        waiting = [ledger.append([Draft("bench", "Note", BODY, 1.7e9)]) for _ in range(batch)]
        began = time.perf_counter()
        await asyncio.gather(*waiting)
        took.append(time.perf_counter() - began)


def _floor(directory: Path, batch: int, commits: int) -> float:
    """Entries a second when the same bytes only go to the end of a file."""
    handle = os.open(directory / "floor", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write() -> None:
        for _ in range(commits):
            os.write(handle, BODY * batch)
            os.fdatasync(handle)

    found = rate(batch * commits, write)
    os.close(handle)
    return found


def appends(ledger: Ledger, directory: Path, batch: int, rounds: int) -> Figures:
    """``batch`` callers append at the same time; the ledger turns that into one commit."""
    commits = commits_for(batch)
    found: list[float] = []
    floor: list[float] = []
    took: list[float] = []
    for _ in range(rounds):  # alternating, so that a busy disk is busy for both
        work = _append(ledger, batch, commits, took)
        found.append(rate(batch * commits, partial(asyncio.run, work)))
        floor.append(_floor(directory, batch, commits))
    took.sort()
    return {
        "batch": batch,
        "entries_per_s": spread(found),
        "floor_per_s": spread(floor),
        "of_floor": round(statistics.median(found) / statistics.median(floor), 3),
        "commit_ms_p50": round(took[len(took) // 2] * 1e3, 3),
        "commit_ms_p99": round(took[len(took) * 99 // 100] * 1e3, 3),
    }


def proofs(ledger: Ledger, rounds: int) -> Figures:
    size, keys, count = ledger.size, public_keys(ledger.path), 200
    indices = [size * n // count for n in range(count)]
    texts = [ledger.prove(index) for index in indices]
    head = ledger.checkpoint()
    steps: dict[str, Callable[[], object]] = {
        "prove": lambda: [ledger.prove(index) for index in indices],
        "check_with_both_signatures": lambda: [check_proof(text, keys) for text in texts],
        "prove_consistency": lambda: [ledger.prove_consistency(index) for index in indices],
        "sign_checkpoint": lambda: [ledger._keys.sign(ledger.head(), 1) for _ in indices],
        "open_checkpoint": lambda: [open_checkpoint(head, keys) for _ in indices],
    }
    figures: Figures = {
        f"{name}_per_s": spread([rate(count, work) for _ in range(rounds)])
        for name, work in steps.items()
    }
    return {"entries": size, "proof_bytes": len(texts[-1]), **figures}


def reading(path: Path) -> Figures:
    began = time.perf_counter()
    with Ledger.open(path, ORIGIN) as ledger:
        opened = time.perf_counter() - began
        size = ledger.size
    with Archive.read(path) as archive:
        replayed = rate(size, lambda: sum(1 for _ in archive.replay("bench")))
        began = time.perf_counter()
        assert isinstance(archive.verify(), Intact)
        audited = time.perf_counter() - began
    return {
        "entries": size,
        "bytes_per_entry": round(path.stat().st_size / size, 1),
        "reopen_ms": round(opened * 1e3, 2),
        "replay_per_s": round(replayed),
        "audit_per_s": round(size / audited),
    }


def measure(directory: Path, rounds: int) -> Figures:
    path = directory / "home" / "ledger.db"
    with Ledger.open(path, ORIGIN) as ledger:
        rows = [appends(ledger, directory, batch, rounds) for batch in BATCHES]
        proven = proofs(ledger, rounds)
    return {"machine": machine(), "appends": rows, "proofs": proven, "reading": reading(path)}


def machine() -> Figures:
    return {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "cryptography": cryptography.__version__,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": os.cpu_count(),
        "load_1m": round(os.getloadavg()[0], 2),
    }


def show(figures: Figures) -> None:
    print(json.dumps(figures, indent=1))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="rounds; the median is reported")
    parser.add_argument("--directory", type=Path, help="a directory on the disk to measure")
    parser.add_argument("--json", type=Path, help="write the figures here")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=asked.directory) as directory:
        figures = measure(Path(directory), asked.rounds)
    show(figures)
    if asked.json:
        asked.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
