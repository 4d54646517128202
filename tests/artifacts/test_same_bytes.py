"""The same spec gives the same bytes, on every run; and nothing a person writes breaks out."""

from __future__ import annotations

import json
import subprocess
import sys

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from upstream import SPECS

from holdfast.artifacts.catalog import render
from holdfast.spec.load import load
from holdfast.spec.model import Service

DIGESTS = """
import sys
from pathlib import Path
from holdfast.artifacts.catalog import render
from holdfast.spec.load import load
for path in sys.argv[1:]:
    print(render(load(Path(path))).manifest().artifact.body["digest"])
"""
HOSTILE = st.one_of(
    st.sampled_from([
        "'", '"', "a'b\"c", "`id`", "$(id)", "${{ github.token }}", "{{ .Values.x }}", "%{x}",
        "a\\", "#", "- a", "a: b", "!!python/object:x", "&a", "*a", "é", "\U0001f600", "x" * 5000,
        "; rm -rf /", "|| true", "</script>", "null", "yes", "0x10", "${AWS::Region}",
    ]),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=60),
)  # fmt: skip


def test_other_processes_with_other_hashes_render_the_same_bytes():
    """Golden trees hold the same bytes on every version of Python that the tests are run on."""
    said = {
        subprocess.run(
            [sys.executable, "-c", DIGESTS, *map(str, SPECS.values())],
            env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("0", "4242")
    }  # fmt: skip
    own = [render(load(path)).manifest().artifact.body for path in SPECS.values()]
    assert said == {"".join(f"{each['digest']}\n" for each in own)}


@settings(max_examples=25, deadline=None)
@given(HOSTILE, HOSTILE, HOSTILE)
def test_whatever_a_person_writes_into_free_text_every_document_reads_back(one, two, three):
    plain = yaml.safe_load(SPECS["trading-engine"].read_text("utf-8"))
    plain["run"] = {"command": ["serve", one], "env": {"A": two}}
    plain["observability"]["slack"] = three
    plain["observability"]["metrics"][0]["title"] = one
    plain["delivery"] = {"approvers": [two]}
    service = Service.model_validate(plain)
    for file in render(service):
        text = file.data.decode()
        if file.path.endswith(".json"):
            assert json.loads(text) == file.artifact.body
        elif file.path.endswith((".yaml", ".yml")) and file.artifact.objects():
            assert list(yaml.safe_load_all(text)) == list(file.artifact.objects()), file.path
