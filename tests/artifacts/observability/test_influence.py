"""What can not break out of the files of this family."""

from __future__ import annotations

import json

import pytest
import yaml

from holdfast.artifacts.catalog import render
from holdfast.spec.load import load_text

FAMILY = ["observability"]


def files(*lines: str):
    said = "\n".join(("run: python shop.py", *lines))
    if not any(line.startswith("service:") for line in lines):
        said += "\nservice: shop"
    return {file.path: file for file in render(load_text(said + "\n"), FAMILY)}


HOSTILE = [
    "quote \" and ' and \\",
    "line\nbreak: {a: b}\n- c",
    "${{ secrets.X }} {{ .Values.y }} $(id) `id`",
    "*" * 500,
    "…—é漢字 # not: a comment",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_person_writes_stays_in_its_field(text):
    title = json.dumps(text)
    found = files(f"observability: {{metrics: [{{name: a_total, title: {title}}}]}}")
    page = json.loads(found["observability/grafana/dashboards/trading.json"].data)
    assert text in [panel["title"] for panel in page["panels"]]
    plain = files("observability: {metrics: [{name: a_total, title: T}]}")
    for path, file in found.items():
        if path.endswith((".yml", ".yaml")):
            bodies, others = (list(yaml.safe_load_all(each[path].data)) for each in (found, plain))
            assert shape(bodies) == shape(others), path
        assert file.path in plain


def shape(value):
    """The structure without the words; JSON inside of a text counts as a word."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    return [shape(each) for each in value] if isinstance(value, list) else type(value)
