"""``holdfast simulate -f``: what the rollout of a spec would do, before anything moves."""

import json
import subprocess
import sys

import pytest
from playground import service

from holdfast.drills.simulation.what_if import Assumptions, parse_fault, predict
from holdfast.targets.base import Fault

SPEC = """\
service: shop
run: python engine.py
replicas: 4
rollout: canary
"""


def holdfast(*argv, cwd):
    command = [sys.executable, "-m", "holdfast.cli", *argv]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60)


def test_a_good_release_is_predicted_to_climb_every_step():
    found = predict(service(10), Assumptions(seeds=2))
    assert dict(found.endings) == {"promoted": 2}
    assert [weight for _, weight, _ in found.steps] == [5, 25, 50, 100]
    assert found.steps == sorted(found.steps, key=lambda step: step[2])
    assert (found.breaches, found.starved) == (0, 0)
    assert found.holds["needs-samples"] > found.holds["routing"]


def test_more_traffic_means_evidence_sooner():
    slow, fast = (predict(service(4), Assumptions(rate=r, seeds=2)) for r in (200.0, 5000.0))
    assert slow.quantile(0.5) > 2 * fast.quantile(0.5)


def test_a_failing_release_is_predicted_to_come_back_with_its_reason():
    found = predict(service(4), Assumptions(kind="errors-20", seeds=2))
    assert dict(found.endings) == {"reverted": 2}
    assert dict(found.reasons) == {"verdict": 2}


def test_a_fault_is_written_as_kind_subject_and_amount():
    assert parse_fault("kill-replica:old:2") == Fault("kill-replica", "v1", 2.0)
    assert parse_fault("metrics-down") == Fault("metrics-down")


@pytest.mark.parametrize(
    "text", ["burst::x", "burst::nan", "burst::-1", "kill-replica:v9", "::inf"]
)
def test_a_fault_that_cannot_be_says_what_was_found_and_what_is_wanted(text):
    with pytest.raises(ValueError, match=r"found the (amount|subject) .* wanted"):
        parse_fault(text)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("-f", "holdfast.yaml", "--fault", "kill-replica:old:xx"), "found the amount 'xx'"),
        (("-f", "holdfast.yaml", "--rate", "nan"), "wanted a number"),
        (("-f", "holdfast.yaml", "--rate", "-5"), "not in the range"),
        (("-f", "holdfast.yaml", "--start", "inf"), "not in the range"),
        (("-f", "holdfast.yaml", "--regions", "a,b", "--bake", "nan"), "wanted a number"),
        (("-f", "holdfast.yaml", "--seed", "3"), "--seed has no meaning with --file"),
        (("--rate", "5"), "--rate needs --file"),
        (("--regions", "a,b"), "--regions needs --file"),
        (("--story",), "--story needs --seed"),
        (("--jobs", "0"), "not in the range"),
    ],
)
def test_what_cannot_be_simulated_is_refused_in_one_sentence(tmp_path, asked, said):
    (tmp_path / "holdfast.yaml").write_text(SPEC)
    refused = holdfast("simulate", *asked, cwd=tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert said in refused.stderr
    assert "crash" not in refused.stderr and "Traceback" not in refused.stderr


@pytest.mark.parametrize("wrong", [("--fault", "rain"), ("--release", "purple")])
def test_an_unknown_word_is_refused_with_the_known_ones(tmp_path, wrong):
    (tmp_path / "holdfast.yaml").write_text(SPEC)
    said = holdfast("simulate", "-f", "holdfast.yaml", *wrong, cwd=tmp_path)
    assert said.returncode == 2
    assert wrong[1] in said.stderr and "one of" in said.stderr


def test_the_answer_is_words_for_people_and_json_for_programs(tmp_path):
    (tmp_path / "holdfast.yaml").write_text(SPEC)
    words = holdfast("simulate", "-f", "holdfast.yaml", "--seeds", "1", cwd=tmp_path)
    assert words.returncode == 0, words.stderr
    assert "promoted 1" in words.stdout and "100 % of the traffic" in words.stdout
    asked = ("simulate", "-f", "holdfast.yaml", "--seeds", "1", "--replicas", "20", "--json")
    found = json.loads(holdfast(*asked, cwd=tmp_path).stdout)
    assert (found["replicas"], found["endings"]) == (20, {"promoted": 1})
    assert found["seconds_p50"] > 0
