"""Stacks fit together: what one imports another exported before, what is asked for is given."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from pathlib import Path

import aws_templates as aws
import pytest
from family import spec

from holdfast.artifacts.bundle import bundle
from holdfast.artifacts.resilience.aws.deploy import PAGE, SCRIPT
from holdfast.artifacts.resilience.aws.steps import Accept, Deploy, Given, Output, steps

ALONE = spec("regions: [{name: us-east, primary: true}]\nresilience: {cdn: false, waf: false}")
EVERY = ("T111", "T112", "T113", "T114", "T115")


def deploys(service):
    return [step for step in steps(service) if isinstance(step, Deploy)]


def exports(body):
    return {each["Export"]["Name"] for each in body.get("Outputs", {}).values() if "Export" in each}


@pytest.mark.req(*EVERY)
@pytest.mark.parametrize("other", [None, ALONE], ids=["examples", "alone"])
def test_every_template_is_deployed_and_every_region_has_the_same_ones(service, other):
    given = other or service
    files = {step.file for step in deploys(given)}
    assert files == set(aws.templates(given))
    per_region = [
        {file.partition("/")[2] for file in files if file.startswith(f"{region.name}/")}
        for region in given.regions
    ]
    assert all(each == per_region[0] and len(each) >= 7 for each in per_region)
    clouds = {region.name: region.cloud for region in given.regions}
    for step in deploys(given):
        where = step.file.partition("/")[0]
        assert where == "global" or step.place == clouds[where]


@pytest.mark.req(*EVERY)
@pytest.mark.parametrize("other", [None, ALONE], ids=["examples", "alone"])
def test_what_a_stack_imports_was_exported_in_its_region_before(service, other):
    given = other or service
    there: dict[str, set[str]] = {}
    for step in deploys(given):
        body = aws.templates(given)[step.file]
        wanted = set(aws.values(body, "Fn::ImportValue"))
        missing = wanted - there.get(step.place, set())
        assert not missing, (step.file, missing)
        there.setdefault(step.place, set()).update(exports(body))


@pytest.mark.req(*EVERY)
@pytest.mark.parametrize("other", [None, ALONE], ids=["examples", "alone"])
def test_what_a_stack_asks_for_is_known_by_then(service, other):
    given = other or service
    there, told = {}, {}
    for step in steps(given):
        needs = [step.peering] if isinstance(step, Accept) else [v for _, v in step.parameters]
        for each in needs:
            if isinstance(each, Output):
                assert each.name in there[each.place, each.stack], each
        if isinstance(step, Deploy):
            body = aws.templates(given)[step.file]
            there[step.place, step.stack] = set(body.get("Outputs", {}))
            told.setdefault(step.file, set()).update(name for name, _ in step.parameters)
    for file, body in aws.templates(given).items():
        asked = body.get("Parameters", {})
        needed = {name for name, each in asked.items() if "Default" not in each}
        assert needed <= told[file] <= set(asked), file


def test_exports_are_of_one_stack_each(service):
    seen = {}
    for step in deploys(service):
        for name in exports(aws.templates(service)[step.file]):
            assert seen.setdefault((step.place, name), step.file) == step.file


def test_every_condition_and_parameter_is_used(service):
    for file, body in aws.templates(service).items():
        said = str({key: body[key] for key in ("Resources", "Conditions") if key in body})
        for name in body.get("Parameters", {}):
            assert f"'Ref': '{name}'" in said or f"${{{name}}}" in said, (file, name)


# ---- the script ----------------------------------------------------------------------------------

FAKE = """#!/bin/sh
echo "$@" >> "$CALLS"
case "$*" in
  *describe-transit-gateway-peering*)
    if [ -e "$CALLS.accepted" ]; then echo available; else echo pendingAcceptance; fi ;;
  *accept-transit*) : > "$CALLS.accepted" ;;
  *describe-stacks*|*describe-managed*) echo "value" ;;
  *"$FAILS"*) exit 1 ;;
