"""Everything people ask of a service, asked of a real conductor through its Unix socket."""

import getpass

import pytest

from holdfast.conductor.client import ApiError, Client, NoConductor

pytestmark = pytest.mark.live


def refused(status, code):
    return pytest.raises(ApiError, check=lambda e: (e.status, e.code) == (status, code))


# ---- deploying ----------------------------------------------------------------------------------


def test_a_first_deploy_ends_promoted_and_takes_all_traffic(service):
    assert service.deploy("v1")["ending"] == "promoted"
    status = service.status()
    stable = status["state"]["stable"]
    assert stable["version"] == "v1"
    assert status["weights"] == {stable["id"]: 100}
    assert [(fleet["ready"], fleet["version"]) for fleet in status["fleets"]] == [(2, "v1")]
    assert status["state"]["rollout"] is None and status["trouble"] is None


def test_a_second_deploy_keeps_the_first_release_as_the_way_back(service):
    service.deploy("v1")
    assert service.deploy("v2")["ending"] == "promoted"
    state = service.state()
    assert (state["stable"]["version"], state["previous"]["version"]) == ("v2", "v1")


def test_the_release_that_serves_is_not_deployed_again(service):
    service.deploy("v1")
    before = service.kinds()
    assert service.ask("v1")["outcome"] == "nothing-to-do"
    assert service.kinds() == before


def test_a_changed_number_of_replicas_is_a_scaling_and_not_a_rollout(service):
    service.deploy("v1", replicas=2)
    assert service.ask("v1", replicas=4)["outcome"] == "scaled"
    service.eventually(lambda: service.status()["fleets"][0]["ready"] == 4)
    assert service.kinds().count("Started") == 1


def test_a_manual_size_outlives_a_deploy_of_a_spec_that_does_not_change_it(service):
    service.deploy("v1", replicas=2)
    service.client.scale(service.name, 3)
    service.deploy("v2", replicas=2)
    assert service.status()["replicas"] == 3


def test_a_changed_traffic_policy_is_not_a_rollout(service):
    service.deploy("v1", traffic="{ port: 8080, retries: 1 }")
    answer = service.ask("v1", traffic="{ port: 8080, retries: 5 }")
    assert answer["outcome"] == "policy-changed"
    assert service.kinds().count("Started") == 1
    assert service.ask("v1", traffic="{ port: 8080, retries: 5 }")["outcome"] == "nothing-to-do"


@pytest.mark.req("T76")
def test_a_bad_release_is_taken_back_and_refused_until_forced(service):
    service.deploy("v1")
    assert service.deploy("v2", fate="exits-at-once")["ending"] == "reverted"
    assert service.state()["stable"]["version"] == "v1"
    with refused(409, "rejected-before"):
        service.ask("v2", fate="exits-at-once")
    answer = service.ask("v2", {"force": True}, fate="exits-at-once")
    assert answer["outcome"] == "started"


def test_a_release_that_can_never_be_launched_starts_no_rollout(service):
    service.deploy("v1")
    with refused(422, "missing-binary"):
        service.ask("v2", prepare_fails="missing-binary")
    assert service.kinds().count("Started") == 1


def test_a_second_rollout_is_refused_or_replaces_as_asked(service):
    service.deploy("v1")
    service.standing("v2")
    with refused(409, "conflict"):
        service.ask("v3")
    replaced = service.ask("v3", {"on_conflict": "replace"})
    assert service.ended(replaced["rollout"])["ending"] == "promoted"
    endings = [e["body"] for e in service.client.history(service.name) if e["kind"] == "Finished"]
    assert [ending["ending"] for ending in endings] == ["promoted", "superseded", "promoted"]


def test_a_queued_rollout_starts_when_the_one_before_has_ended(service):
    service.deploy("v1")
    service.standing("v2")
    queued = service.ask("v3", {"on_conflict": "queue"})
    assert queued["outcome"] == "queued"
    assert service.state()["queued"]["version"] == "v3"
    service.client.approve(service.name)
    assert service.ended(queued["rollout"])["ending"] == "promoted"
    assert service.state()["stable"]["version"] == "v3"


def test_deploying_the_stable_release_in_place_of_a_rollout_takes_that_rollout_back(service):
    service.deploy("v1")
    rollout = service.standing("v2")
    with refused(409, "conflict"):
        service.ask("v1")
    assert service.ask("v1", {"on_conflict": "replace"})["outcome"] == "accepted"
    assert service.ended(rollout)["ending"] == "reverted"
    assert service.state()["stable"]["version"] == "v1"


