"""Rules about the cluster: one spec that Kubernetes would refuse, and the neighbour it takes."""

from __future__ import annotations

import pytest

from holdfast.spec.load import Invalid, load_text, read_text

BASE = "service: shop\nrun: python shop.py\n"
ASKS = "query: b, target: 1"
JOB = "kubernetes: {{jobs: [{{name: {name}, command: {command}, schedule: {schedule}}}]}}"


def broken(text: str) -> list[str]:
    try:
        load_text(BASE + text)
    except Invalid as error:
        return [problem.path for problem in error.problems]
    return []


def job(name="close-day", command="[a]", schedule='"30 22 * * 1-5"'):
    return JOB.format(name=name, command=command, schedule=schedule)


@pytest.mark.parametrize(
    ("path", "wrong", "right"),
    [
        ("resources.requests.cpu", "resources: {requests: {cpu: 5}}",
         "resources: {requests: {cpu: 5}, limits: {cpu: 5}}"),
        ("resources.requests.memory", "resources: {limits: {memory: 1GiB}}",
         "resources: {requests: {memory: 1GiB}, limits: {memory: 1GiB}}"),
        ("resources.hugepages", "resources: {hugepages: 3MiB}", "resources: {hugepages: 4MiB}"),
        ("autoscaling.min", "autoscaling: {min: 9, max: 8}", "autoscaling: {min: 8, max: 8}"),
        ("autoscaling.metrics[1].name",
         f"autoscaling: {{metrics: [{{name: a, {ASKS}}}, {{name: a, {ASKS}}}]}}",
         f"autoscaling: {{metrics: [{{name: a, {ASKS}}}, {{name: b, {ASKS}}}]}}"),
        ("kubernetes.host", 'kubernetes: {host: "a`) || Host(`b"}', "kubernetes: {host: a.org}"),
        ("kubernetes.ingress", "traffic: {protocol: tcp}\nkubernetes: {ingress: nginx}",
         "traffic: {protocol: tcp}\nkubernetes: {ingress: traefik}"),
        ("image.tmpfs.tmp", "image: {tmpfs: {tmp: 1MiB}}", "image: {tmpfs: {/tmp: 1MiB}}"),
        ("kubernetes.storage.path", "kubernetes: {storage: {path: data}}",
         "kubernetes: {storage: {path: /data}}"),
        ("kubernetes.storage.path", "kubernetes: {storage: {path: /tmp}}",
         "kubernetes: {storage: {path: /tmp/data}}"),
        ("kubernetes.jobs[0].schedule", job(schedule="daily"), job()),
        ("kubernetes.jobs[0].schedule", job(schedule='"* * * *"'), job(schedule='"*/5 1,2 * * *"')),
        ("kubernetes.jobs[0].command", job(command="[]"), job(command="[a, b]")),
        ("kubernetes.jobs[0].name", job(name="a" * 48), job(name="a" * 47)),
    ],
)  # fmt: skip
def test_what_kubernetes_would_refuse_is_refused_before_anything_is_rendered(path, wrong, right):
    assert broken(wrong) == [path]
    assert broken(right) == []


def test_a_name_too_long_for_the_objects_beside_it_is_a_warning():
    long = f"service: {'a' * 47}\nrun: python shop.py\n"
    warnings = read_text(long, "holdfast.yaml").warnings
    assert [warning.path for warning in warnings] == ["service"]
