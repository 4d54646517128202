"""What an artifact says shaped it is what shapes it: no other key changes it, each of these can."""

from __future__ import annotations

from functools import cache

import pytest
from shaping import Shapes, reads, seen, watched
from upstream import SPECS

from holdfast.artifacts.catalog import FAMILIES, artifacts, family_of
from holdfast.spec.fields import generic
from holdfast.spec.load import load, load_text
from holdfast.spec.variants import variants

#: Services in which keys matter that change nothing in the four examples.
MORE = (
    "run: a\nkubernetes: {workload: daemon}\nrollout: {max_unavailable: 2}",
    "run: a\nkubernetes: {ingress: nginx}\ntraffic: {balance: ring-hash}",
    "kubernetes: {workload: stateful}\nrun: {command: a, affinity: spread}",
    "kubernetes: {jobs: [{name: migrate, command: [b]}, {name: close-day, command: [b]}]}\n"
    "run: {command: node a}",
    "run: a\nkubernetes: {mesh: none, ingress: traefik}\nimage: {language: python}",
    "run: a\nkubernetes: {callers: [a], calls: [{to: 203.0.113.0/24}]}\n"
    "image: {mirrors: {us-east: a.test, eu-west: b.test, asia-pacific: c.test}}",
    'run: a\nimage: {signer: "-----BEGIN PUBLIC KEY-----\\nMFkw\\n-----END PUBLIC KEY-----"}',
    "run: a\nkubernetes: {sriov: {functions: 2, vlan: 3}}\n"
    "waivers: [{rule: trivy/CVE-2024-1, artifact: '*', reason: b, expires: 2027-01-01}]",
    "run: a\nrollout: {strategy: canary, analysis: {metrics: [errors, slow]}}\n"
    "kubernetes: {mesh: none, ingress: nginx}",
    "run: a\nregions: [{name: us-east, primary: true, cidr: 10.1.0.0/16, replicas: 5},"
    " {name: eu-west, cidr: 10.2.0.0/16, replicas: 4}, {name: asia-pacific, cidr: 10.3.0.0/16}]\n"
    "replicas: 6",
    "run: ./shop --version $HOLDFAST_VERSION\nkubernetes: {mesh: none, ingress: gateway}\n"
    "resources: {hugepages: 2MiB}",
    "run: a\nkubernetes: {mesh: none}\nimage: {platforms: [linux/arm64, linux/amd64]}",
    "run: a\nresilience: {backup: {rto: 20s}}",
    "run: a\ntraffic: {protocol: tcp}\nregions: [{name: us-east, primary: true}, {name: eu-west}]",
    "run: a\npromises: {p99: 1ms}\nkubernetes: {ingress: traefik}",
    "run: a\npromises: {p99: 1ms}\nkubernetes: {ingress: traefik, mesh: none}",
    "run: a\npromises: {throughput: 9/s}\n"
    "autoscaling: {metrics: [{name: b, query: sum(up), target: 1}]}",
    "run: a\nresilience: {database: none}\nkubernetes: {workload: stateful}",
    "run: {command: a, secrets: {TOKEN: env:TOKEN}}",
    "run: a\nresilience: {cdn: false}",
    "run: a\nrollout: {strategy: canary, approvals: 1}\ndelivery: {flagger: true}\n"
    "traffic: {balance: ring-hash, hash_header: x-a}",
    "run: a\nrollout: {strategy: canary, steps: [{weight: 5, approvals: 1}, 100]}\n"
    "delivery: {flagger: true}\nkubernetes: {ingress: nginx}",
    "run: a\nrollout: {strategy: canary}\nkubernetes: {ingress: nginx}\n"
    "traffic: {balance: ring-hash, hash_header: x-a, idempotent: true, try_timeout: 1s}",
    "run: a\nresilience: {waf: false}",
    "run: a\nresilience: {database: none, cache: none, queue: none}",
)


@cache
def observed(family: str) -> Shapes:
    """Every value of four services; of the others only what has changed nothing so far."""
    found = Shapes()
    for service in map(load, SPECS.values()):
        turned = tuple(variants(service))
        for renderer in FAMILIES[family]:
            found.look(service, renderer, turned)
    for more in MORE:
        look_at_idle_keys(found, family, more)
    return found


def look_at_idle_keys(found: Shapes, family: str, more: str) -> None:
    service = load_text(f"service: few\nversion: v1\n{more}\n")
    for renderer in FAMILIES[family]:
        made = tuple(renderer(service))
        idle = {key for artifact in made for key in found.idle(artifact)}
        found.look(service, renderer, tuple(variants(service, idle)))


@pytest.mark.parametrize("family", FAMILIES)
def test_no_key_changes_an_artifact_that_does_not_name_it(family):
    assert not sorted(observed(family).silent)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_key_that_an_artifact_names_can_change_it(family):
    assert not sorted(observed(family).all_idle())


@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_renderer_did_not_read_cannot_change_what_it_writes(family):
    """The other tests rest on this: they do not render again for keys that were not read."""
    service = load(SPECS["trading-engine"])
    turned = tuple(variants(service))[::23]
    for renderer in FAMILIES[family]:
        before, read = watched(service, renderer)
        for variant in turned:
            if read.isdisjoint(reads(generic(variant.path))):
                assert seen(variant.service, renderer) == before, variant.key


def test_every_family_writes_below_its_own_directory():
    for service in map(load, SPECS.values()):
        for family in FAMILIES:
            strays = {a.path for a in artifacts(service, [family]) if family_of(a.path) != family}
            assert not strays
