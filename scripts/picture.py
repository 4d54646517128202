"""Take the picture of the README out of a report: ``make demo && python scripts/picture.py``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "pictures" / "demo.svg"
#: A picture of its own has no page around it: give it paper and an ink colour.
INK = "<style>svg{color:#1f2937}</style>"
PAPER = '<rect width="100%" height="100%" fill="#fff"/>'


def main() -> None:
    report = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "demo-report.html")
    found = re.search(r"<svg.*?</svg>", report.read_text("utf-8"), re.S)
    if found is None:
        raise SystemExit(f"error: {report} holds no picture; make one with: make demo")
    head, body = re.split(r"(?<=>)", found[0], maxsplit=1)
    if "xmlns=" not in head:
        head = head.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(f"{head}{INK}{PAPER}{body}\n", "utf-8")
    print(f"wrote {PICTURE.relative_to(ROOT)}, {PICTURE.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
