"""A real API server reads what is rendered: strict server-side dry-run, and pods are admitted."""

from __future__ import annotations

import copy

import pytest
import upstream
from kube_objects import objects, the

from holdfast.artifacts.catalog import render
from holdfast.artifacts.check.forms import kind_key
from kubernetes_rig.api_server import Refused
from kubernetes_rig.crds import install

pytestmark = pytest.mark.live
#: Stored and not only looked at: other objects are admitted by what these say.
_FIRST = (
    "Namespace",
    "RuntimeClass",
    "PriorityClass",
    "ServiceAccount",
    "LimitRange",
    "ResourceQuota",
)
_WITH_PODS = ("Deployment", "StatefulSet", "DaemonSet", "Job")


def documents(service):
    """Every object of the whole set that an API serves, in the order in which it must be known."""
    index = upstream.files().index
    found = [
        each
        for file in render(service)
        for each in file.artifact.objects()
        if "metadata" in each
        and not file.path.endswith("kustomization.yaml")
        and index.get(kind_key(each), {}).get("file", "").startswith(("core/", "crds"))
    ]
    return sorted(found, key=lambda o: _FIRST.index(o["kind"]) if o["kind"] in _FIRST else 9)


def prepared(server, service):
    """The documents of a service, with its namespace and definitions in place."""
    found = documents(service)
    install(server, found)
    for name in {d["metadata"]["namespace"] for d in found if "namespace" in d["metadata"]}:
        server.apply(bare("Namespace", name), dry=False)
        server.apply(bare("ServiceAccount", "default", name), dry=False)
    for each in found:
        if each["kind"] in _FIRST:
            server.apply(each, dry=False)
    return found


def bare(kind, name, namespace=None):
    place = {"namespace": namespace} if namespace else {}
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, **place}}


def pod_of(workload):
    """The pod a controller would make; volumes it would add are there in memory."""
    template, metadata = copy.deepcopy(workload["spec"]["template"]), workload["metadata"]
    for claim in workload["spec"].get("volumeClaimTemplates", ()):
        volume = {"name": claim["metadata"]["name"], "emptyDir": {}}
        template["spec"]["volumes"].append(volume)
    place = {"name": metadata["name"], "namespace": metadata["namespace"]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**place, "labels": template["metadata"]["labels"]},
        "spec": template["spec"],
    }


@pytest.mark.req("T34", "T35", "T36", "T37", "T38", "T39", "T40", "T46", "T47", "T49")
@pytest.mark.req(
    "T51", "T52", "T53", "T54", "T55", "T145", "T13", "T14", "T33", "T57", "T58", "T59"
)
def test_a_real_api_server_takes_every_object_strictly(server, service):
    refused = []
    for each in prepared(server, service):
        try:
            server.apply(each)
        except Refused as said:
            refused.append(f"{each['kind']} {each['metadata']['name']}: {said}")
    assert not refused, "\n".join(refused)


@pytest.mark.req("T36", "T51", "T52", "T56")
def test_every_pod_is_admitted_to_its_namespace(server, service):
    found = [each for each in prepared(server, service) if each["kind"] in _WITH_PODS]
    assert found
    refused = []
    for workload in found:
        try:
            server.apply(pod_of(workload))
        except Refused as said:
            refused.append(f"{workload['kind']} {workload['metadata']['name']}: {said}")
    assert not refused, "\n".join(refused)


@pytest.mark.req("T56")
@pytest.mark.parametrize(
    ("place", "value", "complaint"),
    [
        (("containers", 0, "securityContext", "privileged"), True, "privileged"),
        (("containers", 0, "securityContext", "allowPrivilegeEscalation"), True, "allowPrivilege"),
        (("containers", 0, "securityContext", "capabilities"), {"add": ["NET_ADMIN"]}, "capabilit"),
        (("securityContext", "seccompProfile"), {"type": "Unconfined"}, "seccompProfile"),
        (("containers", 0, "securityContext", "runAsNonRoot"), False, "runAsNonRoot"),
        (("hostNetwork",), True, "host namespaces"),
        (("volumes",), [{"name": "memory-0", "hostPath": {"path": "/"}}], "hostPath"),
    ],
)
def test_a_pod_with_more_rights_is_refused(server, reference, place, value, complaint):
    prepared(server, reference)
    pod = pod_of(the(reference, "Deployment", "trading-engine"))
    inner = pod["spec"]
    for part in place[:-1]:
        inner = inner[part]
    inner[place[-1]] = value
    with pytest.raises(Refused) as refused:
        server.apply(pod)
    assert refused.value.status in (403, 422)
    assert complaint in refused.value.said


@pytest.mark.req("T36")
@pytest.mark.parametrize(
    ("kind", "place", "value"),
    [
        ("Deployment", ("spec", "replica"), 3),
        ("Deployment", ("spec", "replicas"), -1),
        ("Deployment", ("spec", "strategy", "rollingUpdate"), {"maxSurge": 0, "maxUnavailable": 0}),
        ("Service", ("spec", "ports", 0, "port"), 99_999),
        ("HorizontalPodAutoscaler", ("spec", "minReplicas"), 99),
        ("Gateway", ("spec", "listeners", 0, "port"), 0),
        ("HTTPRoute", ("spec", "rules", 0, "timeouts"), {"request": "soon"}),
    ],
)
def test_what_is_wrong_is_refused_by_the_server(server, reference, kind, place, value):
    prepared(server, reference)
    wrong = copy.deepcopy(objects(reference, kind)[0])
    inner = wrong
    for part in place[:-1]:
        inner = inner[part]
    inner[place[-1]] = value
    with pytest.raises(Refused):
        server.apply(wrong)
