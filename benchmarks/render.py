"""How long the full set of three regions takes: in a process that runs, and with its start.

python benchmarks/render.py [--json FILE]      # exit 1 above the bound

Where kustomize is (``KUBEBUILDER_ASSETS`` or the PATH), it builds one overlay of that set in the
same run: another renderer of YAML on the same machine, though it reads files and writes one.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from holdfast.artifacts.catalog import render
from holdfast.spec.load import load

SPEC = Path(__file__).resolve().parent.parent / "examples" / "10-production" / "holdfast.yaml"
OVERLAY = "kubernetes/overlays/us-east"
S_MAX, S_REACH, RUNS, STARTS = 3.0, 0.5, 20, 5


def spent(work: Callable[[], object], runs: int) -> list[float]:
    found = []
    for _run in range(runs):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return found


def process(*words: str) -> None:
    subprocess.run(words, stdout=subprocess.DEVNULL, check=True)


def started(place: Path) -> list[float]:
    """``holdfast render`` as a person runs it, into an empty directory each time."""

    def work() -> None:
        shutil.rmtree(place, ignore_errors=True)
        process(sys.executable, "-m", "holdfast.cli", "render", "-f", str(SPEC), "-o", str(place))

    return spent(work, STARTS)


def kustomize() -> str | None:
    places = os.pathsep.join([os.environ.get("KUBEBUILDER_ASSETS", ""), os.environ["PATH"]])
    return shutil.which("kustomize", path=places)


def measure() -> dict[str, dict[str, float]]:
    service = load(SPEC)
    made = render(service)
    warm = spent(lambda: render(service), RUNS)
    with tempfile.TemporaryDirectory() as place:
        cold = started(Path(place) / "out")
        built = overlay(str(Path(place) / "out" / OVERLAY))
    results = {
        "files": len(made.files),
        "regions": len(service.regions),
        "median_s": round(statistics.median(warm), 4),
        "worst_s": round(max(warm), 4),
        "with_start_and_writing_median_s": round(statistics.median(cold), 4),
        "bound_s": S_MAX,
        "reach_s": S_REACH,
    }
    ratios = {}
    if built:
        results["kustomize_build_of_one_overlay_median_s"] = round(built, 4)
        ratio = statistics.median(cold) / built
        ratios["holdfast_render_of_all_to_kustomize_build_of_one_overlay"] = round(ratio, 2)
    return {"results": results, "ratios": ratios}


def overlay(place: str) -> float:
    """Seconds of ``kustomize build``; 0: it is not here."""
    found = kustomize()
    return statistics.median(spent(lambda: process(found, "build", place), STARTS)) if found else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE")
    wanted = parser.parse_args()
    found = measure()
    machine = {"python": platform.python_version(), "machine": platform.machine()}
    if wanted.json:
        document = {**found, "machine": machine, "runs": RUNS}
        wanted.json.write_text(json.dumps(document, indent=2) + "\n")
    print(json.dumps(found))
    return 0 if found["results"]["worst_s"] < S_MAX else 1


if __name__ == "__main__":
    sys.exit(main())