@pytest.mark.req("T85")
def test_a_freeze_blocks_a_deploy_and_not_a_rollback(service):
    service.deploy("v1")
    service.deploy("v2")
    freeze = (
        "{ strategy: blue-green, freezes: "
        "[{ start: '2000-01-01T00:00:00Z', end: '2999-01-01T00:00:00Z', reason: audit }] }"
    )
    assert service.ask("v2", rollout=freeze)["outcome"] == "policy-changed"
    with refused(409, "window-closed"):
        service.ask("v3", rollout=freeze)
    assert "audit" in service.status()["gate"]
    back = service.client.rollback(service.name)
    assert service.ended(back["rollout"])["ending"] == "promoted"
    forced = service.ask("v3", {"override_gate": True}, rollout=freeze)
    assert service.ended(forced["rollout"])["ending"] == "promoted"


# ---- steering -----------------------------------------------------------------------------------


@pytest.mark.req("T84")
def test_an_approval_lets_the_rollout_go_on_and_says_who_gave_it(service):
    service.deploy("v1")
    rollout = service.standing("v2")
    service.client.approve(service.name, by="ann")
    assert service.ended(rollout)["ending"] == "promoted"
    approved = [e for e in service.client.history(service.name) if e["kind"] == "Approved"]
    assert [entry["body"]["by"] for entry in approved] == ["ann"]


def test_a_paused_rollout_says_by_whom_and_goes_on_when_resumed(service):
    service.deploy("v1")
    rollout = service.standing("v2")
    service.client.pause(service.name, reason="lunch", by="bob")
    holds = service.eventually(lambda: service.status()["holds"])
    service.eventually(lambda: service.hold_codes() == {"paused"})
    holds = service.status()["holds"]
    assert "bob" in holds[0]["detail"] and "lunch" in holds[0]["detail"]
    assert service.state()["rollout"]["paused"]
    service.client.resume(service.name)
    service.client.approve(service.name)
    assert service.ended(rollout)["ending"] == "promoted"


def test_abort_takes_the_traffic_back_to_the_old_release(service):
    service.deploy("v1")
    rollout = service.standing("v2")
    assert service.client.abort(service.name, reason="no")["outcome"] == "accepted"
    assert service.ended(rollout)["ending"] == "reverted"
    stable = service.state()["stable"]
    assert stable["version"] == "v1"
    assert service.status()["weights"].get(stable["id"]) == 100
    assert service.client.abort(service.name)["outcome"] == "nothing-to-do"


def test_promote_skips_the_wait_of_a_step(service):
    service.deploy("v1")
    slow = "{ strategy: canary, steps: [{ weight: 20, hold: 50s, max: 60s }, 100] }"
    answer = service.ask("v2", rollout=slow)
    service.eventually(lambda: "soaking" in service.hold_codes())
    service.client.promote(service.name)
    assert service.ended(answer["rollout"])["ending"] == "promoted"


@pytest.mark.req("T77")
def test_rollback_goes_to_the_previous_release_or_to_any_past_one(service):
    for version in ("v1", "v2", "v3"):
        service.deploy(version)
    back = service.client.rollback(service.name)
    assert service.ended(back["rollout"])["new"]["version"] == "v2"
    first = service.client.rollback(service.name, to="v1")
    assert service.ended(first["rollout"])["ending"] == "promoted"
    assert service.state()["stable"]["version"] == "v1"
    with refused(409, "unknown-release"):
        service.client.rollback(service.name, to="v9")
    with refused(409, "already-there"):
        service.client.rollback(service.name, to="v1")


def test_rollback_in_the_middle_of_a_rollout_takes_that_rollout_back(service):
    service.deploy("v1")
    rollout = service.standing("v2")
    assert service.client.rollback(service.name)["rollout"] == rollout
    assert service.ended(rollout)["ending"] == "reverted"


def test_restart_replaces_every_replica_by_the_same_release(service):
    service.deploy("v1")
    before = service.state()["stable"]
    answer = service.client.restart(service.name)
    assert service.ended(answer["rollout"])["ending"] == "promoted"
    after = service.state()["stable"]
    assert after["digest"] == before["digest"] and after["id"] != before["id"]
    assert service.ask("v1")["outcome"] == "nothing-to-do"


def test_down_stops_every_instance_and_a_later_deploy_starts_afresh(service):
    service.deploy("v1")
    service.client.down(service.name)
    service.eventually(lambda: not any(f["ready"] for f in service.status()["fleets"]))
    assert service.state()["retired"]
    assert service.client.down(service.name)["outcome"] == "nothing-to-do"
    assert service.deploy("v1")["ending"] == "promoted"
    assert not service.state()["retired"]


@pytest.mark.parametrize("verb", ["promote", "pause", "resume", "approve"])
def test_steering_without_a_rollout_is_refused_with_a_reason(service, verb):
    service.deploy("v1")
    with refused(409, "nothing-running"):
        getattr(service.client, verb)(service.name)


