"""What linters lack: sizes, forbidden words, complete explanations. Style as a test."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "src").rglob("*.py"))
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


def functions() -> Iterator[tuple[Path, ast.FunctionDef | ast.AsyncFunctionDef, int]]:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, FUNCTION):
                body = node.body
                if ast.get_docstring(node) and len(body) > 1:
                    body = body[1:]
                yield path, node, (node.end_lineno or 0) - body[0].lineno + 1


def test_no_source_file_is_longer_than_500_lines():
    long = {p.name: n for p in SOURCES if (n := len(p.read_text("utf-8").splitlines())) > 500}
    assert not long


def test_no_function_is_longer_than_60_lines_and_the_median_is_below_ten():
    sizes = [(size, f"{path.name}:{node.name}") for path, node, size in functions()]
    assert max(sizes)[0] <= 60, max(sizes)
    assert statistics.median(size for size, _ in sizes) < 10


def test_every_module_says_what_it_is():
    silent = [p for p in SOURCES if not ast.get_docstring(ast.parse(p.read_text("utf-8")))]
    assert not silent


def test_pure_packages_never_ask_for_the_time_or_for_luck():
    words = re.compile(r"\bnow\(\)|uuid4|urandom|\bopen\(|datetime\.now|random\.")
    for package in ("rollout", "artifacts"):
        for path in (ROOT / "src" / "holdfast" / package).rglob("*.py"):
            assert not words.search(path.read_text("utf-8")), path.name


def test_nothing_is_left_undone():
    # Spelled in two halves so that this file does not find itself.
    words = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" + "XX"]) + r")\b")
    left = [p for p in SOURCES if words.search(p.read_text("utf-8"))]
    assert not left


def test_packages_carry_names_of_ideas():
    banned = {"utils", "util", "common", "core", "helpers", "helper", "manager", "misc", "base_"}
    names = {part for p in SOURCES for part in p.relative_to(ROOT / "src").with_suffix("").parts}
    assert not names & banned


def test_the_lock_holds_versions_and_hashes_and_no_addresses():
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    assert "://" not in lock
    pinned = re.findall(r"^([A-Za-z0-9_.-]+)==", lock, re.M)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    wanted = [*project["dependencies"], *(w for extra in extras for w in extra)]
    names = {re.split(r"[><=\[]", w)[0].lower().replace("_", "-") for w in wanted}
    assert names <= {p.lower().replace("_", "-") for p in pinned}
    assert lock.count("--hash=sha256:") >= len(pinned)


@pytest.mark.parametrize("page", ["architecture"])
def test_generated_pages_are_up_to_date(page: str, tmp_path: Path):
    script = ROOT / "scripts" / f"{page}.py"
    code = f"import runpy, sys; m = runpy.run_path({str(script)!r}); sys.stdout.write(m['page']())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == (ROOT / "docs" / f"{page}.md").read_text("utf-8"), "run: make docs"


def test_every_numbered_example_has_a_spec_and_says_what_it_shows():
    examples = sorted(p for p in (ROOT / "examples").iterdir() if re.match(r"\d\d-", p.name))
    assert examples
    for example in examples:
        assert list(example.glob("holdfast*.yaml")), example.name
        assert (example / "README.md").is_file(), example.name


def test_every_link_in_the_documentation_leads_somewhere():
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]
    broken = []
    for page in pages:
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.name}: {target}")
    assert not broken
