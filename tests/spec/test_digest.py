"""What makes a release: the digest changes with it, and with nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.spec import digest
from holdfast.spec.digest import make_release
from holdfast.spec.load import Invalid, load_text
from holdfast.spec.release import Release

PROJECT = {
    "engine.py": "print('engine')",
    "engine.toml": "rate = 1",
    "app/main.py": "app = 1",
    "app/rules.py": "rules = 1",
    "bin/server": "#!/bin/sh",
    "notes.txt": "not part of anything",
    "conf/a.toml": "a",
    "conf/.hidden": "h",
}
RUN = "{command: python engine.py, config: [engine.toml], env: {A: b}, secrets: {S: env:T}}"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, content in PROJECT.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    return tmp_path


def release(project: Path, run: str = RUN, rest: str = "", version: str | None = None) -> Release:
    return make_release(load_text(f"service: shop\nrun: {run}\n{rest}"), project, version)


def test_a_release_is_named_by_its_version_and_its_digest(project: Path):
    made = release(project, rest="version: v2\n")
    assert made.version == "v2" and made.id == f"v2-{made.digest[:8]}" and len(made.digest) == 64


def test_a_release_that_nobody_named_is_named_by_its_digest(project: Path):
    made = release(project)
    assert made.version == f"r-{made.digest[:8]}"


def test_a_version_that_is_given_wins_over_the_one_in_the_spec(project: Path):
    assert release(project, rest="version: v2\n", version="v3").version == "v3"


def test_an_id_is_fit_to_name_files_whatever_the_version(project: Path):
    assert release(project, version="a/b c").id.startswith("a-b-c-")


@pytest.mark.parametrize(
    "run",
    [
        RUN.replace("A: b", "A: c"),
        RUN.replace("env:T", "env:U"),
        RUN.replace("engine.py", "engine.py --fast"),
        RUN.replace("command:", "cwd: ., limits: {open_files: 100}, command:"),
        RUN.replace("command:", "stop: {grace: 1s}, command:"),
    ],
)
def test_whatever_a_new_instance_would_be_started_with_makes_a_new_release(run: str, project: Path):
    assert release(project, run).digest != release(project).digest


@pytest.mark.parametrize("rest", ["probes: {ready: /r}", "traffic: {protocol: tcp}"])
def test_how_an_instance_is_let_in_and_spoken_to_is_part_of_the_release(rest: str, project: Path):
    assert release(project, rest=rest + "\n").digest != release(project).digest


@pytest.mark.parametrize(
    "rest",
    [
        "replicas: 9",
        "rollout: {strategy: canary, drain: 1s}",
        "promises: {p99: 1s}",
        "traffic: {port: 9000, retries: 0}",
        "# a comment",
    ],
)
def test_policy_and_the_number_of_replicas_make_no_new_release(rest: str, project: Path):
    assert release(project, rest=rest + "\n") == release(project)


def test_the_same_run_written_otherwise_is_the_same_release(project: Path):
    words = RUN.replace("python engine.py", "[python, engine.py]")
    explicit = RUN.replace("command:", "cwd: ., listen: port, command:")
    assert release(project, words) == release(project, explicit) == release(project)


def test_a_config_only_change_is_a_new_release(project: Path):
    before = release(project)
    (project / "engine.toml").write_text("rate = 2")
    assert release(project).digest != before.digest


def test_a_file_that_nothing_names_changes_nothing(project: Path):
    before = release(project)
    (project / "notes.txt").write_text("other")
    assert release(project) == before


@pytest.mark.parametrize(
    ("command", "file"),
    [
        ("python engine.py", "engine.py"),
        ("./bin/server --fast", "bin/server"),
        ("python -m app.main", "app/main.py"),
        ("python -m app", "app/rules.py"),
        ("uvicorn app.main:app --workers 2", "app/main.py"),
        ("sh -c 'exec uvicorn app.main:app --port $PORT'", "app/main.py"),
    ],
)
def test_the_program_itself_is_part_of_the_release(command: str, file: str, project: Path):
    before = release(project, f'"{command}"')
    (project / file).write_text("changed")
    assert release(project, f'"{command}"').digest != before.digest


def test_a_directory_of_config_is_read_whole_but_for_hidden_files(project: Path):
    before = release(project, "{command: x, config: [conf]}")
    (project / "conf/.hidden").write_text("changed")
    assert release(project, "{command: x, config: [conf]}") == before
    for name in ("conf/b.toml", "conf/inner/c.toml"):
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text("new")
        after = release(project, "{command: x, config: [conf]}")
        assert after.digest != before.digest
        before = after
    (project / "conf/__pycache__").mkdir()
    (project / "conf/__pycache__/c.pyc").write_text("compiled")
    assert release(project, "{command: x, config: [conf]}") == before


def test_files_are_found_from_the_working_directory(project: Path):
    before = release(project, "{command: python main.py, cwd: app, config: [rules.py]}")
    (project / "app/main.py").write_text("changed")
    assert release(project, "{command: python main.py, cwd: app, config: [rules.py]}") != before


def test_a_file_outside_the_project_is_not_read(project: Path, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "x.py"
    outside.write_text("1")
    before = release(project, f"python {outside} ../{project.name}/engine.py")
    outside.write_text("2")
    (project / "engine.py").write_text("2")
    assert release(project, f"python {outside} ../{project.name}/engine.py") == before


def test_a_directory_with_too_many_files_is_a_problem(project: Path, monkeypatch):
    monkeypatch.setattr(digest, "FILES_MAX", 1)
    assert release(project, "{command: x, config: [conf]}").digest
    (project / "conf/b.toml").write_text("one too many")
    with pytest.raises(Invalid, match=r"run\.config\[0\]: found more than 1 files"):
        release(project, "{command: x, config: [conf]}")


def test_missing_config_files_are_problems_all_at_once(project: Path):
    with pytest.raises(Invalid) as caught:
        release(project, "{command: x, config: [gone, engine.toml, away]}")
    found = {(p.path, p.found) for p in caught.value.problems}
    missing = "no such file or directory"
    assert found == {("run.config[0]", missing), ("run.config[2]", missing)}


def test_the_digest_does_not_depend_on_where_the_project_lies(project: Path, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for name in ("engine.py", "engine.toml"):
        (elsewhere / name).write_text(PROJECT[name])
    assert release(elsewhere) == release(project)


def test_the_digest_of_a_known_release_never_changes(project: Path):
    """Another value here means that an upgrade of Holdfast would redeploy every service."""
    known = "ce91ed50f1a74e857c519d10dfc68ca4a34ff914c6ee609c5f910c9cad10578a"
    assert release(project, rest="version: v1\n").digest == known
