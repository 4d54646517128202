"""The strict schema check: what an API server refuses is refused here, with the line."""

from __future__ import annotations

import copy

import pytest
import upstream
import yaml

from holdfast.artifacts.check import schema, written

CONFIG_MAP = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "a", "labels": {"app": "a"}},
    "data": {"key": "value"},
}
GATEWAY = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "HTTPRoute",
    "metadata": {"name": "a"},
    "spec": {
        "parentRefs": [{"name": "gateway"}],
        "rules": [{"backendRefs": [{"name": "a", "port": 80}]}],
    },
}
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "a"},
    "spec": {"ports": [{"name": "http", "port": 80}, {"name": "admin", "port": 81}]},
}


def findings(document, path="a.yaml"):
    text = yaml.safe_dump(document, sort_keys=False) if isinstance(document, dict) else document
    return schema.check_file(written.read(path, text, ("service",)), upstream.schemas())


def changed(document, *place, to):
    document = copy.deepcopy(document)
    inner = document
    for part in place[:-1]:
        inner = inner[part]
    inner[place[-1]] = to
    return document


@pytest.mark.parametrize("document", [CONFIG_MAP, GATEWAY, SERVICE], ids=lambda d: d["kind"])
def test_what_upstream_accepts_is_accepted(document):
    assert findings(document) == []


@pytest.mark.parametrize(
    ("document", "rule", "line"),
    [
        (changed(CONFIG_MAP, "dta", to={}), "schema/additionalProperties", 9),
        (changed(CONFIG_MAP, "data", "key", to=3), "schema/type", 8),
        (changed(CONFIG_MAP, "data", "key", to=None), "schema/null", 8),
        (changed(CONFIG_MAP, "metadata", "lables", to={}), "schema/additionalProperties", 7),
        (changed(CONFIG_MAP, "kind", to="ConfigMop"), "schema/kind", 2),
        (changed(CONFIG_MAP, "metadata", to={"labels": {"app": 1}}), "schema/type", 5),
        (changed(SERVICE, "spec", "type", to="ClusterIp"), "schema/enum", 11),
        (changed(SERVICE, "spec", "ports", 1, "port", to=80), "schema/unique", 9),
        (changed(GATEWAY, "spec", "rules", 0, "matches", to=[{"path": {"value": "a"}}]),
         "schema/cel", 13),
    ],
)  # fmt: skip
def test_what_an_api_server_refuses_is_refused_with_its_line(document, rule, line):
    found = findings(document)
    assert (rule, line) in [(each.rule, each.line) for each in found], found


def test_a_misspelt_field_is_answered_with_the_right_one():
    (found,) = findings(changed(SERVICE, "spec", "selectr", to={"a": "b"}))
    assert found.wanted == "selector" and found.key == "service"


@pytest.mark.parametrize(
    "text", ["a: 1\na: 2\n", "a: [1\n", "on: 1\n", "? [a]\n: 1\n", "a: 1\n b: 2\n", "1: 2\n"]
)
def test_what_cannot_be_read_strictly_is_a_finding_and_no_traceback(text):
    (found,) = written.read("a.yaml", text).problems
    assert found.rule == "yaml/syntax" and found.line


def test_every_rule_of_every_schema_compiles():
    from holdfast.artifacts.check.structure import program

    known = upstream.schemas()
    files = {entry["file"] for entry in known.index.values()}
    rules = [
        rule["rule"]
        for file in files
        for _at, value in written.walk(known.read(file))
        if isinstance(value, dict)
        for rule in value.get("x-kubernetes-validations", ())
        if isinstance(rule, dict)
    ]
    assert len(rules) > 500
    assert all(program(rule) for rule in rules)


def test_every_schema_can_be_used():
    known = upstream.schemas()
    for key in known.index:
        version, _, kind = key.rpartition("/")
        assert known.of("a.yaml", {"apiVersion": version, "kind": kind}) is not None, key


def test_numbers_are_read_as_json_and_go_read_them():
    (body,) = written.read("a.json", '{"a": 1e-05, "b": "1e5", "c": -2E+3, "d": "="}').objects
    assert body == {"a": 1e-05, "b": "1e5", "c": -2000.0, "d": "="}
    (body,) = written.read("a.yaml", "a: 1e5x\nb: =\nc: 12e3\n").objects
    assert body == {"a": "1e5x", "b": "=", "c": 12000.0}


def test_a_checker_that_names_no_line_is_placed_by_what_it_quotes():
    file = written.read("a.yaml", "a: 1\nlistners: []\nb: a\n")
    assert file.quoted("no such field: 'listners'") == 2
    assert file.quoted("no such field: 'gone'") == file.quoted("'a' is twice in it") == 0


def test_what_has_no_known_form_is_told_by_its_keys_and_not_by_all_that_is_in_it():
    job = {"run-on": "ubuntu-24.04", "steps": [{"run": "long " * 99}]}
    workflow = {"name": "a", "on": "push", "jobs": {"set": job}}
    (found,) = findings(workflow, "delivery/github/workflows/a.yaml")
    assert "run-on, steps at jobs.set" in found.found
