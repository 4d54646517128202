"""What an artifact says shaped it is what shapes it: no other key changes it, each of these can."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import shaping
from kube_objects import rendered, spec

from holdfast.spec.load import load

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "10-production"
#: Services in which keys matter that change nothing in the four examples.
MORE = (
    "kubernetes: {workload: daemon}\nrollout: {max_unavailable: 2}",
    "kubernetes: {ingress: nginx}\ntraffic: {balance: ring-hash}",
    "kubernetes: {workload: stateful}\nrun: {command: a, affinity: spread}",
    "kubernetes: {jobs: [{name: migrate, command: [b]}, {name: close-day, command: [b]}]}\n"
    "run: {command: node a}",
    "kubernetes: {callers: [a], calls: [{to: 203.0.113.0/24}], sriov: {functions: 2, vlan: 3}}",
    "kubernetes: {mesh: none}\nimage: {platforms: [linux/arm64, linux/amd64]}\n"
    "resources: {hugepages: 2MiB}",
    "regions: [{name: us-east, primary: true}, {name: eu-west}]",
)


@cache
def shapes() -> shaping.Shapes:
    services = (*map(load, sorted(EXAMPLES.glob("*.yaml"))), *map(spec, MORE))
    return shaping.observed(services, rendered)


def test_no_key_changes_an_artifact_that_does_not_name_it():
    assert not shaping.silent(shapes())


def test_every_key_that_an_artifact_names_can_change_it():
    assert not shaping.idle(shapes())
