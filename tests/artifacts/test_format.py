"""Artifacts as bytes: two parsers read back what went in, whatever a person wrote."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from holdfast.artifacts.artifact import Artifact
from holdfast.artifacts.bundle import bundle
from holdfast.artifacts.format import header, written
from holdfast.spec.scalar import typed


def artifact(body, path="a.yaml", about="A test."):
    return Artifact(path, body, about, keys=("service",), rows=("T1",))


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


@given(TEXT)
def test_any_text_in_yaml_comes_back_as_it_was(value):
    said = written(artifact({"key": value, "list": [value], value: 1})).decode()
    assert yaml.safe_load(said) == {"key": value, "list": [value], value: 1}


@given(TEXT)
def test_any_text_in_json_comes_back_as_it_was(value):
    assert json.loads(written(artifact({"key": value}, "a.json"))) == {"key": value}


@pytest.mark.parametrize(
    "word",
    ["1e3", "0o17", "0x1F", "1_000", "12:30", "no", "Yes", "y", "~", "1.10", "null", ".5", "-"],
)
def test_a_word_that_some_parser_takes_for_something_else_is_quoted(word):
    (_, line) = written(artifact({"key": word})).decode().rsplit("key: ", 1)
    assert line.strip()[0] in "'\"", line
    assert yaml.safe_load(line) == word


@given(TEXT)
def test_a_plain_word_is_text_by_version_1_2_too(value):
    line = written(artifact([{"k": value}])).decode().rpartition("k: ")[2].strip("\n")
    if "\n" not in line and line[:1] not in ("'", '"', "|"):
        assert isinstance(typed(line), str)


@given(TEXT)
def test_what_is_said_about_an_artifact_never_leaves_its_comment(about):
    said = written(artifact({"a": 1}, about=about)).decode()
    assert yaml.safe_load(said) == {"a": 1}
    page = written(artifact("# Title\ntext\n", "a.md", about)).decode()
    assert page.count("<!--") == page.count("-->") == 1


def test_several_lines_are_a_block_so_that_a_diff_shows_one():
    said = written(artifact({"script": "set -e\nmake test\n"})).decode()
    assert said.endswith("script: |\n  set -e\n  make test\n")


def test_a_script_and_a_dockerfile_keep_their_first_line():
    assert written(artifact("#!/bin/sh\ntrue\n", "a.sh")).startswith(b"#!/bin/sh\n# A test.\n")
    syntax = b"# syntax=docker/dockerfile:1\n# A test.\n"
    assert written(
        artifact("# syntax=docker/dockerfile:1\nFROM scratch\n", "Dockerfile")
    ).startswith(syntax)


def test_two_artifacts_never_share_a_path():
    with pytest.raises(ValueError, match=r"a\.yaml"):
        bundle([artifact({}), artifact({"b": 1})])


def test_the_manifest_names_each_file_and_its_digest_changes_with_any_byte():
    one, other = bundle([artifact({"a": 1})]), bundle([artifact({"a": 2})])
    listed = json.loads(one.manifest().data)
    assert listed["artifacts"][0]["path"] == "a.yaml"
    assert listed["artifacts"][0]["rows"] == ["T1"]
    assert listed["digest"] != json.loads(other.manifest().data)["digest"]


def test_headers_fit_into_a_hundred_columns(rendered):
    for file in rendered:
        assert all(len(f"// {line}") <= 100 for line in header(file.artifact)), file.path
