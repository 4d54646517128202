"""The page about the API names every operation with its role, and every metric."""

import re
from pathlib import Path

import pytest

from holdfast.conductor import metrics
from holdfast.conductor.operations import OPERATIONS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "api.md"


def test_the_page_has_every_operation_with_its_role():
    rows = {
        (match[1], match[2])
        for match in re.finditer(r"^\| `([A-Z]+ \S+)`.*?\| (\w+) \|", PAGE.read_text(), re.M)
    }
    wanted = {
        (f"{op.method} {op.path}", op.role.word if op.role else "anybody") for op in OPERATIONS
    }
    assert rows == wanted


@pytest.mark.live
def test_the_page_has_every_metric_of_a_real_conductor(service):
    service.deploy("v1")
    service.standing("v2")
    exported = re.findall(r"^# TYPE (\w+)", service.client.metrics(), re.M)
    page = set(re.findall(r"^(holdfast_\w+)", PAGE.read_text(), re.M))
    assert set(exported) == page
    assert metrics.__doc__ is not None and all(name in metrics.__doc__ for name in page)
