"""Overrides: every artifact can be changed, and a change that fits nothing is an error."""

from __future__ import annotations

import pytest

from holdfast.artifacts.artifact import Artifact
from holdfast.artifacts.bundle import bundle
from holdfast.artifacts.overrides import BadOverride, overridden
from holdfast.artifacts.patch import Misfit, merged, patched

ONE = {"kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}], "x": 1}}
TWO = {"kind": "Service", "metadata": {"name": "b"}, "spec": {"ports": []}}


def changed(files, body=None, path="base/service.yaml"):
    given = Artifact(path, ONE if body is None else body, "A test.", keys=())
    (only,) = overridden([given], files)
    return only


# RFC 7396, appendix A.
@pytest.mark.parametrize(
    ("document", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patches_do_what_the_rfc_says(document, patch, result):
    assert merged(document, patch) == result


# RFC 6902, appendix A.
@pytest.mark.parametrize(
    ("document", "operations", "result"),
    [
        ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux"}],
         {"baz": "qux", "foo": "bar"}),
        ({"foo": ["bar", "baz"]}, [{"op": "add", "path": "/foo/1", "value": "qux"}],
         {"foo": ["bar", "qux", "baz"]}),
        ({"baz": "qux", "foo": "bar"}, [{"op": "remove", "path": "/baz"}], {"foo": "bar"}),
        ({"foo": ["bar", "qux", "baz"]}, [{"op": "remove", "path": "/foo/1"}],
         {"foo": ["bar", "baz"]}),
        ({"baz": "qux"}, [{"op": "replace", "path": "/baz", "value": "boo"}], {"baz": "boo"}),
        ({"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
         [{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}],
         {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}}),
        ({"foo": ["all", "grass", "cows", "eat"]},
         [{"op": "move", "from": "/foo/1", "path": "/foo/3"}],
         {"foo": ["all", "cows", "eat", "grass"]}),
        ({"baz": "qux", "foo": ["a", 2, "c"]}, [{"op": "test", "path": "/foo/1", "value": 2}],
         {"baz": "qux", "foo": ["a", 2, "c"]}),
        ({"foo": ["bar"]}, [{"op": "add", "path": "/foo/-", "value": ["abc"]}],
         {"foo": ["bar", ["abc"]]}),
        ({"/": 9, "~1": 10}, [{"op": "copy", "from": "/~01", "path": "/~1"}],
         {"/": 10, "~1": 10}),
        ({"a": 1}, [{"op": "replace", "path": "", "value": {"b": 2}}], {"b": 2}),
    ],
)  # fmt: skip
def test_json_patches_do_what_the_rfc_says(document, operations, result):
    assert patched(document, operations) == result


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "add", "path": "/a/b", "value": 1}, {"op": "remove", "path": "/b"},
        {"op": "replace", "path": "/b", "value": 1}, {"op": "test", "path": "/a", "value": 2},
        {"op": "turn", "path": "/a"}, {"op": "add", "path": "a", "value": 1},
        {"op": "add", "path": "/l/7", "value": 1}, {"op": "remove", "path": "/l/-"},
        {"op": "move", "from": "/l", "path": "/l/0"}, {"path": "/a"}, 7, None,
        {"op": "add", "path": 7, "value": 1},
    ],
)  # fmt: skip
def test_a_json_patch_that_does_not_fit_is_a_misfit_and_changes_nothing(operation):
    document = {"a": 1, "l": [1]}
    with pytest.raises(Misfit):
        patched(document, [{"op": "add", "path": "/z", "value": 1}, operation])
    assert document == {"a": 1, "l": [1]}


def test_a_merge_patch_reaches_its_artifact_with_and_without_the_suffix():
    for file in ("base/service.merge.yaml", "base/service.yaml.merge.yaml"):
        assert changed({file: "spec: {x: 2}"}).body["spec"] == {"ports": [{"port": 80}], "x": 2}


def test_in_several_documents_kind_and_name_choose():
    both = changed({"base/service.merge.yaml": "metadata: {name: b}\nspec: {y: 1}"}, [ONE, TWO])
    assert both.body == [ONE, {**TWO, "spec": {"ports": [], "y": 1}}]
    text = "target: {name: b}\npatch: [{op: remove, path: /spec/ports}]"
    assert changed({"base/service.patch.yaml": text}, [ONE, TWO]).body[1]["spec"] == {}


def test_a_text_is_replaced_as_a_whole():
    assert changed({"base/run.sh.replace": "echo\n"}, "exit\n", "base/run.sh").body == "echo\n"


def test_an_override_is_named_in_the_header_and_in_the_manifest():
    artifact = changed({"base/service.merge.yaml": "spec: {x: 2}"})
    made = bundle([artifact])
    assert b"# Changed by base/service.merge.yaml." in made.files[0].data
    entry = made.manifest().artifact.body["artifacts"][0]
    assert entry["overrides"] == ["base/service.merge.yaml"]


@pytest.mark.parametrize(
    ("file", "text", "body", "said"),
    [
        ("base/servce.merge.yaml", "a: 1", ONE, "no artifact is called base/servce"),
        ("base/service.yaml", "a: 1", ONE, "wanted a name that ends with"),
        ("base/service.merge.yaml", "a: [1", ONE, "base/service.merge.yaml:"),
        ("base/service.merge.yaml", "", ONE, "it changes nothing"),
        ("base/service.merge.yaml", "- 1", ONE, "a merge patch is an object"),
        ("base/service.merge.yaml", "kind: Deployment", ONE, "no document is a Deployment"),
        ("base/service.merge.yaml", "spec: {x: 2}", [ONE, TWO], "say kind and name"),
        ("base/service.merge.yaml", "a: 1", "text", "base/service.yaml is a text"),
        ("base/service.replace", "text", ONE, "is no text"),
        ("base/service.patch.yaml", "op: add", ONE, "a list of operations"),
        ("base/service.patch.yaml", "[{op: remove, path: /z}]", ONE, "operation 0 (remove /z)"),
        ("base/service.patch.yaml", "[{op: remove, path: ''}]", ONE, "nothing is left"),
    ],
)
def test_an_override_that_fits_nothing_is_an_error_that_names_it(file, text, body, said):
    with pytest.raises(BadOverride) as caught:
        changed({file: text}, body)
    assert file in str(caught.value) and said in str(caught.value)
