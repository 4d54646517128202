"""How long the full set of three regions takes, from a loaded spec to bytes.

python benchmarks/render.py [--json FILE]      # exit 1 above the bound
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from pathlib import Path

from holdfast.artifacts.catalog import render
from holdfast.spec.load import load

SPEC = Path(__file__).resolve().parent.parent / "examples" / "10-production" / "holdfast.yaml"
S_MAX, S_REACH, RUNS = 3.0, 0.5, 20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE")
    wanted = parser.parse_args()
    service, spent = load(SPEC), []
    for _run in range(RUNS):
        began = time.perf_counter()
        made = render(service)
        spent.append(time.perf_counter() - began)
    middle, worst = statistics.median(spent), max(spent)
    results = {
        "files": len(made.files),
        "regions": len(service.regions),
        "median_s": round(middle, 4),
        "worst_s": round(worst, 4),
        "bound_s": S_MAX,
        "reach_s": S_REACH,
    }
    machine = {"python": platform.python_version(), "machine": platform.machine()}
    document = {"results": results, "machine": machine, "runs": RUNS}
    if wanted.json:
        wanted.json.write_text(json.dumps(document, indent=2) + "\n")
    print(json.dumps(results))
    return 0 if worst < S_MAX else 1


if __name__ == "__main__":
    sys.exit(main())
