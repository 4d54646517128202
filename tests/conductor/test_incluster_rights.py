"""The conductor's role in a cluster: what is needed, and not one verb more."""

from __future__ import annotations

import pytest

from holdfast.artifacts.installation.access import EVERYWHERE
from holdfast.spec.load import load_text
from holdfast.targets.kubernetes.rights import rights

SPEC = """
service: shop
target: kubernetes
run: app
image: { repository: example.com/shop }
"""
WAYS = {
    "gateway": "kubernetes: { steer: gateway }\n",
    "istio": "kubernetes: { steer: istio }\n",
    "service": "kubernetes: { steer: service }\nrollout: blue-green\n",
    "grpc": "kubernetes: { steer: gateway }\ntraffic: { port: 8080, protocol: grpc }\n",
    "autoscaled": "autoscaling: { min: 2, max: 8 }\n",
    "by events": "autoscaling: { min: 2, metrics: [{ name: n, query: up, target: 1 }] }\n",
}
#: A Release is in a namespace that exists: nobody needs to make one.
NEVER = {("", "namespaces", "create"), ("", "namespaces", "patch")}
OWN = {
    ("holdfast.dev", "releases", "list"), ("holdfast.dev", "releases", "watch"),
    ("holdfast.dev", "releases/status", "patch"),
    ("", "events", "create"),
    ("authentication.k8s.io", "tokenreviews", "create"),
    ("authorization.k8s.io", "subjectaccessreviews", "create"),
}  # fmt: skip


def needed(more: str) -> set[tuple[str, str, str]]:
    asked = rights(load_text(SPEC + more))
    found = {(each.kind.group, each.resource, verb) for each in asked for verb in each.verbs}
    return found - NEVER


@pytest.fixture(scope="module")
def granted() -> set[tuple[str, str, str]]:
    return {
        (each.group, resource, verb)
        for each in EVERYWHERE
        for resource in each.resources
        for verb in each.verbs
    }


@pytest.mark.parametrize("more", WAYS.values(), ids=WAYS)
def test_a_rollout_may_do_all_that_it_does(granted, more):
    assert needed(more) - granted == set()


def test_nothing_is_granted_that_nobody_needs(granted):
    used = set().union(*(needed(more) for more in WAYS.values())) | OWN
    assert granted - used == set()
