"""Workflows: accepted by their checkers, with least privilege, and deaf to hostile text."""

from __future__ import annotations

import json
import re
import tomllib

import pytest
import upstream
from delivered import artifact, rendered, spec
from jsonschema_rs import validator_for

from holdfast.artifacts import versions
from holdfast.artifacts.artifact import Artifact
from holdfast.artifacts.bundle import bundle
from holdfast.artifacts.check import written
from holdfast.artifacts.delivery.github.steps import literal
from holdfast.artifacts.gitops import arranged
from holdfast.spec.model import Service
from holdfast.supply.checkers import run, table
from holdfast.supply.checkers.job import Status

EXPRESSION = re.compile(r"\$\{\{.*?\}\}")
HOSTILE = "'\"\n`$(touch x)${{ secrets.X }}{{ .Values }} ; touch y # \u202e\u00e9 " + "x" * 300
ROWS = ("T16", "T17", "T18", "T19", "T20", "T22", "T23", "T65", "T66", "T67", "T68", "T69", "T70",
        "T81", "T82", "T83", "P9")  # fmt: skip


def workflows(service: Service) -> dict[str, Artifact]:
    return {f.artifact.name: f.artifact for f in rendered(service) if "/workflows/" in f.path}


def jobs(service):
    for name, workflow in workflows(service).items():
        for key, job in workflow.body["jobs"].items():
            yield f"{name}/{key}", job


def steps(service):
    for name, job in jobs(service):
        for step in job["steps"]:
            yield f"{name}/{step['name']}", step


@pytest.mark.req(*ROWS)
def test_github_accepts_every_file(service):
    upstream.assert_accepted(rendered(service), "delivery/github/")


@pytest.mark.req(*ROWS)
@pytest.mark.parametrize("name", ["actionlint", "zizmor"])
def test_checkers_of_workflows_find_nothing(service, name, tmp_path):
    (checker,) = (each for each in table.CHECKERS if each.name == name)
    found = bundle(arranged((file.artifact for file in rendered(service)), service))
    for file in found:
        (tmp_path / file.path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file.path).write_bytes(file.data)
    (outcome,) = run.check(tmp_path, written.of_bundle(found), table=(checker,))
    if outcome.status is Status.NOT_CHECKED:
        pytest.skip(outcome.detail)
    assert outcome.status is Status.CHECKED
    assert not outcome.findings, "\n".join(map(str, outcome.findings))


@pytest.mark.req("T70", "P9")
def test_every_action_is_one_commit_that_is_on_record_and_says_its_version(service):
    known = {action.reference: action.tag for action in versions.ACTIONS}
    for name, step in steps(service):
        assert step.get("uses", versions.CHECKOUT.reference) in known, name
    for file in rendered(service):
        if "/workflows/" in file.path:
            for line in file.data.decode().splitlines():
                if "uses: " in line:
                    reference, _, tag = line.partition("uses: ")[2].partition(" # ")
                    assert known[reference] == tag


def test_the_commits_on_record_are_whole_and_none_is_there_twice():
    assert all(re.fullmatch("[0-9a-f]{40}", action.commit) for action in versions.ACTIONS)
    assert len({action.repository for action in versions.ACTIONS}) == len(versions.ACTIONS)


@pytest.mark.req("P9")
def test_nothing_is_permitted_but_what_a_job_asks_for_and_every_job_ends(service):
    writing = {}
    for name, workflow in workflows(service).items():
        assert workflow.body["permissions"] == {}
        assert "group" in workflow.body["concurrency"]
        assert "pull_request_target" not in workflow.body["on"], name
        assert "workflow_run" not in workflow.body["on"], name
    for name, job in jobs(service):
        assert 0 < job["timeout-minutes"] <= 120, name
        assert job["defaults"]["run"]["shell"].endswith("-euo pipefail {0}"), name
        assert "harden-runner" in job["steps"][0]["uses"], name
        written_to = {k for k, v in job["permissions"].items() if v != "read"}
        if written_to:
            writing[name] = written_to
    assert writing == {
        "ci.yaml/codeql": {"security-events"},
        "ci.yaml/semgrep": {"security-events"},
        "image.yaml/sign": {"id-token", "attestations"},
        "rescan.yaml/rescan": {"issues"},
    }


@pytest.mark.req("P9")
def test_no_checkout_leaves_a_token_behind(service):
    found = [step for _, step in steps(service) if "checkout@" in step.get("uses", "")]
    assert found and all(step["with"]["persist-credentials"] is False for step in found)


@pytest.mark.req("P9")
def test_secrets_are_read_only_in_jobs_of_an_environment(service):
    for name, job in jobs(service):
        if "secrets." in json.dumps(job):
            assert job["environment"] in ("registry", "delivery", "rollback"), name


def test_no_expression_is_inside_a_script(service):
    for name, step in steps(service):
        assert "${{" not in step.get("run", ""), name


def attacked(service: Service) -> Service:
    """Hostile text in every field that a person may fill and a workflow reads."""
    delivery = service.delivery.model_copy(
        update={"branch": HOSTILE, "path": HOSTILE, "repository": HOSTILE, "approvers": (HOSTILE,)}
    )
    image = service.image.model_copy(update={"repository": HOSTILE})
    run_section = service.run.model_copy(update={"command": (HOSTILE, HOSTILE)})
    return service.model_copy(
        update={"delivery": delivery, "image": image, "run": run_section, "version": HOSTILE}
    )


