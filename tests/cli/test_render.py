"""``holdfast render``: one spec becomes a directory, again and again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "10-production"
DEPLOYMENT = Path("out/kubernetes/base/deployment.yaml")
Run = Callable[..., SimpleNamespace]


@pytest.fixture
def run(run: Run, tmp_path: Path) -> Run:
    """Beside the reference spec."""
    shutil.copy(EXAMPLE / "holdfast.yaml", tmp_path)
    return run


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def test_the_first_render_writes_everything_and_the_second_nothing(run: Run):
    first, second = run("render"), run("render")
    assert first.code == second.code == 0
    assert f"+ {DEPLOYMENT.relative_to('out')}" in first.out
    assert second.out.startswith("out: ") and "; nothing changed; sha256:" in second.out


def test_a_changed_key_changes_its_files_and_no_others(run: Run):
    run("render")
    edit(Path("holdfast.yaml"), "replicas: 10", "replicas: 12")
    ran = run("render", "--json")
    told = json.loads(ran.out)
    shaped = {e["path"] for e in told["artifacts"] if "replicas" in e["keys"]}
    assert told["changes"] and {e["path"] for e in told["changes"]} <= shaped
    assert str(DEPLOYMENT.relative_to("out")) in {e["path"] for e in told["changes"]}


def test_diff_says_what_would_change_and_writes_nothing(run: Run):
    run("render")
    before = DEPLOYMENT.read_text()
    edit(Path("holdfast.yaml"), "max_surge: 2", "max_surge: 3")
    ran = run("render", "--diff")
    assert ran.code == 1
    assert "-      maxSurge: 2\n+      maxSurge: 3\n" in ran.out
    assert DEPLOYMENT.read_text() == before
    run("render")
    assert run("render", "--diff").code == 0


def test_a_file_changed_by_hand_stops_the_render_until_it_is_told(run: Run):
    run("render")
    DEPLOYMENT.write_text("by hand\n")
    ran = run("render")
    assert ran.code == 4 and "was changed by hand" in ran.err and "override" in ran.err
    assert DEPLOYMENT.read_text() == "by hand\n"
    assert run("render", "--force").code == 0
    assert DEPLOYMENT.read_text() != "by hand\n"


def test_what_is_no_longer_part_is_removed_and_foreign_files_stay(run: Run):
    run("render")
    foreign = Path("out/kubernetes/overlays/mine.txt")
    foreign.write_text("mine")
    regions = "regions: [{name: us-east, primary: true}, {name: eu-west}]\n"
    lines = Path("holdfast.yaml").read_text().splitlines(keepends=True)
    some = "".join(line for line in lines if "mirrors:" not in line)
    Path("holdfast.yaml").write_text(some + regions)
    assert "- kubernetes/overlays/asia-pacific/kustomization.yaml" in run("render").out
    assert not Path("out/kubernetes/overlays/asia-pacific").exists() and foreign.exists()


def test_only_touches_one_family_and_keeps_the_others_in_the_manifest(run: Run):
    run("render")
    edit(Path("holdfast.yaml"), "replicas: 10", "replicas: 12")
    edit(Path("holdfast.yaml"), "p99: 10ms", "p99: 25ms")
    ran = json.loads(run("render", "--only", "observability", "--json").out)
    assert {e["path"].split("/")[0] for e in ran["changes"]} == {"observability"}
    assert "replicas: 10" in DEPLOYMENT.read_text()
    assert any(e["path"].startswith("kubernetes/") for e in ran["artifacts"])
    assert run("render").code == 0


def test_a_repository_has_workflows_at_the_top_and_an_app_for_each_region(run: Run):
    assert run("render", "--gitops", "repo").code == 0
    app = Path("repo/apps/eu-west/kustomization.yaml").read_text()
    assert "../../kubernetes/overlays/eu-west" in app
    assert not Path("repo/delivery/github").exists()


def test_overrides_beside_the_spec_are_found_and_a_dangling_one_is_an_error(run: Run):
    place = Path("overrides/kubernetes/base")
    place.mkdir(parents=True)
    (place / "deployment.merge.yaml").write_text("spec: {minReadySeconds: 77}\n")
    ran = run("render")
    assert ran.code == 0 and "1 overridden" in ran.out
    text = DEPLOYMENT.read_text()
    assert "minReadySeconds: 77" in text
    assert "# Changed by kubernetes/base/deployment.merge.yaml." in text
    (place / "deploymnt.merge.yaml").write_text("a: 1\n")
    ran = run("render")
    assert ran.code == 2 and "kubernetes/base/deploymnt.merge.yaml" in ran.err


@pytest.mark.parametrize("text", ["{", '{"artifacts": [1]}', "[]"])
def test_a_broken_manifest_is_said_and_nothing_is_written(run: Run, text):
    Path("out").mkdir()
    Path("out/manifest.json").write_text(text)
    ran = run("render")
    assert ran.code == 2 and "no manifest of holdfast" in ran.err and "Traceback" not in ran.err


def test_a_manifest_cannot_make_render_delete_a_file_elsewhere(run: Run):
    Path("precious").write_text("mine")
    Path("out").mkdir()
    entry = {"path": "../precious", "digest": "sha256:0"}
    Path("out/manifest.json").write_text(json.dumps({"artifacts": [entry]}))
    ran = run("render", "--force")
    assert ran.code == 2 and "leads out of" in ran.err and Path("precious").exists()


def test_an_invalid_spec_is_2_and_says_where(run: Run):
    Path("holdfast.yaml").write_text("service: a\nrun: b\nreplica: 3\n")
    ran = run("render")
    assert ran.code == 2 and "holdfast.yaml:3" in ran.out + ran.err


def killed_half_way(monkeypatch) -> None:
    """As a process that was killed between two files: what it wrote stays as it is."""
    from holdfast.supply import staging

    move, moved = staging._move, []

    def some(root, place, change):
        moved.append(change.path)
        if len(moved) > 2:
            raise SystemExit(137)
        move(root, place, change)

    with monkeypatch.context() as patched, pytest.raises(SystemExit):
        patched.setattr(staging, "_move", some)
        staging.replace(*planned_now())


def planned_now():
    from holdfast.cli.rendering import planned, rendered

    manifest, todo = planned(Path("out"), rendered(None))
    return Path("out"), todo, manifest.path, manifest.data


def test_after_a_render_that_was_killed_the_next_one_goes_on_without_being_forced(
    run: Run, monkeypatch
):
    run("render")
    edit(Path("holdfast.yaml"), "p99: 10ms", "p99: 25ms")
    killed_half_way(monkeypatch)
    ran = run("check", "out")
    assert ran.code == 2 and "was killed" in ran.err and "holdfast render" in ran.err
    edit(Path("holdfast.yaml"), "p99: 25ms", "p99: 50ms")
    ran = run("render", "--only", "kubernetes")
    assert ran.code == 0
    assert run("render").code == 0
    assert run("render").out.count("nothing changed") == 1
    assert not Path("out/.holdfast-render").exists()


def test_an_override_that_is_no_text_is_named(run: Run):
    place = Path("overrides/kubernetes/base")
    place.mkdir(parents=True)
    (place / "deployment.merge.yaml").write_bytes(b"\xff")
    ran = run("render")
    assert ran.code == 2 and "kubernetes/base/deployment.merge.yaml is not UTF-8" in ran.err
