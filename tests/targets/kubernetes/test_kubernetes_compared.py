"""The page that compares: every test it names exists, and all 25 situations are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "guides" / "kubernetes-compared.md").read_text("utf-8")
#: Directories whose tests ask a real API server where the page says so.
REAL = [
    f"targets/kubernetes/test_{name}_live.py"
    for name in ("rollouts", "rollout_faults", "client_faults")
]


def defined(*files: Path) -> set[str]:
    found = (re.findall(r"^(?:async )?def (test_\w+)", p.read_text("utf-8"), re.M) for p in files)
    return {name for names in found for name in names}


def test_every_test_that_the_page_names_exists():
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(named) > 25
    assert not named - defined(*(ROOT / "tests").rglob("test_*.py"))


def test_what_the_page_calls_kube_is_run_on_a_real_api_server():
    real = set(re.findall(r"kube `(test_\w+)`", PAGE))
    assert real
    assert not real - defined(*(ROOT / "tests" / each for each in REAL))


def test_all_situations_are_compared_and_none_is_left_without_a_word():
    rows = re.findall(r"^\| (\d+) \|(.*)\|$", PAGE, re.M)
    assert [int(number) for number, _ in rows] == list(range(1, 26))
    for number, cells in rows:
        assert all(cell.strip() for cell in cells.split(" | ")), number
