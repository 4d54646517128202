"""Writes the reference page: ``python -m holdfast.spec.reference [FILE]``."""

from __future__ import annotations

import sys
from pathlib import Path

from holdfast.spec.reference import PAGE, page

target = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
target.parent.mkdir(parents=True, exist_ok=True)
target.write_text(page(), encoding="utf-8")
print(f"wrote {target}")