def test_a_refused_word_says_what_is_wanted_and_not_a_pattern(service):
    with pytest.raises(ApiError, match="reason: wanted one line of text without control") as told:
        service.client.abort(service.name, reason="a\x1b[31mb")
    assert told.value.status == 422 and "\x1b" not in told.value.detail


# ---- looking ------------------------------------------------------------------------------------


def test_a_plan_tells_the_steps_and_the_way_back_and_changes_nothing(service):
    service.deploy("v1")
    before = service.kinds()
    text = service.spec("v2", rollout="canary")
    plan = service.client.plan(service.name, text)
    assert plan["outcome"] == "started"
    assert [step["weight"] for step in plan["forecast"]] == [5, 25, 50, 100]
    assert plan["plan"]["new"]["version"] == "v2"
    assert plan["rollback"]["new"]["version"] == "v1"
    assert service.kinds() == before
    assert service.client.plan(service.name, service.spec("v1"))["outcome"] == "nothing-to-do"


def test_a_plan_for_an_unknown_service_does_not_create_it(service):
    assert service.client.plan(service.name, service.spec())["outcome"] == "started"
    with refused(404, "unknown-service"):
        service.status()


def test_history_tells_who_deployed_what(service):
    service.deploy("v1", {"by": "carol"})
    entries = service.client.history(service.name)
    started = next(entry for entry in entries if entry["kind"] == "Started")
    assert started["body"]["by"] == "carol"
    assert "ReleaseStored" in service.kinds()
    later = service.client.history(service.name, since=started["index"] + 1)
    assert all(entry["index"] > started["index"] for entry in later)
    assert len(service.client.history(service.name, limit=2)) == 2


def test_without_a_claim_the_user_of_the_socket_is_recorded(service):
    service.deploy("v1")
    started = next(e for e in service.client.history(service.name) if e["kind"] == "Started")
    assert started["body"]["by"] == getpass.getuser()


def test_logs_are_the_last_lines_of_each_replica(service, running_home):
    service.deploy("v1")
    release = service.state()["stable"]["id"]
    directory = running_home.logs(service.name) / release
    directory.mkdir(parents=True)
    (directory / "0.log").write_text("one\ntwo\nthree\n")
    (directory / "1.log").write_text("four\n")
    logs = service.client.logs(service.name, release="v1", lines=2)
    assert [(log["replica"], log["lines"]) for log in logs] == [
        ("0", ["two", "three"]),
        ("1", ["four"]),
    ]
    only = service.client.logs(service.name, replica="1")
    assert [log["replica"] for log in only] == ["1"]


def test_metrics_name_the_service_its_fleet_and_its_endings(service):
    service.deploy("v1")
    release = service.state()["stable"]["id"]
    lines = service.client.metrics().splitlines()
    name = f'service="{service.name}"'
    assert f'holdfast_instances{{release="{release}",{name},state="ready"}} 2.0' in lines
    assert f'holdfast_rollouts_finished_total{{ending="promoted",{name}}} 1.0' in lines
    assert f'holdfast_traffic_weight_percent{{release="{release}",{name}}} 100.0' in lines


def test_every_service_is_listed_with_its_status(service):
    service.deploy("v1")
    listed = {status["service"]: status for status in service.client.services()}
    assert listed[service.name]["state"]["stable"]["version"] == "v1"


# ---- errors -------------------------------------------------------------------------------------


def test_an_unknown_service_is_a_404_that_names_the_known_ones(service):
    service.deploy("v1")
    with pytest.raises(ApiError) as told:
        service.client.status("nobody")
    assert told.value.status == 404 and service.name in told.value.hint


def test_a_wrong_spec_is_a_422_that_says_every_place(service):
    with pytest.raises(ApiError) as told:
        service.client.deploy(service.name, f"service: {service.name}\nreplicas: -1\nrunn: x\n")
    assert (told.value.status, told.value.code) == (422, "invalid-spec")
    assert "replicas" in told.value.detail and "runn" in told.value.detail


def test_a_spec_of_another_service_is_refused(service):
    with refused(422, "invalid-spec"):
        service.client.deploy(service.name, "service: other\nrun: app\n")


def test_a_service_keeps_its_target(service):
    service.deploy("v1")
    with refused(409, "target-changed"):
        service.client.deploy(service.name, f"service: {service.name}\nrun: app\n")


def test_an_unknown_route_and_an_unknown_parameter_are_told(service):
    with refused(404, "unknown-route"):
        service.client.get("/v1/nothing")
    with refused(400, "unknown-parameter"):
        service.client.get("/v1/events?sinc=3")
    with refused(400, "wrong-parameter"):
        service.client.get("/v1/events?since=-3")


def test_without_a_conductor_the_client_says_how_to_start_one(tmp_path):
    with pytest.raises(NoConductor, match="holdfast up"):
        Client(tmp_path / "conductor.sock").services()
