"""Stories: a wrong spec beside the words a person gets. HOLDFAST_GOLDEN=1 rewrites the words."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from holdfast.spec.load import Invalid, load_text, read_text
from holdfast.spec.problem import Problem

HERE = Path(__file__).parent / "problems"
BASE = "service: shop\nrun: python shop.py\n"


def complaint(text: str) -> Invalid:
    with pytest.raises(Invalid) as caught:
        load_text(text, "holdfast.yaml")
    return caught.value


@pytest.mark.parametrize("path", sorted(HERE.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_wrong_spec_is_answered_with_these_words(path: Path):
    said = complaint(path.read_text("utf-8")).pretty() + "\n"
    golden = path.with_suffix(".txt")
    if os.environ.get("HOLDFAST_GOLDEN"):
        golden.write_text(said, "utf-8")
    assert said == golden.read_text("utf-8")


def test_all_problems_come_at_once_model_and_rules_together():
    text = BASE + "replicas: many\ntraffic: {protocol: tcp, balance: ring-hash}\nnope: 1\n"
    assert [p.path for p in complaint(text).problems] == ["replicas", "traffic.balance", "nope"]


def test_a_rule_is_not_asked_about_a_value_that_is_wrong_by_itself():
    text = BASE + "rollout: {deadline: soon, drain: 20m}\n"
    assert [p.path for p in complaint(text).problems] == ["rollout.deadline"]


def test_a_problem_is_one_line_of_the_agreed_form():
    (problem,) = complaint(BASE + "rollout: canry\n").problems
    assert str(problem) == (
        "holdfast.yaml:3:10 rollout: found 'canry', wanted one of rolling, blue-green, canary "
        "(strategy), or a section, did you mean canary?"
    )


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("strategy: canary", "rollout.strategy"),
        ("replica: 2", "replicas"),
        ("Replicas: 2", "replicas"),
        ("port: 80", "traffic.port"),
        ("ports: [80]", "traffic.port"),
        ("name: x", "service"),
        ("cmd: x", "run.command"),
        ("environment: {}", "run.env"),
        ("max-surge: 1", "rollout.max_surge"),
        ("rollout: {maxUnavailable: 1}", "max_unavailable"),
        ("probes: {readiness: /r}", "probes.ready"),
    ],
)
def test_an_unknown_key_is_answered_with_the_one_that_was_meant(line: str, meant: str):
    (problem,) = complaint(BASE + line + "\n").problems
    assert problem.hint.startswith(f"did you mean {meant}")


def test_an_unknown_key_that_resembles_nothing_gets_no_wild_guess():
    (problem,) = complaint(BASE + "zzzzqq: 1\n").problems
    assert problem.hint == ""


def test_the_line_of_a_secret_is_never_repeated():
    secrets = "{PASSWORD: hunter2, B: 'vault:hunter2'}"
    error = complaint(f"service: shop\nrun:\n  command: x\n  secrets: {secrets}\n")
    assert len(error.problems) == 2
    assert "hunter2" not in error.pretty() + str(error)


def test_a_literal_secret_is_a_warning_and_is_not_repeated():
    text = "service: shop\nrun:\n  command: x\n  env: {API_TOKEN: hunter2}\n"
    (warning,) = read_text(text, "holdfast.yaml").warnings
    assert warning.path == "run.env.API_TOKEN" and "hunter2" not in warning.caret(text)


def test_a_caret_stands_under_the_value_even_in_a_very_long_line():
    text = "service: shop\nrun: {command: x, env: {A: " + "y" * 5000 + "}, affinity: odd}\n"
    shown = complaint(text).pretty().split("\n")
    assert len(shown[1]) < 120
    start = shown[2].index("^")
    assert shown[1][start : start + 3] == "odd"


def test_what_was_found_is_always_shown_on_one_printable_line():
    problem = complaint(BASE + 'target: "a\\nb\\e[31m' + "z" * 200 + '"\n').problems[0]
    assert problem.found.isprintable() and len(problem.found) < 80


def test_problems_as_json_carry_place_and_words():
    problem = Problem("f", 1, 2, "a.b", "x", "y", "z", 3)
    assert problem.as_json() == {
        "file": "f", "line": 1, "column": 2, "path": "a.b",
        "found": "x", "wanted": "y", "hint": "z",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("run", "path", "hint"),
    [
        ("{command: {a: b}}", "run.command", ""),
        ("{command: [x, true]}", "run.command[1]", 'quote it: "true"'),
        ("{command: x, affinity: {a: 1}}", "run.affinity", ""),
        ("{command: x, env: {A: false}}", "run.env.A", 'quote it: "false"'),
        ("{command: x, env: [A]}", "run.env", ""),
    ],
)
def test_a_value_that_may_be_one_of_two_things_is_one_problem(run: str, path: str, hint: str):
    (problem,) = complaint(f"service: shop\nrun: {run}\n").problems
    assert (problem.path, problem.hint) == (path, hint)


def test_a_key_of_this_section_is_suggested_before_one_of_another():
    (problem,) = complaint(BASE + "rollout: {step: [100]}\n").problems
    assert problem.hint == "did you mean steps?"


def test_a_rule_about_a_default_points_at_the_section_that_made_it_wrong():
    (problem,) = complaint(BASE + "rollout:\n  deadline: 20s\n").problems
    assert (problem.path, problem.line, problem.column) == ("rollout.drain", 3, 1)


def test_text_over_several_lines_is_marked_where_it_begins():
    text = BASE + "rollout:\n  on_conflict: >\n    never\n    ever\n"
    (problem,) = complaint(text).problems
    assert (problem.line, problem.column, problem.width) == (4, 16, 1)
