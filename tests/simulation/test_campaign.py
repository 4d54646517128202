"""Seeds, determinism, mutants and crashes at every write: is the simulator as good as it claims?"""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from mutants import MUTANTS

from holdfast.drills.simulation.__main__ import main
from holdfast.drills.simulation.campaign import campaign, play_seed
from holdfast.drills.simulation.checkers import RULES
from holdfast.drills.simulation.run import play
from holdfast.drills.simulation.scenario import Crashes, make_scenario

SEEDS = Path(__file__).with_name("seeds.txt")
#: A mutant must be caught among so many seeds.
WITHIN = 60
#: Seeds without trouble in which the second release is good, one per strategy.
CALM = {"rolling": 81, "blue-green": 84, "canary": 18}


def known_seeds():
    lines = SEEDS.read_text().splitlines()
    return [int(line.split()[0]) for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("seed", known_seeds())
def test_a_seed_that_once_broke_a_rule_breaks_none(seed):
    assert play_seed(seed).breaches == []


def test_no_rule_is_broken_by_the_seeds_that_catch_the_mutants():
    seeds = {seed for each in MUTANTS for seed in range(each.first, each.first + WITHIN)}
    tally = campaign(sorted(seeds))
    assert tally.seeds == len(seeds) >= WITHIN
    assert tally.findings == []
    assert {ending for _, ending in tally.endings} >= {"promoted", "reverted"}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_checkers_notice_the_deliberate_bug(mutant):
    with mutant.applied():
        seeds = range(mutant.first, mutant.first + WITHIN)
        caught = next((s for s in seeds if play_seed(s).breaches), None)
    assert caught is not None, f"nobody noticed: {mutant.bug}"


@pytest.mark.parametrize("durable", [True, False], ids=["after", "before"])
@pytest.mark.parametrize("strategy", CALM)
def test_a_crash_at_every_single_write_is_survived(strategy, durable):
    scenario = make_scenario(CALM[strategy])
    assert scenario.service.rollout.strategy == strategy
    calm = play(scenario)
    assert (calm.ending, calm.breaches) == ("promoted", [])
    for write in range(1, 16):
        crashes = Crashes(frozenset({write}), durable, down_s=0.5)
        crashed = play(replace(scenario, crashes=crashes))
        assert crashed.breaches == [], f"crash at write {write}"
        assert crashed.ending in {"promoted", "refused"}, f"crash at write {write}"


def test_the_same_seed_tells_the_same_story_under_any_hash_seed():
    code = (
        "from holdfast.drills.simulation.campaign import play_seed\n"
        "print([play_seed(s).digest for s in range(8)])"
    )
    told = set()
    for hash_seed in ("0", "1", "4242"):
        env = {**os.environ, "PYTHONHASHSEED": hash_seed}
        command = [sys.executable, "-c", code]
        told.add(subprocess.run(command, env=env, capture_output=True, check=True).stdout)
    assert len(told) == 1


def test_a_breach_is_printed_with_its_seed_and_ends_with_one(capsys):
    mutant = next(m for m in MUTANTS if m.name == "blind-ack")
    with mutant.applied():
        assert main(["--seeds", "3"]) == 1
        said = capsys.readouterr().out
        assert "--seed 0 --story" in said
        assert any(promise in said for promise in RULES.values())
        assert main(["--seed", "0", "--story"]) == 1
    assert "BREACH" in capsys.readouterr().out
    assert main(["--seeds", "3", "--json"]) == 0
