"""From pods, Deployments and EndpointSlices to fleets: states, failures and what people changed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.rollout.model import FAILURES
from holdfast.targets.kubernetes import drift, marks, reasons, seen
from holdfast.targets.kubernetes.ownership import applied, hands


def pod(name="a", release="v1", ready=False, leaving=False, phase="Running", **status):
    metadata = {
        "name": name,
        "labels": {marks.HASH: marks.hashed(release)},
        "annotations": {marks.RELEASE: release},
    }
    if leaving:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    said = [{"type": "Ready", "status": "True" if ready else "False"}]
    return {"metadata": metadata, "status": {"phase": phase, "conditions": said, **status}}


def waiting(reason, message="", **more):
    state = {"waiting": {"reason": reason, "message": message}}
    return {"containerStatuses": [{"name": "app", "state": state, **more}]}


def serving(*names, ready=True):
    listed = [
        {"targetRef": {"kind": "Pod", "name": n}, "conditions": {"ready": ready}} for n in names
    ]
    return {"metadata": {"labels": {}}, "endpoints": listed}


def fleet(pods, slices=(), deployments=(), words=None):
    found = seen.fleets(pods, deployments, slices, words or {})
    assert len(found) == 1
    return found[0]


def test_a_pod_is_ready_only_once_an_endpoint_slice_sends_it_traffic():
    pods = [pod("a", ready=True), pod("b", ready=True)]
    found = fleet(pods, [serving("a"), serving("b", ready=False)])
    assert (found.ready, found.starting) == (1, 1)


def test_endpoints_are_summed_over_all_slices():
    pods = [pod(str(n), ready=True) for n in range(250)]
    slices = [serving(*(str(n) for n in range(at, at + 50))) for at in range(0, 250, 50)]
    assert fleet(pods, slices).ready == 250


def test_a_pod_that_leaves_drains_whatever_else_is_said_of_it():
    found = fleet([pod("a", ready=True, leaving=True)], [serving("a")])
    assert (found.draining, found.ready) == (1, 0)


def test_what_is_no_part_of_a_release_is_not_seen():
    assert seen.fleets([{"metadata": {"name": "job"}, "status": {}}], (), (), {}) == ()


@pytest.mark.parametrize(
    ("status", "code", "hopeless"),
    [
        (waiting("ErrImagePull", "timeout"), "image-pull", False),
        (waiting("ErrImagePull", "manifest unknown"), "image-pull", True),
        (waiting("ImagePullBackOff"), "image-pull", True),
        (waiting("InvalidImageName"), "image-pull", True),
        (waiting("CreateContainerConfigError", 'secret "x" not found'), "config-missing", True),
        (waiting("CrashLoopBackOff"), "crash-loop", True),
        (
            waiting("CrashLoopBackOff", lastState={"terminated": {"reason": "OOMKilled"}}),
            "out-of-memory",
            True,
        ),
        (
            waiting("RunContainerError", 'exec: "x": executable file not found in $PATH'),
            "missing-binary",
            True,
        ),
        ({"phase": "Failed", "reason": "Evicted", "message": "low on memory"}, "evicted", False),
        (
            {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                             "message": "0/6 nodes are available"}]},
            "unschedulable",
            False,
        ),
    ],
)  # fmt: skip
def test_why_a_pod_does_not_serve_is_said_in_the_engines_words(status, code, hopeless):
    phase = status.pop("phase", "Running")
    failure = fleet([pod(phase=phase, **status)]).failure
    assert (failure.code, failure.hopeless) == (code, hopeless)
    assert failure.code in FAILURES and failure.detail.startswith("a: ")


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ('pods "x" is forbidden: exceeded quota: pods', "quota"),
        ('pods "x" is forbidden: violates PodSecurity "restricted:latest"', "admission-denied"),
        ("ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no", "admission-denied"),
        ('error looking up service account shop/shop: "shop" not found', "config-missing"),
    ],
)
def test_why_no_pod_can_be_made_is_said_in_the_engines_words(message, code):
    said = {"type": "ReplicaFailure", "status": "True", "message": message}
    blocked = pod(name="shop-1")
    blocked["status"] = {"conditions": [said]}
    assert fleet([], deployments=[blocked]).failure.code == code


def test_while_some_of_a_release_serve_the_failure_of_others_is_not_its_end():
    pods = [pod("a", ready=True), pod("b", **waiting("ImagePullBackOff"))]
    found = fleet(pods, [serving("a")])
    assert (found.failed, found.failure.code, found.failure.hopeless) == (1, "image-pull", False)


def test_the_last_words_of_a_crashed_container_are_part_of_the_failure():
    crashed = pod("a", **waiting("CrashLoopBackOff", restartCount=3))
    assert [s.container for s in seen.speakers([crashed])] == ["app"]
    found = fleet([crashed], words={("a", "app"): ("Traceback", "KeyError: 'DB'")})
    assert found.failure.log_tail[-1] == "KeyError: 'DB'"
    assert found.restarts == 3


@given(
    st.lists(st.tuples(st.booleans(), st.booleans(), st.sampled_from(["Running", "Failed"]),
                       st.sampled_from(["", "CrashLoopBackOff", "ErrImagePull"])), max_size=12)
)  # fmt: skip
def test_every_pod_is_counted_exactly_once(kinds):
    pods = [
        pod(str(n), ready=ready, leaving=leaving, phase=phase, **(waiting(why) if why else {}))
        for n, (ready, leaving, phase, why) in enumerate(kinds)
    ]
    found = seen.fleets(pods, (), [serving(*(str(n) for n in range(len(pods))))], {})
    assert sum(each.size for each in found) == len(pods)


@given(st.dictionaries(st.sampled_from(["phase", "reason", "message"]), st.text(max_size=9)))
def test_a_status_of_any_words_gives_a_sickness_or_none(status):
    sick = reasons.sickness({"metadata": {"name": "a"}, "status": status})
    assert sick is None or sick.failure.code in FAILURES


# ---- whose fields


def managed(manager, fields, operation="Apply", at="2026-11-25T12:00:00Z", **more):
    return {"manager": manager, "operation": operation, "time": at, "fieldsV1": fields, **more}


def deployment(replicas=3, ordered=3, *entries):
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "shop-1",
            "namespace": "shop",
            "labels": {marks.HASH: "1"},
            "annotations": {marks.RELEASE: "v1", marks.SIZE: str(ordered)},
            "managedFields": list(entries),
        },
        "spec": {
            "replicas": replicas,
            "paused": True,
            "template": {"spec": {"containers": [
                {"name": "a", "image": "x", "added": 1}, {"name": "sidecar", "image": "y"},
            ]}},
        },
    }  # fmt: skip


OURS = managed("holdfast", {
    "f:metadata": {"f:annotations": {f"f:{marks.SIZE}": {}}},
    "f:spec": {
        "f:replicas": {},
        "f:template": {"f:spec": {"f:containers": {
            'k:{"name":"a"}': {".": {}, "f:name": {}, "f:image": {}},
        }}},
    },
})  # fmt: skip
SCALED = managed(
    "kubectl", {"f:spec": {"f:replicas": {}}}, "Update", "2026-11-25T12:30:00Z", subresource="scale"
)


def test_what_we_applied_is_cut_out_of_what_is_there_and_nothing_of_others():
    found = applied(deployment(3, 3, OURS, SCALED), "holdfast")
    assert found["spec"] == {
        "replicas": 3,
        "template": {"spec": {"containers": [{"name": "a", "image": "x"}]}},
    }
    assert found["metadata"]["annotations"] == {marks.SIZE: "3"}
    assert (found["kind"], found["metadata"]["name"]) == ("Deployment", "shop-1")


def test_the_latest_hand_on_a_field_comes_first():
    found = deployment(9, 3, OURS, SCALED)
    assert [hand.manager for hand in hands(found, "spec", "replicas")] == ["kubectl", "holdfast"]


def test_a_size_that_nobody_ordered_is_drift_with_a_name_and_both_numbers():
    (said,) = drift.of_deployments([deployment(9, 3, OURS, SCALED)], [])
    assert "kubectl at 2026-11-25T12:30:00Z" in said
    assert "spec.replicas of Deployment shop-1 from 3 to 9" in said


def test_an_edited_pod_template_is_drift_with_a_name():
    fields = {"f:spec": {"f:template": {"f:spec": {"f:containers": {}}}}}
    edited = managed("kubectl-edit", fields, "Update")
    (said,) = drift.of_deployments([deployment(3, 3, OURS, edited)], [])
    assert "kubectl-edit" in said and "pod template" in said


def test_what_an_autoscaler_does_to_its_own_deployment_is_no_drift():
    follows = {"spec": {"scaleTargetRef": {"kind": "Deployment", "name": "shop-1"}}}
    assert drift.of_deployments([deployment(9, 3, OURS)], [follows]) == ()


def test_status_by_controllers_is_no_drift():
    other = managed("kube-controller-manager", {"f:status": {}}, "Update", subresource="status")
    assert drift.of_deployments([deployment(3, 3, OURS, other)], []) == ()
