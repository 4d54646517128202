"""Edge case 33, and waves as ``holdfast simulate`` plays them: several conductors, one verdict."""

import itertools
import json
import subprocess
import sys

import pytest
from playground import service

from holdfast.drills.simulation.waves import WaveAssumptions, play_wave
from holdfast.rollout.waves import OnFailure, WavePlan

REGIONS = ("us-east", "eu-west", "ap-south")
SPEC = "service: shop\nrun: python engine.py\nreplicas: 4\nrollout: canary\n"


def wave(policy="abort-all", fail=("eu-west",), bake=30.0, **spec):
    plan = WavePlan(REGIONS, bake, OnFailure(policy))
    return play_wave(service(**spec), plan, WaveAssumptions(fail=frozenset(fail)))


def at(found, what):
    (when,) = [at for at, line in found.story if line == what]
    return when


def test_33_region_two_fails_and_region_one_still_warm_is_taken_back_by_one_route_write():
    found = wave()
    assert found.ending == "reverted"
    assert found.reason.startswith("eu-west: errors")
    assert {r: end.weights for r, end in found.regions.items()} == {r: {"v1": 100} for r in REGIONS}
    first = found.regions["us-east"]
    assert first.routes_back == 1
    assert first.back_s < 1.0
    assert not [line for _, line in found.story if line == "open    ap-south"]
    assert [end.starved for end in found.regions.values()] == [0, 0, 0]


def test_33_with_a_short_keep_warm_of_its_own_region_one_is_warm_all_the_same():
    # Five minutes pass between the promotion of the first and the failure of the second region.
    found = wave(bake=300.0, keep_warm=5.0)
    assert (found.ending, found.regions["us-east"].routes_back) == ("reverted", 1)
    assert found.regions["us-east"].back_s < 1.0


def test_33_the_policy_abort_rest_keeps_what_was_promoted_and_opens_nothing_more():
    found = wave("abort-rest")
    assert found.ending == "partial"
    assert [end.weights for end in found.regions.values()] == [
        {"v2": 100},
        {"v1": 100},
        {"v1": 100},
    ]
    assert found.regions["ap-south"].phase == "idle"


def test_33_the_policy_continue_leaves_only_the_failed_region_behind():
    found = wave("continue")
    assert found.ending == "partial"
    assert [end.weights for end in found.regions.values()] == [
        {"v2": 100},
        {"v1": 100},
        {"v2": 100},
    ]


@pytest.mark.parametrize("strategy", ["canary", "blue-green", "rolling"])
def test_a_good_release_reaches_every_region_one_after_the_other(strategy):
    found = wave(fail=(), strategy=strategy)
    assert found.ending == "promoted"
    for earlier, later in itertools.pairwise(REGIONS):
        assert at(found, f"open    {later}") >= at(found, f"{earlier} is promoted") + 29.9
    assert {tuple(end.weights) for end in found.regions.values()} == {("v2",)}


def simulate(directory, *more):
    (directory / "holdfast.yaml").write_text(SPEC)
    command = [sys.executable, "-m", "holdfast.cli", "simulate", "-f", "holdfast.yaml", *more]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=60)


def test_a_wave_is_played_by_the_command_line(tmp_path):
    asked = ("--regions", "us-east,eu-west,ap-south", "--fail", "eu-west")
    words = simulate(tmp_path, *asked)
    assert words.returncode == 0, words.stderr
    assert "the wave is aborted: every region goes back" in words.stdout
    assert "by 1 route write" in words.stdout
    found = json.loads(simulate(tmp_path, *asked, "--on-failure", "continue", "--json").stdout)
    assert found["ending"] == "partial"
    assert found["regions"]["ap-south"]["weights"] == {"v2": 100}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--regions", "a,b", "--fail", "c"), "none of a, b"),
        (("--regions", "a,a"), "different names"),
        (("--regions", ","), "different names"),
    ],
)
def test_a_wave_that_cannot_be_is_refused(tmp_path, asked, said):
    refused = simulate(tmp_path, *asked)
    assert refused.returncode == 2
    assert said in refused.stderr
