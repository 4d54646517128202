"""What people may ask for and when it is refused, without a running system."""

from __future__ import annotations

import pytest

from holdfast.rollout.commands import (
    Abort,
    Approve,
    Deploy,
    Pause,
    Promote,
    Rejected,
    Resume,
    Rollback,
    ScaleTo,
    TakeDown,
    propose,
)
from holdfast.rollout.model import (
    ConductorStarted,
    Ending,
    Event,
    Finished,
    OnConflict,
    Queued,
    Release,
    RevertOrdered,
    Started,
    StepEntered,
)
from holdfast.rollout.plan import plan_rollback, plan_rollout
from holdfast.rollout.state import ServiceState, evolve
from holdfast.spec.model import Service

SPEC = Service.model_validate(
    {"service": "shop", "run": "./shop", "rollout": {"strategy": "canary", "approvals": 2}}
)
V1, V2, V3 = (Release(f"v{i}-x", str(i) * 64, f"v{i}") for i in (1, 2, 3))


def after(*events: Event) -> ServiceState:
    state = ServiceState("shop")
    for event in events:
        state = evolve(state, event)
    return state


def promoted(plan_old: Release | None, new: Release, at: float) -> tuple[Event, ...]:
    plan = plan_rollout(SPEC, plan_old, new, f"r-{new.version}")
    return Started(at, plan, "ann"), Finished(at + 1, Ending.PROMOTED, "done")


ON_V1 = after(*promoted(None, V1, 0.0))
ON_V2 = after(*promoted(None, V1, 0.0), *promoted(V1, V2, 10.0))
MOVING = after(*promoted(None, V1, 0.0), Started(5.0, plan_rollout(SPEC, V1, V2, "r2"), "ann"))


def ask(old: Release, new: Release, **options: object) -> Deploy:
    return Deploy(plan_rollout(SPEC, old, new, "r9"), "ben", **options)  # type: ignore[arg-type]


def test_deploying_what_already_serves_changes_nothing():
    assert propose(ON_V1, ask(V1, V1), 6.0) == ()


def test_deploying_what_already_serves_is_a_restart_when_asked_for():
    again = Release("v1-x-r1", V1.digest, "v1")
    assert isinstance(propose(ON_V1, ask(V1, again, restart=True), 6.0)[0], Started)


@pytest.mark.parametrize("command", [Promote("ann"), Pause("ann"), Resume("ann"), Approve("ann")])
def test_steering_is_refused_with_a_reason_when_nothing_runs(command):
    with pytest.raises(Rejected) as refused:
        propose(ON_V1, command, 6.0)
    assert refused.value.code == "nothing-running"


def test_abort_with_nothing_running_is_a_no_op():
    assert propose(ON_V1, Abort("ann"), 6.0) == ()


def test_abort_is_idempotent():
    state = MOVING
    for event in propose(state, Abort("ann", "lunch"), 6.0):
        state = evolve(state, event)
    assert propose(state, Abort("ben"), 7.0) == ()
    assert state.rollout is not None and state.rollout.revert is not None
    assert "aborted by ann: lunch" in state.rollout.revert.reason


def test_an_aborted_release_may_be_deployed_again():
    state = MOVING
    for event in (*propose(state, Abort("ann"), 6.0), Finished(7.0, Ending.REVERTED, "")):
        state = evolve(state, event)
    assert isinstance(propose(state, ask(V1, V2), 8.0)[0], Started)


def test_a_second_rollout_is_refused_queued_or_replaces_as_the_policy_says():
    with pytest.raises(Rejected, match="a rollout of v2 runs"):
        propose(MOVING, ask(V1, V3), 6.0)
    assert isinstance(propose(MOVING, ask(V1, V3, on_conflict=OnConflict.QUEUE), 6.0)[0], Queued)
    ended, started = propose(MOVING, ask(V1, V3, on_conflict=OnConflict.REPLACE), 6.0)
    assert isinstance(ended, Finished) and ended.ending is Ending.SUPERSEDED
    assert isinstance(started, Started) and started.plan.old == V1


@pytest.mark.req("T85")
def test_a_closed_window_refuses_a_deploy_but_never_a_rollback():
    with pytest.raises(Rejected, match="window-closed"):
        propose(ON_V2, ask(V2, V3, gate="freeze until Monday"), 20.0)
    overridden = propose(ON_V2, ask(V2, V3, gate="freeze", override_gate=True), 20.0)[0]
    assert isinstance(overridden, Started) and overridden.forced, "the override is on record"
    back = Rollback(plan_rollback(SPEC, V2, V1, "r4"), "ann")
    assert isinstance(propose(ON_V2, back, 20.0)[0], Started)


@pytest.mark.req("T77")
def test_rolling_back_rejects_the_release_it_leaves():
    state = ON_V2
    for event in propose(state, Rollback(plan_rollback(SPEC, V2, V1, "r4"), "ann"), 20.0):
        state = evolve(state, event)
    state = evolve(state, Finished(21.0, Ending.PROMOTED, "rolled back"))
    assert state.stable == V1
    with pytest.raises(Rejected, match="rejected-before"):
        propose(state, ask(V1, V2), 22.0)
    with pytest.raises(Rejected, match="rejected-before"):
        propose(state, Rollback(plan_rollback(SPEC, V1, V2, "r5"), "ann"), 22.0)


@pytest.mark.req("T77")
def test_whoever_aborts_a_rollback_wants_what_it_was_to_take_away():
    state = ON_V2
    for event in propose(state, Rollback(plan_rollback(SPEC, V2, V1, "r4"), "ann"), 20.0):
        state = evolve(state, event)
    assert V2.digest in state.rejected
    for event in propose(state, Abort("ben", "it was the network"), 20.1):
        state = evolve(state, event)
    assert (state.rejected, state.warm.release) == (frozenset(), V1)


def test_rolling_back_to_what_serves_is_refused():
    with pytest.raises(Rejected, match="already-there"):
        propose(ON_V1, Rollback(plan_rollback(SPEC, V1, V1, "r4"), "ann"), 20.0)


@pytest.mark.req("T84")
def test_one_person_gives_one_approval():
    state = MOVING
    for _ in range(2):
        for event in propose(state, Approve("ann"), 6.0):
            state = evolve(state, event)
    assert state.running is not None
    assert state.running.approvers == {"ann"}
    for event in propose(state, Approve("ben"), 6.0):
        state = evolve(state, event)
    assert state.running is not None and len(state.running.approvers) == 2


def test_scaling_to_zero_in_the_middle_of_a_rollout_cancels_it():
    events = propose(MOVING, ScaleTo(0, "ann"), 6.0)
    assert isinstance(events[0], RevertOrdered)
    assert events[0].code == "scaled-to-zero"


def test_taking_down_ends_the_rollout_and_is_idempotent():
    state = MOVING
    for event in propose(state, TakeDown("ann"), 6.0):
        state = evolve(state, event)
    assert state.retired and state.running is None
    assert propose(state, TakeDown("ann"), 7.0) == ()


def test_a_new_conductor_discards_the_hold_time_it_did_not_watch():
    state = evolve(MOVING, StepEntered(6.0, 1))
    state = evolve(state, ConductorStarted(50.0, 2, "b"))
    assert state.generation == 2
    assert state.running is not None and state.running.progress_at == 50.0


def test_a_service_scaled_to_zero_takes_no_new_release():
    state = ON_V1
    for event in propose(state, ScaleTo(0, "ann"), 6.0):
        state = evolve(state, event)
    with pytest.raises(Rejected, match="scale it up first"):
        propose(state, ask(V1, V2), 7.0)
