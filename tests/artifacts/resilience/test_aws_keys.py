"""What an artifact of the cloud says shaped it is what shapes it."""

from __future__ import annotations

from collections import defaultdict

import aws_templates as aws
from family import spec

from holdfast.artifacts.bundle import bundle

BASE = "probes: {ready: /ready}"
SWAPPED = "regions: [{name: us-east}, {name: eu-west, primary: true}, {name: asia-pacific}]"
OTHERS = """regions: [{name: us-east, cloud: us-east-2, primary: true, cidr: 10.1.0.0/16, zones: 2},
 {name: eu-west, cloud: eu-west-2, cidr: 10.2.0.0/16, zones: 2},
 {name: asia-pacific, cloud: ap-south-1, cidr: 10.3.0.0/16, zones: 2}]"""
#: Services that differ from the base in one key, each with that key.
CHANGES = (
    ("version", "version: v9"),
    ("replicas", "replicas: 90"),
    ("traffic.port", "traffic: 9999"),
    ("traffic.protocol", "traffic: {protocol: grpc}"),
    ("traffic.balance", "traffic: {balance: ring-hash}"),
    ("traffic.timeout", "traffic: {timeout: 7s}"),
    ("promises.availability", "promises: {availability: 99}"),
    ("image.platforms", "image: {platforms: [linux/arm64]}"),
    ("resources", "resources: {gpus: 1}"),
    ("autoscaling.max", "autoscaling: {max: 400}"),
    ("kubernetes.namespace", "kubernetes: {namespace: elsewhere}"),
    ("kubernetes.host", "kubernetes: {host: shop.example.org}"),
    ("kubernetes.ingress", "kubernetes: {ingress: traefik}"),
    ("kubernetes.mesh", "kubernetes: {mesh: none}"),
    ("regions", OTHERS),
    ("regions", SWAPPED),
    (
        "regions",
        SWAPPED.replace("asia-pacific", "x")
        .replace("eu-west", "asia-pacific")
        .replace("{name: x}", "{name: eu-west}"),
    ),
    ("delivery.branch", "delivery: {branch: production}"),
    ("resilience.database", "resilience: {database: none}"),
    ("resilience.cache", "resilience: {cache: none}"),
    ("resilience.queue", "resilience: {queue: none}"),
    ("resilience.objects", "resilience: {objects: none}"),
    ("resilience.backup", "resilience: {backup: {keep: 99d}}"),
    ("resilience.cdn", "resilience: {cdn: false}"),
    ("resilience.waf", "resilience: {waf: false}"),
    ("observability.keep_logs", "observability: {keep_logs: 99d}"),
)
#: Pairs of services that differ in one key of a section in which another is not the usual one.
PAIRS = (
    ("resilience.cdn", "resilience: {waf: false}", "resilience: {waf: false, cdn: false}"),
    ("resilience.waf", "resilience: {cdn: false}", "resilience: {waf: false, cdn: false}"),
    ("traffic.protocol", "traffic: {protocol: http1}", "traffic: {protocol: tcp}"),
)


def files(*texts: str):
    return _files(spec("\n".join(texts)))


def _files(service):
    return {each.path: each for each in bundle(aws.artifacts(service))}


def differing():
    """Each pair, with the key in which it differs."""
    base = files(BASE)
    for key, change in CHANGES:
        yield key, base, files(BASE, change)
    for key, one, other in PAIRS:
        yield key, files(one), files(other)
    named = spec(BASE).model_copy(update={"service": "other"})
    yield "service", base, _files(named)
    yield "probes.ready", base, files("probes: {ready: /other}")
    yield "probes.live", base, files("probes: {ready: /ready, live: /live}")


def observed():
    declared, real = defaultdict(set), defaultdict(set)
    for key, before, after in differing():
        for path in before.keys() | after.keys():
            mine, other = before.get(path), after.get(path)
            declared[path].update((mine or other).artifact.keys)
            if (mine and mine.data) != (other and other.data):
                real[path].add(key)
    return declared, real


def test_keys_are_those_that_change_an_artifact_and_no_others():
    declared, real = observed()
    silent = {f"{p}: {k}" for p, keys in real.items() for k in keys if
              not any(k == d or k.startswith(f"{d}.") for d in declared[p])}  # fmt: skip
    idle = {f"{p}: {d}" for p, keys in declared.items() for d in keys
            if not any(k == d or k.startswith(f"{d}.") for k in real[p])}  # fmt: skip
    assert (silent, idle) == (set(), set())
