"""Hostile text in every key that takes free text: it stays where it was written, in every file."""

from __future__ import annotations

import json
import re
from functools import cache

import pytest
import yaml
from upstream import SPECS

from holdfast.artifacts.catalog import render
from holdfast.spec import rules
from holdfast.spec.fields import catalogue, generic, options
from holdfast.spec.load import load
from holdfast.spec.variants import allowed, replaced, values

HARMLESS = "harmless"
HOSTILE = {
    "quotes": "a'b\"c\\d'\"",
    "newlines": "a\nb: c\n- d\n---\nkind: Secret\nRUN evil\n",
    "expressions": "${{ secrets.X }} {{ .Values.x }} <<.Series>> ${X} %{x}",
    "substitutions": "$(touch x) `touch x` ; touch x && touch x | touch x # x",
    "unicode": "\u00e9\u2026\u5b57 \U0001f680",
    "comments": "*/ --> ]]> # // ; -- x",
    "long": "x" * 10_000,
}


#: What begins an expression, as the constant text that it becomes.
NEUTRAL = "${{ '${{' }}"
#: A command is words by its nature: how many there are is what the person says.
NOT_FREE = ("run.command",)


def is_text(key):
    if key.name in NOT_FREE:
        return False
    kinds = {option.__origin__ if hasattr(option, "__metadata__") else option
             for option in options(key.hint_type)}  # fmt: skip
    return str in kinds


@cache
def targets(name, text):
    """Paths of all values of a service that this text may replace: the spec refuses the others."""
    service, found = load(SPECS[name]), []
    for path, _value in values(service, ()):
        key = catalogue().get(generic(path))
        if key and is_text(key) and allowed(key, text):
            given = replaced(service, path, text)
            if not any(finding.breaks for finding in rules.check(given)):
                found.append(path)
    return tuple(found)


@cache
def attacked(name, text, paths):
    service = load(SPECS[name])
    for path in paths:
        service = replaced(service, path, text)
    return {file.path: file.data.decode() for file in render(service)}


@pytest.fixture(params=[(n, h) for n in SPECS for h in HOSTILE], ids=lambda each: "-".join(each))
def sets(request):
    """The files with the hostile text, and with a harmless one in the same places."""
    name, hostile = request.param
    paths = targets(name, HOSTILE[hostile])
    assert paths, "no key takes this text: the test attacks nothing"
    return attacked(name, HOSTILE[hostile], paths), attacked(name, HARMLESS, paths)


def shape(value):
    """The structure without the words; a text is only a text."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    return [shape(each) for each in value] if isinstance(value, list) else type(value)


def read(path, text):
    if path.endswith(".json"):
        return [json.loads(text)]
    return list(yaml.safe_load_all(text))


def test_documents_have_the_structure_that_a_harmless_text_gives_them(sets):
    hostile, harmless = sets
    assert hostile.keys() == harmless.keys()
    for path, text in hostile.items():
        if path.endswith((".yaml", ".yml", ".json")):
            assert shape(read(path, text)) == shape(read(path, harmless[path])), path


def expressions(text):
    return sorted(re.findall(r"\$\{\{.*?\}\}", text.replace(NEUTRAL, ""), re.S))


def test_workflows_get_no_expression(sets):
    hostile, harmless = (
        {path: expressions(text) for path, text in files.items() if "/workflows/" in path}
        for files in sets
    )
    assert hostile and hostile == harmless


def test_dockerfiles_get_no_instruction(sets):
    hostile, harmless = (
        {p: re.findall(r"^[A-Z]+ ", t, re.M) for p, t in files.items() if "Dockerfile" in p}
        for files in sets
    )
    assert hostile and hostile == harmless


def test_policies_of_vault_get_no_path(sets):
    hostile, harmless = (
        {p: t.count("capabilities") for p, t in files.items() if p.endswith(".hcl")}
        for files in sets
    )
    assert hostile == harmless
