"""What shapes the family's files, and what can not break out of them."""

from __future__ import annotations

import json

import pytest
import yaml

from holdfast.artifacts.catalog import render
from holdfast.spec.load import load_text

FAMILY = ["observability"]
CHANGES = {
    "service": "service: other",
    "version": "version: v9",
    "replicas": "replicas: 9",
    "traffic.port": "traffic: 9999",
    "traffic.protocol": "traffic: {protocol: grpc}",
    "traffic.breaker.max_requests": "traffic: {breaker: {max_requests: 77}}",
    "probes.start_within": "probes: {start_within: 500s}",
    "probes.ready.path": "probes: {ready: /xx}",
    "rollout.deadline": "rollout: {deadline: 33m}",
    "rollout.max_unavailable": "rollout: {max_unavailable: 2}",
    "promises.p99": "promises: {p99: 250ms}",
    "promises.availability": "promises: {availability: 99}",
    "promises.throughput": "promises: {throughput: 5000/s}",
    "promises.deploy": "promises: {deploy: 7m}",
    "image.repository": "image: {repository: a.example/b}",
    "resources.requests.cpu": "resources: {requests: {cpu: 1}}",
    "autoscaling.max": "autoscaling: {max: 99}",
    "kubernetes.namespace": "kubernetes: {namespace: elsewhere}",
    "kubernetes.host": "kubernetes: {host: shop.example.org}",
    "kubernetes.mesh": "kubernetes: {mesh: none}",
    "kubernetes.ingress": "kubernetes: {ingress: nginx}",
    "kubernetes.workload": "kubernetes: {workload: stateful}",
    "kubernetes.jobs": "kubernetes: {jobs: [{name: a, command: [b]}]}",
    "delivery.branch": "delivery: {branch: production}",
    "resilience.database": "resilience: {database: cockroach}",
    "resilience.cache": "resilience: {cache: none}",
    "resilience.queue": "resilience: {queue: none}",
    "resilience.objects": "resilience: {objects: minio}",
    "resilience.backup.rpo": "resilience: {backup: {rpo: 10s}}",
    "observability.metrics": "observability: {metrics: [{name: a_total}]}",
    "observability.metrics_path": "observability: {metrics_path: /mm}",
    "observability.scrape": "observability: {scrape: 30s}",
    "observability.keep_metrics": "observability: {keep_metrics: 40d}",
    "observability.keep_logs": "observability: {keep_logs: 9d}",
    "observability.keep_traces": "observability: {keep_traces: 9d}",
    "observability.sampling": "observability: {sampling: 5.0}",
    "observability.slack": "observability: {slack: '#x'}",
    "observability.escalate_after": "observability: {escalate_after: 5m}",
    "observability.replicas": "observability: {replicas: 3}",
}


def files(*lines: str):
    said = "\n".join(("run: python shop.py", *lines))
    if not any(line.startswith("service:") for line in lines):
        said += "\nservice: shop"
    return {file.path: file for file in render(load_text(said + "\n"), FAMILY)}


@pytest.mark.parametrize("key", CHANGES)
def test_a_key_changes_only_files_that_name_it(key):
    before, after = files(), files(CHANGES[key])
    for path in before.keys() & after.keys():
        if before[path].data != after[path].data:
            keys = before[path].artifact.keys
            assert any(key == each or key.startswith(f"{each}.") for each in keys), path


HOSTILE = [
    "quote \" and ' and \\",
    "line\nbreak: {a: b}\n- c",
    "${{ secrets.X }} {{ .Values.y }} $(id) `id`",
    "*" * 500,
    "…—é漢字 # not: a comment",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_person_writes_stays_in_its_field(text):
    title = json.dumps(text)
    found = files(f"observability: {{metrics: [{{name: a_total, title: {title}}}]}}")
    page = json.loads(found["observability/grafana/dashboards/trading.json"].data)
    assert text in [panel["title"] for panel in page["panels"]]
    plain = files("observability: {metrics: [{name: a_total, title: T}]}")
    for path, file in found.items():
        if path.endswith((".yml", ".yaml")):
            bodies, others = (list(yaml.safe_load_all(each[path].data)) for each in (found, plain))
            assert shape(bodies) == shape(others), path
        assert file.path in plain


def shape(value):
    """The structure without the words; JSON inside of a text counts as a word."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    return [shape(each) for each in value] if isinstance(value, list) else type(value)
