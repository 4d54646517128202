"""Origins, the JSON Schema, the annotated examples and the reference page agree with the model."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema_rs
import pytest

from holdfast.spec import fields
from holdfast.spec.load import read_text
from holdfast.spec.origin import settings
from holdfast.spec.reference import PAGE, example_of, examples, page
from holdfast.spec.schema import json_schema

ROOT = Path(__file__).resolve().parents[2]
SPECS = {
    **examples(),
    **{p.relative_to(ROOT).as_posix(): p.read_text("utf-8") for p in ROOT.glob("examples/*/*.yaml")
       if p.name.startswith("holdfast")},
}  # fmt: skip
TEXT = """service: shop
run: python shop.py
traffic:
  timeout: 3s
rollout: canary
probes:
  smoke: [/a, {path: /b}]
"""


def origins(text: str) -> dict[str, tuple[object, str]]:
    return {s.name: (s.value, s.origin) for s in settings(read_text(text, "h.yaml"))}


def test_every_value_says_the_line_it_comes_from_or_that_it_is_a_default():
    found = origins(TEXT)
    assert found["service"] == ("shop", "h.yaml:1")
    assert found["run.command"] == ("python shop.py", "h.yaml:2")
    assert found["traffic.timeout"] == ("3s", "h.yaml:4")
    assert found["traffic.port"] == (8080, "default")
    assert found["rollout.strategy"] == ("canary", "h.yaml:5")
    assert found["rollout.drain"] == ("30s", "default")
    assert found["probes.smoke[0].path"] == ("/a", "h.yaml:7")
    assert found["probes.smoke[1].method"] == ("GET", "default")


def test_every_key_that_can_hold_a_value_is_listed():
    said = {fields.generic(setting.path) for setting in settings(read_text(TEXT, "h.yaml"))}
    single = {
        path
        for path, key in fields.catalogue().items()
        if key.section is None and not {"[]", "*"} & set(path)
    }
    item_by_item = {("rollout", "steps"), ("probes", "smoke"), ("regions",), ("image", "tmpfs")}
    assert single - said == item_by_item
    assert ("rollout", "steps", "[]", "weight") in said


def test_a_derived_value_says_from_what():
    derived = {"version": ("r-12345678", "the digest")}
    found = settings(read_text(TEXT, "h.yaml"), derived)
    assert found[1].value == "r-12345678" and found[1].origin == "derived from the digest"
    written = settings(read_text(TEXT + "version: v1\n", "h.yaml"), derived)
    assert written[1].value == "v1"


@pytest.mark.parametrize("name", SPECS)
def test_every_example_loads_without_a_warning_and_satisfies_the_schema(name: str):
    loaded = read_text(SPECS[name], name)
    assert not loaded.warnings
    plain = json.loads(json.dumps(loaded.root.plain()))
    jsonschema_rs.validate(json_schema(), plain)


def test_the_schema_is_itself_valid():
    jsonschema_rs.meta.validate(json_schema())


@pytest.mark.parametrize(
    "wrong",
    [
        "replicas: many",
        "rollout: canry",
        "nope: 1",
        "traffic: {timeout: 30}",
        "rollout: {steps: [101]}",
    ],
)
def test_editors_see_what_the_loader_would_refuse(wrong: str):
    import yaml

    document = {"service": "shop", "run": "x", **yaml.safe_load(wrong)}
    assert not jsonschema_rs.is_valid(json_schema(), document)


def test_every_default_in_the_schema_is_valid_where_it_stands():
    schema = json_schema()
    checked = 0
    for name, definition in schema["$defs"].items():
        full = definition if "properties" in definition else definition["anyOf"][0]
        for key, about in full["properties"].items():
            if about.get("default") is not None:
                part = {**about, "$defs": schema["$defs"]}
                assert jsonschema_rs.is_valid(part, about["default"]), f"{name}.{key}"
                checked += 1
    assert checked > 60


def test_every_key_has_words_and_an_example():
    leaves = [k for k in fields.catalogue().values() if k.path[-1] not in ("[]", "*")]
    assert not [key.name for key in leaves if not key.doc]
    assert not [key.name for key in leaves if key.section is None and example_of(key) is None]


def test_the_reference_page_is_up_to_date():
    hint = "run: python -m holdfast.spec.reference"
    assert (ROOT / PAGE).read_text("utf-8") == page(), hint
