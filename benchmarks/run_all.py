"""Every benchmark in turn, what it says in short, and its whole result in ``results/``.

python benchmarks/run_all.py [NAME ...]      # make bench
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
NOT_A_BENCHMARK = {"run_all", "telling"}
S_MAX = 1800


def benchmarks() -> list[str]:
    return sorted(p.stem for p in HERE.glob("*.py") if p.stem not in NOT_A_BENCHMARK)


def run(name: str) -> tuple[int, dict[str, Any] | None]:
    out = RESULTS / f"{name}.json"
    out.unlink(missing_ok=True)
    command = [sys.executable, str(HERE / f"{name}.py"), "--json", str(out)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, timeout=S_MAX)
    try:
        return done.returncode, json.loads(out.read_text())
    except (OSError, ValueError):
        return done.returncode or 1, None


def tell(document: dict[str, Any] | None) -> None:
    """The ratios first: they travel from machine to machine."""
    if document is None:
        print("  no result")
        return
    for key in ("ratios", "results"):
        for name, value in (document.get(key) or {}).items():
            print(f"  {key[:-1]:7} {name}: {json.dumps(value)}")


def main(argv: list[str] | None = None) -> int:
    names = (sys.argv[1:] if argv is None else argv) or benchmarks()
    unknown = set(names) - set(benchmarks())
    if unknown:
        print(f"no such benchmark: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    RESULTS.mkdir(exist_ok=True)
    failed = []
    for name in names:
        began = time.monotonic()
        code, document = run(name)
        print(f"{name}: {'ok' if code == 0 else f'exit {code}'}, {time.monotonic() - began:.0f} s")
        tell(document)
        if code:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
