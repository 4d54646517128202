"""What a Release asks for, and what its status says: no server, no clock."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from holdfast.artifacts.installation.definition import CONDITIONS, PHASES, definition
from holdfast.conductor.release_object import (
    Accepted,
    Unfit,
    author,
    on_conflict,
    spec_text,
    status_of,
)
from holdfast.spec.load import load_text

NOW, EARLIER = "2026-11-25T12:00:00Z", "2026-11-25T11:00:00Z"
RELEASE: dict[str, Any] = {
    "metadata": {
        "name": "shop", "namespace": "team-a", "generation": 4,
        "managedFields": [
            {"manager": "kubectl", "time": "2026-11-25T10:00:00Z"},
            {"manager": "argocd", "time": "2026-11-25T11:00:00Z"},
            {"manager": "holdfast", "time": "2026-11-25T12:00:00Z", "subresource": "status"},
        ],
    },
    "spec": {"service": "shop", "run": {"command": "app"}, "target": "kubernetes",
             "image": {"repository": "example.com/shop"}},
}  # fmt: skip
V1 = {"id": "v1-a", "digest": "a" * 64, "version": "v1"}
V2 = {"id": "v2-b", "digest": "b" * 64, "version": "v2"}
OK = Accepted(True, "Started", "")


def release(**spec: Any) -> dict[str, Any]:
    made = copy.deepcopy(RELEASE)
    made["spec"] |= spec
    return made


def service(**state: Any) -> dict[str, Any]:
    base = {"stable": V1, "previous": None, "rollout": None, "queued": None, "last": None,
            "rejected": [], "retired": False}  # fmt: skip
    return {
        "service": "shop", "replicas": 3, "holds": [], "trouble": None, "weights": {},
        "fleets": [{"release": "v1-a", "ready": 3}], "state": base | state,
    }  # fmt: skip


def rollout(**changes: Any) -> dict[str, Any]:
    return {"id": "r9", "phase": "shifting", "step": 2, "steps": 5, "new": V2, "rollback": False,
            "paused": False, "weights": {"v1-a": 80, "v2-b": 20}, "verdict": {"is": "Insufficient"},
            "reason": ""} | changes  # fmt: skip


def test_a_release_is_a_spec_of_its_own_namespace():
    made = load_text(spec_text(release()), "/release/holdfast.yaml")
    assert made.kubernetes.namespace == "team-a" and made.target == "kubernetes"


@pytest.mark.parametrize("spec", [
    {"run": {"command": "app", "config": ["/var/lib/holdfast/home/postgres.url"]}},
    {"run": {"command": "app", "secrets": {"URL": "env:HOLDFAST_POSTGRES"}}},
    {"run": {"command": "app", "cwd": "/"}},
    {"kubernetes": {"namespace": "kube-system"}},
    {"kubernetes": "kube-system"},
    {"target": "local"},
])  # fmt: skip
def test_who_may_write_a_release_may_do_nothing_else_with_the_conductor(spec):
    with pytest.raises(Unfit, match="wanted"):
        spec_text(release(**spec))


def test_the_author_is_who_last_wrote_the_spec_and_not_the_status():
    assert author(release()) == "argocd by Release team-a/shop"


STORIES = {
    "serves": (service(), OK, "Serving", {"stable": "v1", "ready": "3/3"}),
    "moves": (
        service(rollout=rollout()), OK, "Progressing",
        {"new": "v2", "step": "2/5", "traffic": "20 %", "verdict": "Insufficient", "rollout": "r9"},
    ),
    "waits": (service(rollout=rollout(paused=True)), OK, "Paused", {"step": "2/5"}),
    "taken back": (
        service(last={"rollout": "r9", "ending": "reverted", "reason": "errors", "new": V2}),
        OK, "Failed", {"message": "reverted: errors", "stable": "v1"},
    ),
    "refused": (service(), Accepted(False, "InvalidSpec", "replicas: found x"), "Refused",
                {"message": "replicas: found x"}),
    "never deployed": (None, Accepted(False, "Unfit", "no"), "Refused", {"message": "no"}),
    "not known yet": (None, None, "Unknown", {}),
    "retired": (service(retired=True, stable=None), OK, "Retired", {}),
    "queued": (service(queued=V2), OK, "Queued", {}),
}  # fmt: skip


@pytest.mark.parametrize("seen, accepted, phase, told", STORIES.values(), ids=STORIES)
def test_the_status_tells_the_story(seen, accepted, phase, told):
    status = status_of(release(), seen, accepted, NOW)
    assert status["phase"] == phase in PHASES
    assert told.items() <= status.items()
    assert status["observedGeneration"] == 4
    kinds = [each["type"] for each in status["conditions"]]
    assert set(kinds) <= set(CONDITIONS) and len(kinds) == len(set(kinds))
    (version,) = definition()["spec"]["versions"]
    known = version["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
    assert set(status) <= set(known)


def test_a_version_that_is_not_wanted_any_more_has_not_failed():
    last = {"rollout": "r9", "ending": "reverted", "reason": "abort", "new": V2}
    for wanted, phase in (("v1", "Serving"), ("v2", "Failed")):
        assert status_of(release(version=wanted), service(last=last), OK, NOW)["phase"] == phase


def test_the_newest_wish_counts_unless_the_spec_says_otherwise():
    assert on_conflict(release()) == "replace"
    assert on_conflict(release(rollout={"strategy": "canary"})) == "replace"
    assert on_conflict(release(rollout={"on_conflict": "queue"})) is None


def test_holds_are_the_message_while_a_rollout_waits():
    seen = service(rollout=rollout()) | {"holds": [{"code": "x", "detail": "12 requests missing"}]}
    assert status_of(release(), seen, OK, NOW)["message"] == "12 requests missing"


def test_a_condition_keeps_its_date_until_it_changes():
    before = release()
    before["status"] = status_of(before, service(), OK, EARLIER)
    after = status_of(before, service(rollout=rollout()), OK, NOW)
    dates = {each["type"]: each["lastTransitionTime"] for each in after["conditions"]}
    assert dates == {"Accepted": EARLIER, "Available": EARLIER, "Progressing": NOW}


def test_what_was_accepted_before_a_takeover_stays_so():
    before = release()
    before["status"] = status_of(before, service(), Accepted(False, "Conflict", "busy"), EARLIER)
    after = status_of(before, service(), None, NOW)
    assert after["conditions"] == before["status"]["conditions"]
    assert json.dumps(after) == json.dumps(before["status"]), "nothing new is no write"