esac
"""
SAID = {
    "HOSTED_ZONE": "Z123",
    "ADMINISTRATOR_ROLE": "arn:aws:iam::1:role/a",
    "CERTIFICATE": "arn:aws:acm:us-east-1:1:certificate/c",
    "HOLDFAST_PAUSE": "0",
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    fake = tmp_path / "bin" / "aws"
    fake.parent.mkdir()
    fake.write_text(FAKE, "utf-8")
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    return tmp_path


def run(service, place: Path, mode: str, said=SAID, fails: str = "nothing"):
    for each in bundle(aws.artifacts(service)):
        path = place / each.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(each.data)
    env = {"PATH": f"{place / 'bin'}:{os.environ['PATH']}", "CALLS": str(place / "calls"),
           "FAILS": fails, **said}  # fmt: skip
    argv = ["sh", str(place / SCRIPT), *([mode] if mode else [])]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=60)
    calls = place / "calls"
    return done, calls.read_text("utf-8").splitlines() if calls.exists() else []


def deployed(calls):
    found = (re.search(r"--region (\S+) .*--template-file (\S+)", call) for call in calls)
    return [each.groups() for each in found if each]


@pytest.mark.req(*EVERY)
def test_apply_deploys_every_stack_in_its_order_and_accepts_every_peering(service, place):
    done, calls = run(service, place, "apply")
    assert done.returncode == 0, done.stderr
    assert deployed(calls) == [(step.place, step.file) for step in deploys(service)]
    assert not [call for call in calls if "--no-execute-changeset" in call]
    assert [call for call in calls if "accept-transit" in call]


@pytest.mark.req(*EVERY)
def test_review_shows_every_stack_and_changes_nothing(service, place):
    done, calls = run(service, place, "review")
    assert done.returncode == 0, done.stderr
    assert deployed(calls) == [(step.place, step.file) for step in deploys(service)]
    changes = [call for call in calls if "describe-" not in call]
    assert all("--no-execute-changeset" in call for call in changes)


def test_apply_stops_at_the_first_stack_that_fails(reference, place):
    done, calls = run(reference, place, "apply", fails="eu-west/network.yaml")
    assert done.returncode == 1 and "trading-engine-network: failed" in done.stderr
    assert deployed(calls)[-1] == ("eu-west-1", "eu-west/network.yaml")


def test_review_goes_on_where_a_stack_cannot_be_shown_yet(reference, place):
    done, calls = run(reference, place, "review", fails="eu-west/network.yaml")
    assert done.returncode == 0 and "cannot be shown before" in done.stderr
    assert len(deployed(calls)) == len(deploys(reference))


@pytest.mark.parametrize("missing", ["HOSTED_ZONE", "ADMINISTRATOR_ROLE", "CERTIFICATE"])
def test_nothing_is_done_before_everything_is_said(reference, place, missing):
    said = {name: value for name, value in SAID.items() if name != missing}
    done, calls = run(reference, place, "apply", said)
    assert done.returncode and missing in done.stderr and not calls


def test_the_script_says_how_it_is_called(reference, place):
    done, calls = run(reference, place, "")
    assert done.returncode == 2 and "review|apply" in done.stderr and not calls


@pytest.mark.req(*EVERY)
def test_the_page_has_the_exact_dry_run_of_every_stack(service):
    page = next(each.body for each in aws.artifacts(service) if each.path == PAGE)
    commands = re.findall(r"```sh\n(aws cloudformation deploy.*?)\n```", page, re.S)
    assert len(commands) == len(deploys(service))
    for command, step in zip(commands, deploys(service), strict=True):
        assert command.endswith("--no-execute-changeset")
        assert f"--region {step.place} " in command and f"--template-file {step.file}" in command
        assert all(f"{name}=" in command for name, _ in step.parameters)
    needed = {v for s in deploys(service) for _, v in s.parameters if isinstance(v, Given)}
    assert all(f"| `{each.variable}` |" in page for each in needed)
