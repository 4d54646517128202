"""How long ``holdfast --help`` takes: wall time of the whole process, median and worst.

python benchmarks/startup.py --json benchmarks/results/startup.json
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from holdfast.drills.meters import machine_facts

RUNS = 15
HOLD_MS, REACH_MS = 300, 120
COMMANDS = {
    "python -I -c pass": [sys.executable, "-I", "-c", "pass"],
    "holdfast --help": [sys.executable, "-m", "holdfast.cli", "--help"],
    "holdfast --version": [sys.executable, "-m", "holdfast.cli", "--version"],
    "holdfast deploy --help": [sys.executable, "-m", "holdfast.cli", "deploy", "--help"],
}


def wall_ms(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - began) * 1e3


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args(argv)
    results = {}
    for name, command in COMMANDS.items():
        wall_ms(command)  # the first run reads from disk
        took = [wall_ms(command) for _ in range(RUNS)]
        results[name] = {"median_ms": statistics.median(took), "worst_ms": max(took)}
    median = results["holdfast --help"]["median_ms"]
    document = {
        "machine": machine_facts(),
        "results": {n: {k: round(v, 1) for k, v in r.items()} for n, r in results.items()},
        "ratios": {"holdfast --help / python": round(
            median / results["python -I -c pass"]["median_ms"], 1)},
        "hold_ms": HOLD_MS, "reach_ms": REACH_MS, "holds": median < HOLD_MS,
    }  # fmt: skip
    text = json.dumps(document, indent=1)
    if asked.json:
        asked.json.parent.mkdir(parents=True, exist_ok=True)
        asked.json.write_text(text + "\n")
    print(text)
    return 0 if median < HOLD_MS else 1


if __name__ == "__main__":
    sys.exit(main())
