"""``holdfast check``: findings with place and key, waivers, and no green without a look."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "10-production"
SCHEMAS = ROOT.parent / "shared" / "schemas"
RULES = Path("out/observability/base/rules.yaml")
Run = Callable[..., SimpleNamespace]


@pytest.fixture
def run(run: Run, tmp_path: Path, monkeypatch) -> Run:
    """Beside the reference spec, without other people's checkers."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    shutil.copy(EXAMPLE / "holdfast.yaml", tmp_path)
    return run


def checked(run: Run, *words: str):
    ran = run("check", "--json", *words)
    return ran.code, json.loads(ran.out)


def found(document, rule):
    return [each for each in document["findings"] if each["rule"] == rule]


def spoil(old: str, new: str) -> int:
    """Change a rendered file and return the line that changed."""
    text = RULES.read_text("utf-8")
    assert old in text
    RULES.write_text(text.replace(old, new, 1), "utf-8")
    return text[: text.index(old)].count("\n") + 1


def test_what_is_not_installed_is_not_checked_and_strict_fails(run: Run):
    _code, document = checked(run)
    status = {each["checker"]: each["status"] for each in document["checks"]}
    assert status["promtool rules"] == status["schema"] == "not checked"
    assert "not checked by schema" in run("check").out
    assert run("check", "--strict").code == 1


def test_a_finding_names_artifact_line_rule_and_key(run: Run):
    run("render")
    line = spoil("rate(", "rate((")
    code, document = checked(run, "out")
    (broken,) = found(document, "holdfast/promql")
    assert code == 1 and broken["line"] <= line
    assert broken["artifact"] == str(RULES.relative_to("out"))
    assert "expr:" in RULES.read_text().splitlines()[broken["line"] - 1]
    assert broken["key"] == "service" and broken["severity"] == "error"


def test_with_schemas_unknown_fields_are_found(run: Run):
    if not SCHEMAS.is_dir():
        pytest.skip("the schemas of upstream are not beside this repository (../shared/schemas)")
    run("render")
    line = spoil("groups:", "grups:")
    _code, document = checked(run, "out", "--schemas", str(SCHEMAS))
    unknown = found(document, "schema/additionalProperties")
    assert (unknown[0]["line"], unknown[0]["wanted"]) == (line, "groups")


def test_a_removed_file_is_found(run: Run):
    run("render")
    RULES.unlink()
    _code, document = checked(run, "out")
    (missing,) = found(document, "holdfast/missing")
    assert missing["artifact"] == str(RULES.relative_to("out"))


def test_foreign_files_are_not_looked_at(run: Run):
    run("render")
    before = checked(run, "out")
    Path("out/mine.yaml").write_text("a: [1\n")
    assert checked(run, "out") == before


def test_a_waiver_of_the_spec_accepts_a_finding_with_its_reason(run: Run):
    run("render")
    spoil("rate(", "rate((")
    waiver = "{rule: holdfast/promql, reason: we know, expires: 2999-12-31}"
    said = Path("holdfast.yaml").read_text()
    Path("holdfast.yaml").write_text(said.replace("waivers:\n", f"waivers:\n  - {waiver}\n"))
    _code, document = checked(run, "out")
    assert found(document, "holdfast/promql") == []
    assert "we know" in {each["reason"] for each in document["waived"]}


def test_a_directory_can_be_checked_without_a_spec(run: Run):
    run("render")
    Path("holdfast.yaml").unlink()
    _code, document = checked(run, "out")
    assert any("there is no spec" in each["detail"] for each in document["checks"])


@pytest.mark.parametrize(
    ("words", "said"),
    [(("gone",), "there is nothing in"), (("empty",), "there is nothing in"),
     (("out", "--schemas", "empty"), "cannot read schemas")],
)  # fmt: skip
def test_what_cannot_be_checked_is_2_and_said(run: Run, words, said):
    run("render")
    Path("empty").mkdir()
    ran = run("check", *words)
    assert ran.code == 2 and said in ran.err and "Traceback" not in ran.err
