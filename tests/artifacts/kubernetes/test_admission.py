"""Admission: what is rendered is let in, and each manifest that breaks one demand is refused."""

from __future__ import annotations

import re
import time

import pytest
import upstream
from admission import changed, refusals
from kube_objects import objects, rendered, spec, the
from test_server import pod_of, prepared

from kubernetes_rig.api_server import Refused

WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob")
POLICIES = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
C0 = ("spec", "template", "spec", "containers", 0)
POD = ("spec", "template", "spec")
AMOUNT = {"cpu": "1", "memory": "1Gi"}
INIT = {
    "name": "i",
    "image": "registry.example.com/a:1.0",
    "resources": {"requests": AMOUNT, "limits": AMOUNT},
}
OWN = "registry.example.com/trading/trading-engine"
#: What is wrong with a Deployment -> where, the value, what is said about it.
NEGATIVE = {
    "tag latest": ((*C0, "image"), "registry.example.com/a:latest", "another image tomorrow"),
    "tag main": ((*C0, "image"), "registry.example.com/a:main", "another image tomorrow"),
    "tag 1-latest": ((*C0, "image"), "registry.example.com/a:1-latest", "another image tomorrow"),
    "no tag": ((*C0, "image"), "registry.example.com/a", "another image tomorrow"),
    "strange registry": ((*C0, "image"), "docker.io/library/nginx:1.29.0", "not allowed here"),
    "registry with a longer name": (
        (*C0, "image"), "registry.example.com.evil.net/a:1.0", "not allowed here"),
    "own image by tag": ((*C0, "image"), f"{OWN}:1.4.2", "not named by its digest"),
    "root by user": ((*C0, "securityContext", "runAsUser"), 0, "user 0"),
    "root by default": ((*POD, "securityContext"), {}, ""),
    "root in a container": ((*C0, "securityContext", "runAsNonRoot"), False, "run as root"),
    "writable": ((*C0, "securityContext", "readOnlyRootFilesystem"), False, "may write"),
    "no security context": ((*C0, "securityContext"), None, "may write"),
    "no requests": ((*C0, "resources", "requests"), None, "requests.cpu"),
    "no memory limit": ((*C0, "resources", "limits", "memory"), None, "limits.memory"),
    "no request of cpu": ((*C0, "resources", "requests", "cpu"), None, "requests.cpu"),
    "no request of memory": ((*C0, "resources", "requests", "memory"), None, "requests.memory"),
    "no resources": ((*C0, "resources"), None, "requests.cpu"),
    "token": ((*POD, "automountServiceAccountToken"), True, "token"),
    "token by default": ((*POD, "automountServiceAccountToken"), None, "token"),
    "no labels": (("metadata", "labels"), {"app": "x"}, "no label"),
    "no labels on pods": (
        (*POD[:2], "metadata", "labels"),
        {"app.kubernetes.io/name": "trading-engine", "app.kubernetes.io/managed-by": "holdfast"},
        "no label app.kubernetes.io/part-of"),
    "no name on pods": (
        (*POD[:2], "metadata", "labels", "app.kubernetes.io/name"), None, "no label"),
    "nobody manages the pods": (
        (*POD[:2], "metadata", "labels", "app.kubernetes.io/managed-by"), None, "no label"),
    "writable init container": ((*POD, "initContainers"), [INIT], "may write"),
    "strange init container": (
        (*POD, "initContainers"),
        [INIT | {"image": "evil.net/a:1.0", "securityContext": {"readOnlyRootFilesystem": True}}],
        "not allowed here"),
}  # fmt: skip
#: A container may do without what its pod says for all of them.
HARMLESS = {"root by default"}
#: An API server refuses it before it asks any policy: the selector would choose no pod.
INVALID = {"no name on pods"}


def policies(service):
    return [each for kind in POLICIES for each in objects(service, kind)]


def workloads(service):
    return [each for kind in WORKLOADS for each in objects(service, kind)]


def wrong(reference, case):
    place, value, said = NEGATIVE[case]
    return changed(the(reference, "Deployment", "trading-engine"), *place, to=value), said


@pytest.mark.req("T60")
def test_everything_rendered_is_let_in(service):
    for workload in workloads(service):
        assert refusals(policies(service), workload) == [], workload["metadata"]["name"]
        if workload["kind"] != "CronJob":
            assert refusals(policies(service), pod_of(workload)) == []


@pytest.mark.req("T56", "T60")
@pytest.mark.parametrize("case", NEGATIVE)
def test_a_manifest_that_breaks_one_demand_is_refused_for_it(reference, case):
    document, said = wrong(reference, case)
    found = refusals(policies(reference), document)
    if case in HARMLESS:
        assert found == []
    else:
        assert any(said in message for message in found), found


