"""Write every generated page: ``make docs``. A test fails when one is out of date."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WRITERS = (
    ["scripts/architecture.py"],
    ["-m", "holdfast.spec.reference"],
    ["-m", "holdfast.cli.reference"],
)


def main() -> None:
    for writer in WRITERS:
        subprocess.run([sys.executable, *writer], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
