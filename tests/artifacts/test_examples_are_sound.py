"""Every example renders a set in which nothing contradicts anything else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from upstream import EXAMPLE, SPECS

from holdfast.artifacts.catalog import render
from holdfast.artifacts.check import rules, syntax
from holdfast.artifacts.check.whole import Whole
from holdfast.artifacts.check.written import of_bundle
from holdfast.spec.load import load
from holdfast.supply.checkers import run
from holdfast.supply.checkers.job import Status
from holdfast.supply.checkers.table import CHECKERS
from holdfast.supply.finding import Severity

EXAMPLES = EXAMPLE.parent
ALL = sorted([*EXAMPLES.glob("*/holdfast.yaml"), *EXAMPLE.glob("*.yaml")])


@pytest.mark.parametrize(
    "path", dict.fromkeys(ALL), ids=lambda path: f"{path.parent.name}/{path.stem}"
)
def test_our_own_rules_find_no_error_in_what_an_example_renders(path):
    service = load(path)
    whole = Whole(of_bundle(render(service)), service)
    found = [*rules.check(whole), *syntax.check(whole)]
    errors = [str(each) for each in found if each.severity is Severity.ERROR]
    assert not errors, "\n".join(errors)


def test_shellcheck_has_nothing_to_say_about_any_script_of_the_four_services(tmp_path):
    scripts = []
    for name, path in SPECS.items():
        for each in of_bundle(render(load(path))):
            if each.path.endswith(".sh"):
                scripts.append(replace(each, path=f"{name}/{each.path}"))
    for each in scripts:
        (tmp_path / each.path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / each.path).write_text(each.text)
    table = [each for each in CHECKERS if each.name == "shellcheck"]
    (outcome,) = run.check(tmp_path, scripts, table=table)
    if outcome.status is Status.NOT_CHECKED:
        pytest.skip(outcome.detail)
    assert outcome.files == len(scripts) >= 32
    assert not outcome.findings, "\n".join(map(str, outcome.findings))
