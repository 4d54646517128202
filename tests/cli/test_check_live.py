"""Every checker there is, over the whole sets of four services in all their regions."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.cli.checking import Work, checked, set_of
from holdfast.supply.checkers.job import Status
from holdfast.supply.checkers.table import CHECKERS

pytestmark = pytest.mark.live

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples" / "10-production").glob("*.yaml"))
SCHEMAS = ROOT.parent / "shared" / "schemas"
CLOUD = (
    "T24", "T25", "T32", "T48", "T111", "T112", "T113", "T114", "T115", "T116", "T117", "T118",
    "T119", "T120", "T123", "T124", "T135", "T136", "T137", "T139", "T141",
)  # fmt: skip
ROWS = {
    "cfn-lint": CLOUD, "checkov": ("T120", "T136", "T137", "T139"),
    "envoy": ("T116", "T117", "T120", "T135", "T141", "T143"),
}  # fmt: skip
NAMES = ("schema", "rules", "promql", *(each.name for each in CHECKERS), "promtool expressions")
#: What only whoever runs the service can fill in, or nobody has published: said, never an error.
KNOWN = {"holdfast/placeholder", "holdfast/image-digest"}


@pytest.fixture(scope="module", params=EXAMPLES, ids=lambda path: path.stem)
def done(request):
    """A set checked once by everything that is installed; a minute for all four."""
    waits = []
    with set_of(request.param) as (root, service):
        schemas = SCHEMAS if SCHEMAS.is_dir() else None
        work = Work(root, service, schemas, server=False)
        return checked(work, lambda outcome: None, waits.append)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.req(*ROWS.get(name, ()))) for name in NAMES]
)
def test_no_checker_finds_what_the_spec_does_not_explain(done, name):
    outcome = next(each for each in done.outcomes if each.checker == name)
    if outcome.status is Status.NOT_CHECKED:
        pytest.skip(outcome.detail)
    waived = {each for each, _reason in done.settled.waived}
    left = [each for each in outcome.findings if each not in waived and each.rule not in KNOWN]
    assert not left, "\n".join(map(str, left))
    assert outcome.status is Status.CHECKED and outcome.files, outcome


def test_every_waiver_is_needed_and_in_force(done):
    assert [str(each) for each in done.settled.open if each.rule.startswith("waiver/")] == []
