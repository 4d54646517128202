"""Rules about image, regions and cluster: a spec that could not be rendered, and its neighbour."""

from __future__ import annotations

import pytest

from holdfast.spec.load import Invalid, load_text, read_text

BASE = "service: shop\nrun: python shop.py\n"
DIGEST = "sha256:" + "0123456789abcdef" * 4
EAST = "{name: us-east, primary: true, cidr: 10.1.0.0/16}"
WEST = "{{name: {name}, cidr: {cidr}, cloud: {cloud}, primary: {primary}}}"
ASKS = "query: b, target: 1"
TCP = "traffic: {protocol: tcp}"
JOB = "kubernetes: {{jobs: [{{name: {name}, command: {command}, schedule: {schedule}}}]}}"


def broken(text: str) -> list[str]:
    try:
        load_text(BASE + text)
    except Invalid as error:
        return [problem.path for problem in error.problems]
    return []


def job(name="close-day", command="[a]", schedule='"30 22 * * 1-5"'):
    return JOB.format(name=name, command=command, schedule=schedule)


def regions(name="eu-west", cidr="10.2.0.0/16", cloud="eu-west-1", primary="false"):
    west = WEST.format(name=name, cidr=cidr, cloud=cloud, primary=primary)
    return f"regions: [{EAST}, {west}]"


@pytest.mark.parametrize(
    ("path", "wrong", "right"),
    [
        ("image.repository", "image: {repository: Shop}", "image: {repository: a.example/shop}"),
        ("image.repository", "image: {repository: r.example.com/shop:1}",
         "image: {repository: 'localhost:5000/team/shop'}"),
        ("delivery.branch", "delivery: {branch: a b}", "delivery: {branch: release/1.x}"),
        ("delivery.branch", "delivery: {branch: a..b}", "delivery: {branch: a.b}"),
        ("delivery.path", "delivery: {path: ../out}", "delivery: {path: deploy/out}"),
        ("delivery.path", "delivery: {path: /out}", "delivery: {path: .}"),
        ("delivery.approvers[0]", "delivery: {approvers: [a b]}",
         "delivery: {approvers: [example/leads, me@example.com, me]}"),
        ("image.digest", "image: {digest: latest}", f"image: {{digest: '{DIGEST}'}}"),
        ("image.base", "image: {base: debian}", f"image: {{base: 'debian:12@{DIGEST}'}}"),
        ("image.signer", "image: {signer: cosign.key}",
         "image: {signer: 'awskms:///alias/shop'}"),
        ("image.platforms", "image: {platforms: []}", "image: {platforms: [linux/arm64]}"),
        ("regions", "regions: []", regions()),
        ("regions", "regions: [{name: a}]", "regions: [{name: a, primary: true}]"),
        ("regions[1].primary", regions(primary="true"), regions()),
        ("regions[1].name", regions(name="us-east"), regions(name="us-west")),
        ("regions[1].cloud", regions(cloud="'us east'"), regions(cloud="us-west-2")),
        ("regions[1].cidr", regions(cidr="10.2.0.1/16"), regions(cidr="10.3.0.0/16")),
        ("regions[1].cidr", regions(cidr="10.1.128.0/17"), regions(cidr="10.2.128.0/17")),
        ("regions[1].cidr", regions(cidr="8.8.0.0/16"), regions(cidr="172.16.0.0/16")),
    ],
)  # fmt: skip
def test_what_no_registry_and_no_cloud_would_take_is_refused(path, wrong, right):
    assert broken(wrong) == [path]
    assert broken(right) == []


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
        ("kubernetes.ingress", f"{TCP}\nkubernetes: {{ingress: traefik, mesh: none}}",
         f"{TCP}\nkubernetes: {{ingress: gateway, mesh: none}}"),
        ("image.tmpfs.tmp", "image: {tmpfs: {tmp: 1MiB}}", "image: {tmpfs: {/tmp: 1MiB}}"),
        ("kubernetes.storage.path", "kubernetes: {storage: {path: data}}",
         "kubernetes: {storage: {path: /data}}"),
        ("kubernetes.storage.path", "kubernetes: {storage: {path: /tmp}}",
         "kubernetes: {storage: {path: /tmp/data}}"),
        ("kubernetes.jobs[0].schedule", job(schedule="daily"), job()),
        ("kubernetes.jobs[0].schedule", job(schedule='"* * * *"'), job(schedule='"*/5 1,2 * * *"')),
        ("kubernetes.jobs[0].command", job(command="[]"), job(command="[a, b]")),
        ("kubernetes.jobs[0].name", job(name="a" * 48), job(name="a" * 47)),
        ("kubernetes.calls[0].to", "kubernetes: {calls: [{to: api.example.com}]}",
         "kubernetes: {calls: [{to: 203.0.113.7/32}]}"),
        ("kubernetes.sriov.card", "kubernetes: {sriov: {card: 'eth1; reboot'}}",
         "kubernetes: {sriov: {card: ens1f0np0}}"),
        ("kubernetes.sriov.addresses", "kubernetes: {sriov: {addresses: many}}",
         "kubernetes: {sriov: {addresses: 192.168.64.0/20}}"),
    ],
)  # fmt: skip
def test_what_kubernetes_would_refuse_is_refused_before_anything_is_rendered(path, wrong, right):
    assert broken(wrong) == [path]
    assert broken(right) == []


@pytest.mark.req("T11")
def test_cores_of_its_own_need_whole_cores_that_are_the_same_in_requests_and_limits():
    def warned(cpu, most):
        text = f"resources: {{requests: {{cpu: {cpu}, memory: 8GiB}}, limits: {{cpu: {most}}}}}"
        run = "run: {command: python shop.py, affinity: spread}"
        return [w.path for w in read_text(f"service: shop\n{run}\n{text}", "a").warnings]

    assert warned(4, 4) == []
    assert warned(2, 4) == warned(2.5, 2.5) == ["resources.requests"]


def test_a_name_too_long_for_the_objects_beside_it_is_a_warning():
    long = f"service: {'a' * 47}\nrun: python shop.py\n"
    warnings = read_text(long, "holdfast.yaml").warnings
    assert [warning.path for warning in warnings] == ["service"]


CLUSTER = "target: kubernetes\nimage: a.example/shop\n"


@pytest.mark.parametrize(
    ("path", "wrong", "right"),
    [
        ("image.repository", "target: kubernetes", CLUSTER),
        ("kubernetes.workload", CLUSTER + "kubernetes: {workload: stateful}",
         CLUSTER + "kubernetes: {workload: deployment}"),
        ("kubernetes.steer", CLUSTER + "kubernetes: {steer: service}\nrollout: canary",
         CLUSTER + "kubernetes: {steer: service}\nrollout: blue-green"),
        ("kubernetes.steer", CLUSTER + TCP, CLUSTER + TCP + "\nkubernetes: {steer: istio}"),
    ],
)  # fmt: skip
def test_what_no_cluster_could_roll_out_is_refused_before_it_is_asked(path, wrong, right):
    assert broken(wrong) == [path]
    assert broken(right) == []