@pytest.mark.req("T60")
def test_every_demand_refuses_something_and_some_case_is_refused_for_it_alone(reference):
    """Else a demand could be lost, or be true of everything, and no test would tell."""
    demanded = {
        each["message"]
        for policy in objects(reference, POLICIES[0])
        for each in policy["spec"]["validations"]
    }
    said = [set(refusals(policies(reference), wrong(reference, case)[0])) for case in NEGATIVE]
    alone = {next(iter(messages)) for messages in said if len(messages) == 1}
    assert not demanded - set().union(*said)
    assert sorted(demanded - alone) == []


@pytest.mark.req("T60")
def test_pods_of_others_in_the_namespace_need_a_good_image_but_no_shape_of_ours(service):
    owner = [{"apiVersion": "a/v1", "kind": "Cluster", "name": "db", "uid": "1"}]
    container = {"name": "a", "image": "registry.k8s.io/db:1.2.3"}
    metadata = {"name": "db-1", "labels": {"db": "1"}, "ownerReferences": owner}
    spec = {"containers": [container]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    assert refusals(policies(service), pod) == []
    moving = changed(pod, "spec", "containers", 0, "image", to="registry.k8s.io/db:latest")
    assert len(refusals(policies(service), moving)) == 1
    bare = changed(pod, "metadata", "ownerReferences")
    assert any("no label" in each for each in refusals(policies(service), bare))


@pytest.mark.req("T60")
def test_policies_are_bound_to_the_services_namespace_and_refuse(service):
    made = {each["metadata"]["name"] for each in objects(service, POLICIES[0])}
    for binding in objects(service, POLICIES[1]):
        made.remove(binding["spec"]["policyName"])
        assert "Deny" in binding["spec"]["validationActions"]
        chosen = binding["spec"]["matchResources"]["namespaceSelector"]["matchLabels"]
        assert chosen == {"kubernetes.io/metadata.name": service.kubernetes.namespace
                          or service.service}  # fmt: skip
    assert not made
    assert all(e["spec"]["failurePolicy"] == "Fail" for e in objects(service, POLICIES[0]))


@pytest.mark.req("T22", "T60")
def test_kyverno_demands_the_signature_of_the_services_own_pipeline(service):
    upstream.assert_accepted(rendered(service), "kubernetes/platform/")
    found = the(service, "ImageValidatingPolicy")["spec"]
    assert (found["failurePolicy"], found["validationActions"]) == ("Fail", ["Deny"])
    (attestor,) = found["attestors"]
    (identity,) = attestor["cosign"]["keyless"]["identities"]
    repository = f"https://github.com/example/{service.service}"
    assert re.match(identity["subjectRegExp"], f"{repository}/.github/workflows/a.yml@refs/x")
    assert not re.match(identity["subjectRegExp"], f"{repository}-evil/.github/workflows/a.yml")
    said = " ".join(each["expression"] for each in found["validations"])
    for name in (
        "attestors.pipeline",
        *(f"attestations.{a['name']}" for a in found["attestations"]),
    ):
        assert name in said


@pytest.mark.req("T60")
def test_a_key_of_ones_own_takes_the_place_of_the_pipelines_identity():
    kms = the(spec("image: {signer: 'awskms:///alias/shop'}"), "ImageValidatingPolicy")["spec"]
    assert kms["attestors"][0]["cosign"]["key"] == {"kms": "awskms:///alias/shop"}
    pem = "-----BEGIN PUBLIC KEY-----\\nMFkw==\\n-----END PUBLIC KEY-----"
    service = spec(f'image: {{signer: "{pem}"}}')
    upstream.assert_accepted(rendered(service), "kubernetes/platform/signatures.yaml")
    key = the(service, "ImageValidatingPolicy")["spec"]["attestors"][0]["cosign"]["key"]
    assert key["data"].startswith("-----BEGIN PUBLIC KEY-----\n")


# ---- by a real API server ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded(server, reference):
    """A server with the policies of the reference service in force."""
    prepared(server, reference)
    stored = policies(reference)
    for each in stored:
        server.apply(each, dry=False)
    document, _ = wrong(reference, "tag latest")
    until = time.monotonic() + 60
    while time.monotonic() < until and not refused(server, document):
        time.sleep(0.2)  # policies take effect a moment after they are stored
    yield server
    for each in stored:
        server.ask("DELETE", server.place(each))


def refused(server, document) -> str:
    try:
        server.apply(document)
    except Refused as answer:
        return answer.said
    return ""


@pytest.mark.live
@pytest.mark.req("T56", "T60")
def test_a_real_api_server_lets_in_what_is_rendered(guarded, reference):
    for workload in workloads(reference):
        assert refused(guarded, workload) == ""
        if workload["kind"] != "CronJob":
            assert refused(guarded, pod_of(workload)) == ""


@pytest.mark.live
@pytest.mark.req("T56", "T60")
@pytest.mark.parametrize("case", [case for case in NEGATIVE if case not in HARMLESS | INVALID])
def test_a_real_api_server_refuses_each_violating_manifest(guarded, reference, case):
    document, said = wrong(reference, case)
    answer = refused(guarded, document)
    assert "ValidatingAdmissionPolicy" in answer and said in answer
