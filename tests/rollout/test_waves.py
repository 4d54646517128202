"""Waves of regions: whatever the regions do, the order is kept and the fleet comes to an end."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.rollout.model import (
    Ending,
    Finished,
    HoldCode,
    Release,
    RevertOrdered,
    Scaled,
    Started,
)
from holdfast.rollout.plan import plan_rollback, plan_rollout
from holdfast.rollout.state import fold
from holdfast.rollout.waves import (
    Halt,
    OnFailure,
    Open,
    RegionOpened,
    RegionPhase,
    RegionSeen,
    Revert,
    WaveAborted,
    WaveEnding,
    WaveFinished,
    WavePlan,
    WaveState,
    abort_wave,
    decide_waves,
    evolve_wave,
    kept_warm,
    region_seen,
)
from holdfast.spec.model import Service

REGIONS = ("us", "eu", "ap")
P = RegionPhase
#: What a region may be seen to do next, by itself.
COURSE = {
    P.IDLE: (P.IDLE,),
    P.ROLLING: (P.ROLLING, P.PROMOTED, P.REVERTING, P.REVERTED, P.STRANDED),
    P.PROMOTED: (P.PROMOTED, P.PROMOTED, P.PROMOTED, P.REVERTING),
    P.REVERTING: (P.REVERTING, P.REVERTED, P.STRANDED),
    P.REVERTED: (P.REVERTED,),
    P.STRANDED: (P.STRANDED,),
}


class Fleet:
    """Regions that obey sooner or later, or do not answer; and a wave that is told to them."""

    def __init__(self, plan):
        self.state, self.now = WaveState(plan), 0.0
        self.phase = dict.fromkeys(plan.regions, P.IDLE)
        self.log = []

    def looks(self, silent=()):
        return {r: RegionSeen(p) for r, p in self.phase.items() if r not in silent}

    def turn(self, silent=(), gate=None):
        before, looks = self.state, self.looks(silent)
        decision = decide_waves(before, looks, self.now, gate)
        for event in decision.events:
            self.state = evolve_wave(self.state, event)
        self.log += decision.events
        self.check(before, looks, decision, gate)
        return decision

    def check(self, before, looks, decision, gate):
        opened = [e.region for e in decision.events if isinstance(e, RegionOpened)]
        assert len(opened) <= 1
        assert len([o for o in decision.orders if isinstance(o, Open)]) <= 1
        for region in opened:
            assert gate is None and before.abort is None and self.state.abort is None
            for earlier in REGIONS[: REGIONS.index(region)]:
                one = self.state.of(earlier)
                baked = one.promoted_at is not None and self.now - one.promoted_at >= 10.0
                assert one.left is not None or baked
                assert one.failed or looks[earlier].phase is P.PROMOTED
        for order in decision.orders:
            if isinstance(order, Open):
                assert self.state.of(order.region).back_at is None

    def obey(self, orders):
        for order in orders:
            match order:
                case Open():
                    self.phase[order.region] = P.ROLLING
                case Halt() | Revert():
                    self.phase[order.region] = P.REVERTING


PLANS = st.builds(
    WavePlan,
    st.just(REGIONS),
    st.just(10.0),
    st.sampled_from(list(OnFailure)),
    st.integers(0, 2),
    st.just(100.0),
)


@settings(max_examples=300, deadline=None)
@given(PLANS, st.data())
def test_one_region_at_a_time_none_after_an_abort_and_every_fleet_ends(plan, data):
    fleet = Fleet(plan)
    for _ in range(data.draw(st.integers(0, 25))):
        silent = data.draw(st.sets(st.sampled_from(REGIONS), max_size=1))
        gate = data.draw(st.sampled_from([None, None, None, "Fridays are closed"]))
        decision = fleet.turn(silent, gate)
        if data.draw(st.booleans()):  # an order may be lost on its way
            fleet.obey(decision.orders)
        region = data.draw(st.sampled_from(REGIONS))
        fleet.phase[region] = data.draw(st.sampled_from(COURSE[fleet.phase[region]]))
        fleet.now += data.draw(st.sampled_from([0.0, 1.0, 15.0, 60.0]))
        if data.draw(st.integers(0, 15)) == 0:
            for event in abort_wave(fleet.state, "ann", "enough", fleet.now):
                fleet.state = evolve_wave(fleet.state, event)
                fleet.log.append(event)
    stuck = data.draw(st.sets(st.sampled_from(REGIONS)))  # for ever in what they do now
    for _ in range(80):
        if fleet.state.ending is not None:
            break
        fleet.obey([o for o in fleet.turn().orders if o.region not in stuck])
        for region in set(REGIONS) - stuck:
            fleet.phase[region] = COURSE[fleet.phase[region]][-1 if fleet.state.abort else 0]
            if fleet.phase[region] is P.ROLLING:
                fleet.phase[region] = P.PROMOTED
            elif fleet.phase[region] is P.REVERTING:
                fleet.phase[region] = P.REVERTED
        fleet.now += 20.0
    assert fleet.state.ending is not None, fleet.state
    aborts = [i for i, e in enumerate(fleet.log) if isinstance(e, WaveAborted)]
    opened_late = (
        [e for e in fleet.log[aborts[0] :] if isinstance(e, RegionOpened)] if aborts else []
    )
    assert opened_late == []
    assert [isinstance(e, WaveFinished) for e in fleet.log].count(True) == 1


@settings(max_examples=200, deadline=None)
@given(PLANS, st.lists(st.sampled_from(list(P)), min_size=3, max_size=3), st.data())
def test_deciding_twice_on_the_same_look_adds_nothing(plan, phases, data):
    fleet = Fleet(plan)
    for phase in phases:
        fleet.phase[data.draw(st.sampled_from(REGIONS))] = phase
        for _ in range(12):  # a fact may make the next one true: soon there are no more
            fleet.turn()
        assert fleet.turn().events == ()
        fleet.now += 30.0


def in_flight(policy, second):
    """us is promoted and baked, eu was opened and is now ``second``."""
    fleet = Fleet(WavePlan(REGIONS, 10.0, policy, 0, 100.0))
    fleet.obey(fleet.turn().orders)
    fleet.phase["us"] = P.PROMOTED
    fleet.turn()
    fleet.now = 11.0
    fleet.obey(fleet.turn().orders)
    fleet.phase["eu"] = second
    return fleet


def test_the_next_region_waits_until_the_one_before_is_promoted_and_baked():
    fleet = Fleet(WavePlan(REGIONS, 10.0))
    assert fleet.turn().orders == (Open("us"),)
    fleet.phase["us"] = P.ROLLING
    assert fleet.turn().orders == ()
    fleet.phase["us"] = P.PROMOTED
    held = fleet.turn()
    assert held.orders == () and [h.code for h in held.holds] == [HoldCode.BAKING]
    fleet.now = 9.9
    assert fleet.turn().orders == ()
    fleet.now = 10.0
    assert fleet.turn().orders == (Open("eu"),)


def test_an_opening_that_was_lost_is_repeated_until_the_region_is_seen_to_roll():
    fleet = Fleet(WavePlan(REGIONS))
    assert fleet.turn().orders == (Open("us"),)
    assert fleet.turn().orders == (Open("us"),)
    fleet.phase["us"] = P.ROLLING
    assert fleet.turn().orders == ()


@pytest.mark.parametrize(
    ("policy", "orders", "ending"),
    [
        (OnFailure.ABORT_ALL, (Revert("us"),), WaveEnding.REVERTED),
        (OnFailure.ABORT_REST, (), WaveEnding.PARTIAL),
        (OnFailure.CONTINUE, (Open("ap"),), WaveEnding.PARTIAL),
    ],
)
def test_the_policy_says_what_one_failure_means_for_the_others(policy, orders, ending):
    fleet = in_flight(policy, P.REVERTED)
    said = fleet.turn().orders + fleet.turn().orders
    assert tuple(dict.fromkeys(said)) == orders
    for _ in range(9):
        fleet.obey(fleet.turn().orders)
        for region, phase in fleet.phase.items():
            ends = {P.ROLLING: P.PROMOTED, P.REVERTING: P.REVERTED}
            fleet.phase[region] = ends.get(phase, phase)
        fleet.now += 20.0
    assert fleet.state.ending is ending


def test_a_closed_window_holds_the_next_opening_and_never_the_way_back():
    fleet = in_flight(OnFailure.ABORT_ALL, P.PROMOTED)
    fleet.turn()
    fleet.now = 40.0
    held = fleet.turn(gate="frozen")
    assert held.orders == () and held.holds[0].code is HoldCode.WINDOW_CLOSED
    fleet.phase["eu"] = P.REVERTED
    assert Revert("us") in fleet.turn(gate="frozen").orders


def test_an_abort_by_a_person_halts_what_climbs_and_reverts_what_was_promoted():
    fleet = in_flight(OnFailure.CONTINUE, P.ROLLING)
    (aborted,) = abort_wave(fleet.state, "ann", "enough", fleet.now)
    fleet.state = evolve_wave(fleet.state, aborted)
    assert fleet.turn().orders == (Revert("us"), Halt("eu"))
    assert abort_wave(fleet.state, "ann", "again", fleet.now) == ()


def test_a_promoted_region_that_falls_back_while_it_bakes_counts_as_failed():
    fleet = Fleet(WavePlan(REGIONS, 10.0))
    fleet.obey(fleet.turn().orders)
    fleet.phase["us"] = P.PROMOTED
    fleet.turn()
    fleet.phase["us"] = P.REVERTED
    for _ in range(3):
        fleet.turn()
    assert fleet.state.failed == ("us",) and fleet.state.ending is WaveEnding.REVERTED


def test_a_region_that_never_answers_again_fails_after_its_time_and_is_said_to_be_stranded():
    fleet = in_flight(OnFailure.ABORT_ALL, P.ROLLING)
    fleet.phase["us"] = P.PROMOTED
    fleet.now += 101.0
    assert Revert("us") in fleet.turn(silent={"eu"}).orders
    fleet.phase["us"] = P.REVERTED
    fleet.now += 101.0
    fleet.turn(silent={"eu"})
    assert fleet.state.ending is WaveEnding.STRANDED


# ---- what a region says of itself, from its own facts -------------------------------------------

SPEC = Service.model_validate({"service": "s", "run": "x", "replicas": 2, "rollout": "blue-green"})
OLD, NEW = Release("v1", "1" * 64, "v1"), Release("v2", "2" * 64, "v2")
UP = (
    Started(0.0, plan_rollout(SPEC, None, OLD, "r1"), "ann"),
    Finished(1.0, Ending.PROMOTED, "ok"),
)
NEXT = Started(2.0, plan_rollout(SPEC, OLD, NEW, "r2"), "ann")
BACK = RevertOrdered(3.0, "verdict", "errors", "holdfast")
HOME = Started(5.0, plan_rollback(SPEC, NEW, OLD, "r3"), "ann")


@pytest.mark.parametrize(
    ("facts", "phase"),
    [
        ((), P.IDLE),
        (UP, P.IDLE),
        ((*UP, NEXT), P.ROLLING),
        ((*UP, NEXT, Finished(3.0, Ending.PROMOTED, "")), P.PROMOTED),
        ((*UP, NEXT, Finished(3.0, Ending.PROMOTED, ""), Scaled(4.0, 5, "ann")), P.PROMOTED),
        ((*UP, NEXT, BACK), P.REVERTING),
        ((*UP, NEXT, BACK, Finished(4.0, Ending.REVERTED, "errors")), P.REVERTED),
        ((*UP, NEXT, BACK, Finished(4.0, Ending.STRANDED, "nothing left")), P.STRANDED),
        ((*UP, NEXT, Finished(3.0, Ending.PROMOTED, ""), HOME), P.REVERTING),
        (
            (
                *UP,
                NEXT,
                Finished(3.0, Ending.PROMOTED, ""),
                HOME,
                Finished(6.0, Ending.PROMOTED, ""),
            ),
            P.REVERTED,
        ),
    ],
)
def test_a_region_is_what_its_own_facts_say(facts, phase):
    assert region_seen(fold(facts, "s"), NEW.digest).phase is phase


def test_a_region_of_a_wave_is_kept_warm_until_the_group_is_done():
    plan = plan_rollout(SPEC, OLD, NEW, "r2")
    wave = WavePlan(REGIONS, bake_s=60.0, region_s=600.0)
    assert kept_warm(plan, wave).limits.keep_warm_s >= 3 * 660.0
    long = WavePlan(("us",), bake_s=0.0, region_s=1.0)
    assert kept_warm(plan, long).limits.keep_warm_s == plan.limits.keep_warm_s
