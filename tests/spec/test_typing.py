"""What words in YAML mean, by the core schema of YAML 1.2, and what units a value needs."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.spec import written
from holdfast.spec.kinds import WrittenFloat, WrittenInt
from holdfast.spec.load import Invalid, load_text
from holdfast.spec.model import Service
from holdfast.spec.scalar import typed

BASE = "service: shop\nrun: python shop.py\n"


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("no", "no"), ("on", "on"), ("Yes", "Yes"), ("12:30:00", "12:30:00"), ("1_000", "1_000"),
        ("2026-01-01", "2026-01-01"), ("", None), ("~", None), ("Null", None), ("nULL", "nULL"),
        ("true", True), ("FALSE", False), ("010", 10), ("0o10", 8), ("0x1F", 31), ("-5", -5),
        ("1.10", 1.1), (".5", 0.5), ("1e3", 1000.0), ("1e400", math.inf), ("-.inf", -math.inf),
        ("٣", "٣"), ("9" * 41, "9" * 41),
    ],
)  # fmt: skip
def test_a_plain_word_means_what_yaml_1_2_says(word: str, value: object):
    found = typed(word)
    assert found == value and isinstance(found, type(value))


@pytest.mark.parametrize("word", ["010", "1.10", "1e3", "0x1F", ".inf"])
def test_a_number_remembers_how_it_was_written(word: str):
    number = typed(word)
    assert isinstance(number, WrittenInt | WrittenFloat) and number.text == word


@pytest.mark.parametrize("word", ["1.10", "010", "1e3", "2026-01-01", "no"])
def test_a_version_is_the_text_in_the_file(word: str):
    assert load_text(f"{BASE}version: {word}\n").version == word


def test_environment_values_are_the_text_in_the_file():
    text = "service: shop\nrun: {command: x, env: {A: 010, B: 1.10, C: no, D: '', E: 1e3}}\n"
    assert load_text(text).run.env == {"A": "010", "B": "1.10", "C": "no", "D": "", "E": "1e3"}


@pytest.mark.parametrize("word", ["true", "~", ""])
def test_a_switch_or_nothing_is_no_text(word: str):
    with pytest.raises(Invalid, match=r"run\.env\.A: found \w+, wanted text"):
        load_text(f"service: shop\nrun: {{command: x, env: {{A: {word}}}}}\n")


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("rollout: {drain: 30}", "did you mean 30s?"),
        ("rollout: {drain: 1.5}", "did you mean 1.5s?"),
        ("run: {command: x, limits: {memory: 512}}", "did you mean 512MB?"),
        ("traffic: {idempotent: no}", "did you mean false?"),
        ("traffic: {idempotent: 'on'}", "did you mean true?"),
        ("replicas: '3'", "remove the quotes"),
        ("rollout: {on_conflict: refused}", "did you mean refuse?"),
    ],
)
def test_a_value_that_is_nearly_right_is_answered_with_the_right_one(line: str, hint: str):
    base = "service: shop\n" if line.startswith("run") else BASE
    with pytest.raises(Invalid) as caught:
        load_text(base + line + "\n")
    (problem,) = caught.value.problems
    assert problem.hint == hint


@pytest.mark.parametrize("line", ["replicas: true", "replicas: 2.0", "traffic: true"])
def test_a_whole_number_is_nothing_else(line: str):
    with pytest.raises(Invalid):
        load_text(BASE + line + "\n")


def test_short_forms_stand_for_the_key_that_matters_most():
    short = load_text(BASE + "traffic: 81\nrollout: canary\nprobes: {ready: /r, smoke: [/a]}\n")
    full = load_text(
        "service: shop\nrun: {command: python shop.py}\ntraffic: {port: 81}\n"
        "rollout: {strategy: canary}\nprobes: {ready: {path: /r}, smoke: [{path: /a}]}\n"
    )
    assert short == full


def test_a_section_with_every_key_commented_out_means_its_defaults():
    assert load_text(BASE + "rollout:\n  # strategy: canary\n") == load_text(BASE)


def test_a_stored_service_is_read_back_equal():
    service = load_text(BASE + "rollout: {drain: 1500ms}\npromises: {throughput: 300/m}\n")
    assert Service.model_validate_json(service.model_dump_json()) == service
    assert Service.model_validate(service.model_dump()) == service


@given(st.integers(1, 10**14))
def test_a_duration_is_written_so_that_it_reads_back_equal(microseconds: int):
    seconds = microseconds / 1e6
    if seconds <= 10**8:
        text = written.duration(seconds)
        drained = load_text(f"{BASE}rollout: {{source_down: {text}}}\n").rollout.source_down
        assert math.isclose(drained, seconds, rel_tol=1e-9)


@given(st.integers(0, 2**50))
def test_a_size_is_written_so_that_it_reads_back_equal(size: int):
    text = f"service: shop\nrun: {{command: x, logs: {{max_size: {written.size(size)}}}}}\n"
    assert load_text(text).run.logs.max_size == size


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.1, "100ms"),
        (10, "10s"),
        (90, "90s"),
        (900, "15m"),
        (86400, "1d"),
        (2e-6, "2us"),
    ],
)
def test_a_duration_is_written_in_the_largest_whole_unit(seconds: float, text: str):
    assert written.duration(seconds) == text


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12))
def test_text_shown_on_one_line_reads_back_as_itself(value: str):
    shown = written.flow(value)
    assert shown.isprintable()
    text = f"service: shop\nrun: {{command: x, env: {{A: {shown}}}}}\n"
    assert load_text(text).run.env == {"A": value}
