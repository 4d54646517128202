"""Print which test proves which row of the mission: row, number of tests, state, requirement."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import tomllib
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


class Collector:
    """Counts the rows named by ``@pytest.mark.req`` while pytest collects."""

    def __init__(self) -> None:
        self.tests: Counter[str] = Counter()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            rows = {str(row) for mark in item.iter_markers("req") for row in mark.args}
            self.tests.update(rows)


def collect() -> Counter[str]:
    collector = Collector()
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = pytest.main(["--collect-only", "-qq", str(ROOT / "tests")], plugins=[collector])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise SystemExit(f"error: the tests cannot be collected\n{said.getvalue()[-2000:]}")
    return collector.tests


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument("--open", action="store_true", help="only rows without a test")
    options = parser.parse_args()
    rows = tomllib.loads((ROOT / "docs" / "requirements.toml").read_text("utf-8"))
    tests = collect()
    unknown = sorted(set(tests) - set(rows))
    if unknown:
        raise SystemExit(f"error: tests name rows that do not exist: {', '.join(unknown)}")
    table = [
        {"row": row, "tests": tests[row], "state": "proved" if tests[row] else "open", "text": text}
        for row, text in rows.items()
        if not (options.open and tests[row])
    ]
    if options.json:
        print(json.dumps(table, indent=1))
        return
    for line in table:
        print(f"{line['row']:<5} {line['tests']:>4}  {line['state']:<7} {line['text']}")
    proved = sum(1 for row in rows if tests[row])
    print(f"\n{proved} of {len(rows)} rows have a test")


if __name__ == "__main__":
    main()