def test_hostile_text_reaches_no_script_and_no_expression_even_past_the_rules(service):
    plain = service.model_copy(
        update={"image": service.image.model_copy(update={"language": "go"})}
    )
    hostile = attacked(plain)
    scripts = {name: step.get("run") for name, step in steps(plain)}
    assert {name: step.get("run") for name, step in steps(hostile)} == scripts
    for name, workflow in workflows(hostile).items():
        wanted = set(EXPRESSION.findall(json.dumps(workflows(plain)[name].body)))
        said = json.dumps(workflow.body, ensure_ascii=False).replace("${{ '${{' }}", "<opened>")
        assert set(EXPRESSION.findall(said)) == wanted, name


def test_hostile_text_that_the_rules_let_through_is_accepted_too(tmp_path):
    said = 'delivery: {branch: "a${{secrets.X}}+`$(x)`", path: "o u t/$(x)"}\n'
    found = spec(said)
    upstream.assert_accepted(rendered(found), "delivery/github/")
    (branch,) = workflows(found)["ci.yaml"].body["on"]["push"]["branches"]
    assert branch == "a${{ '${{' }}secrets.X}}\\+`$(x)`"


def test_a_literal_is_one_line_that_github_reads_as_it_was_written():
    assert literal("a\n  uses: x") == "a uses: x"
    assert literal("${{ x }}") == "${{ '${{' }} x }}"


@pytest.mark.req("T16", "T17", "T18", "T19", "T20")
def test_each_platform_is_built_and_tested_on_its_own_processor(service):
    wanted = {platform.partition("/")[2] for platform in service.image.platforms}
    found = workflows(service)
    for name, key in (("ci.yaml", "test"), ("ci.yaml", "build"), ("image.yaml", "build")):
        job = found[name].body["jobs"][key]
        rows = job["strategy"]["matrix"]["include"]
        assert {row["arch"] for row in rows} == wanted
        assert all(("arm" in row["runner"]) == (row["arch"] == "arm64") for row in rows)
        assert job["runs-on"] == "${{ matrix.runner }}"


def before(jobs, key):
    """Every job that must have ended well before this one."""
    for need in jobs[key].get("needs", ()):
        yield need
        yield from before(jobs, need)


@pytest.mark.req("T22", "T68", "T70", "P9")
def test_nothing_is_signed_unscanned_and_nothing_is_promoted_unsigned(service):
    found = workflows(service)["image.yaml"].body["jobs"]
    gates = {"build", "publish", "scan"}
    if service.traffic.protocol == "http1":
        gates.add("dast")
    assert gates <= set(before(found, "sign"))
    assert "sign" in set(before(found, "promote"))
    names = [step["name"] for step in found["sign"]["steps"]]
    assert names.index("Sign") < names.index("Verify")
    promote = [step["name"] for step in found["promote"]["steps"]]
    assert promote.index("Verify") < promote.index("Write and render")


@pytest.mark.req("T22")
def test_cosign_is_new_enough_for_its_own_scripts():
    used, least = (tuple(map(int, v.split("."))) for v in (versions.COSIGN_USED, versions.COSIGN))
    assert used >= least >= (3, 0, 4)


@pytest.mark.req("T67", "T68")
def test_every_change_is_looked_at_by_codeql_and_semgrep(service):
    found = workflows(service)["ci.yaml"].body
    assert {"pull_request", "push", "merge_group"} <= set(found["on"])
    languages = [
        row["language"] for row in found["jobs"]["codeql"]["strategy"]["matrix"]["include"]
    ]
    assert "actions" in languages and len(languages) == 2
    scan = found["jobs"]["semgrep"]["steps"][2]
    assert "--error" in scan["run"] and "@sha256:" in scan["env"]["SEMGREP"]


@pytest.mark.req("T69")
def test_the_gate_of_benchmarks_is_the_one_of_the_spec():
    found = workflows(spec("delivery: {regression: 7}"))["ci.yaml"].body["jobs"]["benchmark"]
    assert found["steps"][-1]["env"]["TOLERATED"] == "7"
    assert "regression.py" in found["steps"][-1]["run"]


@pytest.mark.req("T23")
def test_the_registry_is_scanned_again_each_day():
    found = workflows(spec())["rescan.yaml"].body
    assert re.fullmatch(r"\d+ \d+ \* \* \*", found["on"]["schedule"][0]["cron"])


@pytest.mark.req("T66", "P9")
def test_dependabot_follows_the_language_and_waits_a_week(service):
    body = artifact(service, "github/dependabot.yml").body
    found = {each["package-ecosystem"]: each for each in body["updates"]}
    assert {"github-actions", "docker"} < set(found)
    assert all(each["cooldown"]["default-days"] >= 7 for each in found.values())


def test_approvers_own_the_spec_the_set_and_the_workflows():
    found = spec("delivery: {path: a b, approvers: [example/leads, me@example.com]}")
    lines = artifact(found, "github/CODEOWNERS").body.splitlines()
    who = "@example/leads me@example.com"
    assert lines == [f"/holdfast.yaml {who}", f"/a\\ b/ {who}", f"/.github/ {who}"]


@pytest.mark.req("T81", "T82", "T83")
def test_git_cliff_accepts_its_settings():
    schema = upstream.files().read("other/git-cliff.json")
    body = tomllib.loads(artifact(spec(), "github/cliff.toml").body)
    assert [str(each) for each in validator_for(schema).iter_errors(body)] == []
