"""Strategies are data: what ladder does each spec give?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.rollout.model import Release, Strategy
from holdfast.rollout.plan import forecast, plan_rollback, plan_rollout
from holdfast.spec.model import Service

V1, V2 = Release("v1-x", "1" * 64, "v1"), Release("v2-x", "2" * 64, "v2")


def spec(replicas: int = 10, **rollout: object) -> Service:
    return Service.model_validate(
        {"service": "shop", "run": "./shop", "replicas": replicas, "rollout": rollout}
    )


@given(
    replicas=st.integers(0, 10_000), surge=st.integers(0, 50), strategy=st.sampled_from(Strategy)
)
def test_every_ladder_rises_and_ends_with_everything_on_the_new_release(replicas, surge, strategy):
    rollout = {"strategy": str(strategy), "max_surge": surge, "max_unavailable": 1}
    ladder = plan_rollout(spec(replicas, **rollout), V1, V2, "r1").ladder
    weights = [step.weight for step in ladder]
    assert weights == sorted(weights)
    assert (ladder[-1].weight, ladder[-1].fleet) == (100, 100)
    assert all(step.fleet >= step.weight for step in ladder)
    assert len(ladder) <= 10


def test_a_first_deploy_is_one_rung_whatever_the_strategy():
    assert len(plan_rollout(spec(strategy="canary"), None, V1, "r1").ladder) == 1


def test_approvals_come_before_the_first_share_of_traffic():
    first = plan_rollout(spec(strategy="canary", approvals=2), V1, V2, "r1").ladder[0]
    assert (first.weight, first.approvals) == (0, 2)


def test_a_rollback_is_one_unjudged_rung():
    plan = plan_rollback(spec(strategy="canary", approvals=2), V2, V1, "r1")
    assert plan.rollback
    assert [(s.weight, s.judged, s.approvals) for s in plan.ladder] == [(100, False, 0)]


@pytest.mark.parametrize(("rate", "known"), [(200.0, True), (0.0, False)])
def test_the_forecast_says_when_it_cannot_know(rate, known):
    steps = forecast(plan_rollout(spec(strategy="canary"), V1, V2, "r1"), rate)
    assert (steps[0].seconds_expected is not None) is known
    assert any("clean requests" in gate for gate in steps[0].gates)
