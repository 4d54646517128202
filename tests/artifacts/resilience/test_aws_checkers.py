"""What people who know CloudFormation say about templates of other shapes than the examples'.

Those of the examples are held against every checker by ``tests/cli/test_check_live.py``.
"""

from __future__ import annotations

import copy
import json
import random
import subprocess
from collections import defaultdict
from pathlib import Path

import aws_templates as aws
import pytest
import yaml
from family import spec

from holdfast.artifacts.bundle import File, bundle
from holdfast.artifacts.check.written import of_file
from holdfast.artifacts.resilience.aws.steps import Deploy, steps
from holdfast.spec.model import Service
from holdfast.supply.checkers import run
from holdfast.supply.checkers.job import Status
from holdfast.supply.checkers.table import CHECKERS, program
from holdfast.supply.finding import Finding

ROWS = ("T24", "T25", "T32", "T48", "T111", "T112", "T113", "T114", "T115", "T116", "T117",
        "T118", "T119", "T120", "T123", "T124", "T135", "T136", "T137", "T141")  # fmt: skip
#: Services whose templates differ from those of the examples.
MORE = (
    "regions: [{name: us-east, primary: true, zones: 1}]\nresilience: {objects: none}",
    "traffic: {protocol: tcp}\nimage: {platforms: [linux/arm64]}",
    "traffic: {protocol: grpc, balance: ring-hash}\nkubernetes: {ingress: traefik}",
    "resilience: {cdn: false}\nregions: [{name: us-east, primary: true, cidr: 10.1.0.0/24, "
    "zones: 6}, {name: eu-west, cidr: 10.2.0.0/24}]",
)


def written(service: Service, root: Path) -> list[File]:
    files = list(bundle(aws.artifacts(service)))
    for each in files:
        path = root / each.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(each.data)
    return files


def said(name: str, service: Service, root: Path, but: str = "\0") -> list[Finding]:
    """What a checker finds in templates, ``but`` those with this in their path; skips where it is
    not installed."""
    files = [of_file(each) for each in written(service, root) if but not in each.path]
    table = tuple(each for each in CHECKERS if each.name == name)
    (outcome,) = run.check(root, files, table=table)
    if outcome.status == Status.NOT_CHECKED:
        pytest.skip(outcome.detail)
    assert outcome.files >= 7
    return list(outcome.findings)


@pytest.mark.req(*ROWS)
@pytest.mark.parametrize("text", MORE)
def test_cfn_lint_finds_nothing_in_those_of_other_shapes(text, tmp_path):
    assert said("cfn-lint", spec(text), tmp_path, but="asia-pacific") == []


@pytest.mark.req("T111", "T113", "T114", "T116")
def test_every_kind_of_resource_exists_in_the_region_where_its_stack_is_deployed(
    reference, tmp_path
):
    tool = program("cfn-lint")
    if tool is None:
        pytest.skip("cfn-lint is not installed: pip install cfn-lint")
    written(reference, tmp_path)
    files = defaultdict(set)
    for step in steps(reference):
        if isinstance(step, Deploy):
            files[step.place].add(str(tmp_path / "resilience/aws" / step.file))
    assert set(files) == {"us-east-1", "eu-west-1", "ap-southeast-1", "us-west-2"}
    for place, paths in files.items():
        argv = [tool, "--regions", place, "--format", "json", "--", *sorted(paths)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert json.loads(done.stdout) == [], place


def keys(value, at=()):
    """The place of every key of a template but its sections."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if at:
                yield (*at, key)
            yield from keys(inner, (*at, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from keys(inner, (*at, index))


def misspelled(body, place):
    """The template with one letter of a key twice."""
    found = copy.deepcopy(body)
    inner = found
    for part in place[:-1]:
        inner = inner[part]
    key = place[-1]
    inner[key[:2] + key[1:]] = inner.pop(key)
    return found


def test_cfn_lint_finds_nearly_every_key_that_is_misspelled(reference, tmp_path):
    """Silence is worth something only from one who can speak."""
    tool = program("cfn-lint")
    if tool is None:
        pytest.skip("cfn-lint is not installed: pip install cfn-lint")
    dice = random.Random(1)
    bodies = [b for p, b in aws.templates(reference).items() if p.startswith(("us-east", "global"))]
    places = [(body, place) for body in bodies for place in keys(body["Resources"], ("Resources",))]
    done = {}
    for index, (body, place) in enumerate(dice.sample(places, 40)):
        path = tmp_path / f"{index}.yaml"
        path.write_text(yaml.safe_dump(misspelled(body, place), sort_keys=False), "utf-8")
        done[str(path)] = "/".join(map(str, place))
    argv = [tool, "--format", "json", "--", *done]
    said = subprocess.run(argv, capture_output=True, text=True, check=False)
    found = {each["Filename"] for each in json.loads(said.stdout)}
    missed = [place for path, place in done.items() if path not in found]
    assert len(missed) <= 4, missed


def test_templates_fit_into_a_request_to_cloudformation(service):
    """51,200 bytes: more would need a bucket before there is one."""
    sizes = {each.path: len(each.data) for each in bundle(aws.artifacts(service))}
    assert max(size for path, size in sizes.items() if path.endswith(".yaml")) < 51_200


def test_templates_use_no_tags_that_only_some_readers_of_yaml_know(reference):
    for each in bundle(aws.artifacts(reference)):
        if each.path.endswith(".yaml"):
            lines = each.data.decode().splitlines()
            assert not [line for line in lines if ": !" in line or line.lstrip().startswith("- !")]
