"""Write docs/architecture.md: the layer picture from the contracts, the words from docstrings."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "holdfast"
PAGE = ROOT / "docs" / "architecture.md"

HEAD = """# Architecture

*A rollout is a ladder of steps. The engine is a pure function that reads the ledger and one look at
the world and says which facts became true and which orders are safe now. Everything else is an
adapter or a proof.*

This page is written by `make docs` from the import contracts in `pyproject.toml` and from the
docstrings, so it cannot lie; `make check` enforces the contracts.

## One turn

```
   ledger --fold(evolve)--> state --+
                                    +--> decide --> events --> ledger      (first)
   target.observe() --> observation-+          +--> orders --> target      (then)
                                               +--> holds  --> people
```

`decide` = `advance` (which facts became true?) + `desire` (what should the world look like?) +
`converge` (which part of it is safe now?). Orders state an end and not a change, so repeating one
is harmless and the next turn is the retry. Facts are recorded before orders are performed, so a
crash leaves a story that the next conductor continues. Every wait is a typed `Hold` that people,
the API and tests read alike.

## Who may import whom

Upper layers import lower ones, never the reverse; packages on one line do not know each other.
"""


def docstring(path: Path) -> str:
    return (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").strip()


def first_sentence(path: Path) -> str:
    text = " ".join(docstring(path).split())
    return text.split(". ")[0].rstrip(".")


def picture(layers: list[str]) -> str:
    rows = []
    for layer in layers:
        names = [name.strip() for name in layer.split("|")]
        present = [n for n in names if not n.startswith("(") or (SOURCE / n.strip("()")).is_dir()]
        if present:
            rows.append("   |   ".join(name.strip("()") for name in present))
    width = max(map(len, rows))
    body = f"\n{'|'.center(width)}\n".join(row.center(width) for row in rows)
    return "```\n" + "\n".join(line.rstrip() for line in body.splitlines()) + "\n```\n"


def packages(folder: Path, depth: int = 0) -> list[str]:
    lines = []
    for package in sorted(p.parent for p in folder.glob("*/__init__.py")):
        title = package.relative_to(SOURCE).as_posix()
        lines.append(f"\n{'#' * (3 + depth)} {title}\n\n{docstring(package / '__init__.py')}\n")
        lines += [
            f"- `{module.stem}`: {first_sentence(module)}"
            for module in sorted(package.glob("*.py"))
            if module.stem != "__init__"
        ]
        lines += packages(package, depth + 1)
    return lines


def page() -> str:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    layered, *others = contracts["contracts"]
    rules = "\n".join(f"- {contract['name']}." for contract in others)
    body = "\n".join(packages(SOURCE))
    return f"{HEAD}\n{picture(layered['layers'])}\n{rules}\n\n## Packages\n{body}\n"


def main() -> None:
    PAGE.write_text(page(), "utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
