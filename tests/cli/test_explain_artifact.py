"""holdfast explain on rendered files: who shaped them, line by line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from holdfast.artifacts import why
from holdfast.artifacts.catalog import FAMILIES, maker_of, render
from holdfast.cli import main
from holdfast.spec.load import load
from holdfast.spec.variants import variants

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "10-production" / "holdfast.yaml"
DEPLOYMENT = "kubernetes/base/deployment.yaml"


@pytest.fixture
def run(tmp_path, monkeypatch, capfd):
    """The reference service, rendered; every word of the commands is relative to it."""
    monkeypatch.chdir(tmp_path)
    Path("holdfast.yaml").write_bytes(EXAMPLE.read_bytes())

    def call(*words, code=0):
        assert main(list(words)) == code
        said, complained = capfd.readouterr()
        return said + complained

    call("render")
    return call


def line_of(text, path=DEPLOYMENT):
    lines = Path("out", path).read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def test_a_line_names_the_key_that_shapes_it_with_its_value_and_its_place_in_the_spec(run):
    said = run("explain", f"out/{DEPLOYMENT}:{line_of('maxSurge')}", "--json")
    (setting,) = json.loads(said)["settings"]
    assert setting["key"] == "rollout.max_surge"
    assert setting["value"] == 2
    assert setting["origin"] == "holdfast.yaml:8"


def test_a_line_of_a_default_says_so(run):
    said = run("explain", f"out/{DEPLOYMENT}:{line_of('failureThreshold')}", "--json")
    assert {each["origin"] for each in json.loads(said)["settings"]} == {"default"}


def test_a_line_that_no_key_changes_says_so(run):
    assert "no key alone changes this line" in run("explain", f"{DEPLOYMENT}:{line_of('kind:')}")


def test_a_file_says_what_it_is_its_rows_its_checkers_and_its_keys(run):
    said = run("explain", f"out/{DEPLOYMENT}")
    for word in ("T36", "schema", "checkov", "rollout.max_unavailable", "traffic.port"):
        assert word in said


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("out/kubernetes/base/nothing.yaml", "has no file"),
        (f"{DEPLOYMENT}:99999", "has no line 99999"),
        (f"{DEPLOYMENT}:0", "has no line 0"),
    ],
)
def test_what_is_not_there_is_said_in_one_sentence(run, words, reason):
    assert reason in run("explain", words, code=2)


def test_a_file_changed_by_hand_is_not_explained_by_the_spec(run):
    path = Path("out", DEPLOYMENT)
    path.write_text(path.read_text() + "# more\n")
    assert "not what the spec gives" in run("explain", str(path), code=2)


def test_a_line_of_an_override_names_the_override(run):
    place = Path("overrides", "kubernetes/base")
    place.mkdir(parents=True)
    (place / "deployment.merge.yaml").write_text("spec: {minReadySeconds: 77}\n")
    run("render")
    said = run("explain", f"out/{DEPLOYMENT}:{line_of('minReadySeconds: 77')}")
    assert "changed by kubernetes/base/deployment.merge.yaml" in said


def test_files_of_a_repository_are_explained_where_they_are(run):
    run("render", "--gitops", "repository")
    said = run("explain", "repository/apps/us-east/kustomization.yaml", "--json")
    assert any(each["key"].startswith("regions") for each in json.loads(said)["settings"])


def test_what_is_said_about_lines_is_what_happens_to_them():
    """Of every value that is said to shape lines, turning it changes one of these lines."""
    service = load(EXAMPLE)
    maker = maker_of(DEPLOYMENT, service)
    found = why.shaped(service, maker, DEPLOYMENT, variants(service))
    for variant in variants(service, ["rollout", "kubernetes.probes", "image"]):
        other = {a.path: a for a in maker(variant.service)}.get(DEPLOYMENT)
        before = next(a for a in maker(service) if a.path == DEPLOYMENT)
        changed = other is not None and other.body != before.body
        assert (variant.path in found.shapers) >= changed


def test_every_file_of_the_set_has_the_renderer_that_writes_it():
    service = load(EXAMPLE)
    for path in [file.path for file in render(service)][::7]:
        maker = maker_of(path, service)
        assert any(maker in renderers for renderers in FAMILIES.values()), path


def test_a_constant_line_says_what_decides_that_its_file_is_there(run):
    path = "resilience/runbooks/queue-under-replicated.md"
    said = run("explain", f"out/{path}:{line_of('## Act', path)}")
    assert "no key alone changes this line" in said
    assert "the file is there because of" in said and "resilience.queue" in said


def test_the_name_of_a_region_shapes_lines_though_a_mirror_is_named_after_it(run):
    path = "delivery/argocd/applicationsets.yaml"
    number = line_of("path: out/resilience/overlays/eu-west", path)
    said = json.loads(run("explain", f"out/{path}:{number}", "--json"))
    assert {each["key"] for each in said["settings"]} >= {"regions[1].name", "delivery.path"}
