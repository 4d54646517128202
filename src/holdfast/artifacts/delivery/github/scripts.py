"""Scripts that workflows call; standard library only."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.artifacts.artifact import Artifact
from holdfast.artifacts.delivery.objects import GITHUB
from holdfast.spec.model import Service

_REGRESSION = r'''#!/usr/bin/env python3
import json
import pathlib
import re
import statistics
import sys

UNITS = {"ns": 1e-9, "us": 1e-6, "\u00b5s": 1e-6, "\u03bcs": 1e-6, "ms": 1e-3, "s": 1.0}
GO = re.compile(r"^(Benchmark\S+?)(?:-\d+)?\s+\d+\s+([\d.]+) ns/op", re.M)
LIBTEST = re.compile(r"^test (\S+)\s+\.\.\. bench:\s+([\d,.]+) ns/iter", re.M)
CRITERION = re.compile(r"^(\S[^\n]*?)\s+time:\s+\[\S+ \S+ ([\d.]+) (\S+) ", re.M)
SAID = re.compile(r'^\{"name".*\}$', re.M)


def seconds(text):
    """Name and seconds of everything that Go, Rust or a program of one's own measured."""
    for name, value in GO.findall(text):
        yield name, float(value) * 1e-9
    for name, value in LIBTEST.findall(text):
        yield name, float(value.replace(",", "")) * 1e-9
    for name, value, unit in CRITERION.findall(text):
        yield name, float(value) * UNITS[unit]
    for line in SAID.findall(text):
        said = json.loads(line)
        yield said["name"], float(said["value"]) * UNITS[said.get("unit", "s")]


def pytest_benchmark(path):
    for each in json.loads(path.read_text())["benchmarks"]:
        yield each["fullname"], each["stats"]["median"]


def measured(folder):
    """Name -> the median over all rounds."""
    found = {}
    for path in sorted(pathlib.Path(folder).glob("*/*")):
        if path.name == "benchmark.json":
            pairs = pytest_benchmark(path)
        elif path.suffix == ".txt":
            pairs = seconds(path.read_text(errors="replace"))
        else:
            continue
        for name, value in pairs:
            found.setdefault(name, []).append(value)
    return {name: statistics.median(values) for name, values in found.items()}


def main(tolerated, base, head):
    before, after = measured(base), measured(head)
    if not after:
        sys.exit("no benchmark said a number that is understood")
    print("| benchmark | before | after | change |\n|---|---|---|---|")
    worse = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            print(f"| {name} | {old or '-'} | {new or '-'} | {'new' if old is None else 'gone'} |")
            continue
        change = 100 * (new / old - 1) if old else 0.0
        print(f"| {name} | {old:.3g} s | {new:.3g} s | {change:+.1f} % |")
        if change > tolerated:
            worse.append(name)
    if worse:
        sys.exit(f"slower by more than {tolerated:g} %: {', '.join(worse)}")


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2], sys.argv[3])
'''

_SCAN_DIFF = r'''#!/usr/bin/env python3
import json
import pathlib
import sys


def known(folder):
    """(image, vulnerability, package) -> severity."""
    found = {}
    for path in sorted(pathlib.Path(folder).glob("*.json")):
        for result in json.loads(path.read_text()).get("Results") or ():
            for each in result.get("Vulnerabilities") or ():
                key = (path.stem, each["VulnerabilityID"], each["PkgName"])
                found[key] = each.get("Severity", "UNKNOWN")
    return found


def table(title, keys, found):
    if keys:
        print(f"\n{title}\n\n| image | vulnerability | package | severity |\n|---|---|---|---|")
        for key in sorted(keys):
            print("| " + " | ".join((*key, found[key])) + " |")


def main(before, now):
    """Exit code 1 where something is known now that was not known before."""
    old, new = known(before), known(now)
    added, gone = new.keys() - old.keys(), old.keys() - new.keys()
    print(f"{len(new)} known, {len(added)} of them new, {len(gone)} gone")
    table("New", added, new)
    table("Gone", gone, old)
    return 1 if added else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
'''


def render(_service: Service) -> Iterable[Artifact]:
    yield Artifact(
        f"{GITHUB}/scripts/regression.py",
        _REGRESSION,
        "Compares two directories of benchmark results; fails where one got slower.",
        (),
        ("T69",),
    )
    yield Artifact(
        f"{GITHUB}/scripts/scan_diff.py",
        _SCAN_DIFF,
        "Compares two directories of Trivy's reports; fails where something new is known.",
        (),
        ("T23",),
    )
