"""init, validate, explain and schema, as a person or a program runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import jsonschema_rs
import pytest

from holdfast.runtime.home import find_home

GOOD = "service: shop\nrun: python shop.py\nreplicas: 3\n"
BAD = "service: shop\nrun: python shop.py\nreplica: 3\ntraffic: 99999\n"
Run = Callable[..., SimpleNamespace]


def test_a_valid_spec_is_0_and_says_what_it_is(run: Run):
    Path("holdfast.yaml").write_text(GOOD)
    ran = run("validate")
    assert (ran.code, ran.out) == (0, "valid holdfast.yaml: shop, 3 replicas, rolling\n")


def test_an_invalid_spec_is_2_with_one_line_per_problem_in_a_pipe(run: Run):
    Path("holdfast.yaml").write_text(BAD)
    ran = run("validate")
    lines = ran.out.splitlines()
    assert ran.code == 2
    assert lines[0].startswith("error holdfast.yaml:3:1 replica: found unknown key 'replica'")
    assert lines[1].startswith("error holdfast.yaml:4:10 traffic: found 99999")
    assert lines[2] == "2 problems; nothing was deployed"


def test_warnings_are_shown_and_change_no_exit_code(run: Run):
    Path("holdfast.yaml").write_text(GOOD + "traffic: 80\n")
    ran = run("validate")
    assert ran.code == 0
    assert ran.out.startswith("warning holdfast.yaml:4:10 traffic.port: found 80")


def test_the_nearest_spec_above_is_used_unless_one_is_named(run: Run, monkeypatch):
    Path("holdfast.yaml").write_text(GOOD)
    Path("other.yaml").write_text(BAD)
    inner = Path("a/b")
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    assert run("validate").code == 0
    assert run("validate", "../../other.yaml").code == 2
    assert run("validate", "-f", "../../other.yaml").code == 2
    assert run("validate", "-f", "../..").code == 0


@pytest.mark.parametrize("words", [("validate",), ("explain",), ("validate", "gone.yaml")])
def test_no_spec_is_2_and_a_sentence(run: Run, words: tuple[str, ...]):
    ran = run(*words)
    assert ran.code == 2 and "no such file" in ran.out and "Traceback" not in ran.out + ran.err


def test_programs_get_problems_and_warnings_as_json(run: Run):
    Path("holdfast.yaml").write_text(BAD)
    said = json.loads(run("validate", "--json").out)
    assert said["valid"] is False
    assert [(p["line"], p["path"]) for p in said["problems"]] == [(3, "replica"), (4, "traffic")]
    Path("holdfast.yaml").write_text(GOOD + "traffic: 80\n")
    said = json.loads(run("validate", "--json").out)
    assert said["valid"] and [w["path"] for w in said["warnings"]] == ["traffic.port"]


def test_a_spec_on_standard_input_is_checked():
    words = [sys.executable, "-m", "holdfast.cli", "validate", "-"]
    ran = subprocess.run(words, input=BAD.encode(), capture_output=True, timeout=60)
    assert ran.returncode == 2 and b"<stdin>:3:1 replica" in ran.stdout


def test_explain_lists_every_setting_with_its_origin(run: Run):
    Path("holdfast.yaml").write_text(GOOD)
    lines = run("explain").out.splitlines()
    cells = {line.split()[0]: line.split() for line in lines}
    assert cells["replicas"] == ["replicas", "3", "holdfast.yaml:3"]
    assert cells["rollout.drain"] == ["rollout.drain", "30s", "default"]
    assert cells["version"][1:] == ["none", "derived", "from", "the", "deploy"]
    assert lines[-1].endswith("settings, 3 of them from the file")


def test_explain_json_has_a_row_per_setting(run: Run):
    Path("holdfast.yaml").write_text(GOOD)
    rows = {row["key"]: row for row in json.loads(run("explain", "--json").out)["settings"]}
    assert rows["replicas"]["line"] == 3 and rows["replicas"]["value"] == 3
    assert rows["promises.p99"] == {
        "key": "promises.p99", "value": "10ms", "origin": "default", "line": None,
        "doc": "P6: 99th percentile latency",
    }  # fmt: skip


@pytest.mark.parametrize("word", ["rollout.steps[0].weight", "rollout.steps.weight"])
def test_explain_tells_all_about_one_key_even_without_a_spec(run: Run, word: str):
    ran = run("explain", word)
    assert ran.code == 0
    assert "percent of traffic the new release carries" in ran.out
    assert "a whole number, 0 to 100" in ran.out and "required" in ran.out
    assert "example" in ran.out


def test_explain_of_a_section_lists_its_keys_and_their_values_here(run: Run):
    Path("holdfast.yaml").write_text(GOOD + "promises: {p99: 20ms}\n")
    out = run("explain", "promises").out
    assert "promises.throughput" in out and "promises.p99: 20ms  holdfast.yaml:4" in out


def test_explain_of_an_unknown_key_is_2_and_suggests(run: Run):
    ran = run("explain", "rollout.strateg")
    assert ran.code == 2 and "did you mean strategy?" in ran.err


def test_explain_of_an_invalid_spec_says_its_problems(run: Run):
    Path("holdfast.yaml").write_text(BAD)
    assert run("explain").code == 2
    assert json.loads(run("explain", "--json").out)["problems"][0]["path"] == "replica"


def test_schema_prints_a_json_schema_or_writes_it(run: Run):
    schema = json.loads(run("schema").out)
    jsonschema_rs.meta.validate(schema)
    assert run("schema", "-o", "s.json").out == "wrote s.json\n"
    assert json.loads(Path("s.json").read_text()) == schema


def test_init_writes_a_spec_that_validates_and_says_why(run: Run):
    Path("server.py").write_text("import http.server\n")
    Path("Dockerfile").write_text("EXPOSE 9000\n")
    ran = run("init")
    assert ran.code == 0
    assert "used  server.py is a program that serves" in ran.out
    assert "used  Dockerfile exposes port 9000" in ran.out
    assert run("validate").code == 0


def test_init_never_writes_over_a_spec_without_force(run: Run):
    Path("holdfast.yaml").write_text("mine")
    ran = run("init")
    assert ran.code == 2 and "exists already" in ran.err and "--force" in ran.err
    assert Path("holdfast.yaml").read_text() == "mine"
    assert run("init", "--force").code == 0
    assert "service:" in Path("holdfast.yaml").read_text()


def test_an_init_that_cannot_write_leaves_what_was_there_and_nothing_else(tmp_path: Path):
    (tmp_path / "holdfast.yaml").write_text("mine")
    words = f"ulimit -f 0; exec {sys.executable} -m holdfast.cli init --force"
    done = subprocess.run(
        ["sh", "-c", words], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2 and "holdfast.yaml could not be written: " in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["holdfast.yaml"]
    assert (tmp_path / "holdfast.yaml").read_text() == "mine"


@pytest.mark.parametrize("words", [("plan",), ("plan", "-f", "."), ("validate",), ("explain",)])
def test_a_spec_that_ends_in_yml_is_found_by_every_command(run: Run, words):
    Path("holdfast.yml").write_text("service: shop\nrun: sleep 1\n")
    ran = run(*words)
    assert ran.code == 0 and "shop" in ran.out


def test_the_state_directory_is_beside_a_spec_that_ends_in_yml(tmp_path: Path, monkeypatch):
    monkeypatch.delenv("HOLDFAST_HOME", raising=False)
    (tmp_path / "holdfast.yml").write_text("service: shop\n")
    (tmp_path / "below").mkdir()
    assert find_home(tmp_path / "below") == tmp_path / ".holdfast"


def test_init_with_force_writes_the_spec_that_is_there_and_not_a_second_one(run: Run):
    Path("holdfast.yml").write_text("mine")
    assert run("init").code == 2
    assert run("init", "--force").code == 0
    assert os.listdir() == ["holdfast.yml"] and "service:" in Path("holdfast.yml").read_text()


def test_init_dry_run_writes_nothing(run: Run):
    out = run("init", "--dry-run").out
    assert "service:" in out and os.listdir() == []


def test_init_of_an_empty_directory_says_that_it_is_a_template(run: Run):
    ran = run("init")
    assert "it is a template" in ran.out and "found nothing to go by" in ran.out
    assert run("validate").code == 0


def test_init_json_has_the_clues_and_the_text(run: Run):
    Path("server.py").write_text("import http.server\n")
    said = json.loads(run("init", "--json").out)
    assert said["written"] and said["complete"]
    assert {"file": "server.py", "says": "is a program that serves"} in said["used"]
    assert Path("holdfast.yaml").read_text() == said["text"]


def test_the_group_starts_without_pydantic():
    code = "import sys; import holdfast.cli; sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
