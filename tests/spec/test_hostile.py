"""Whatever the bytes are: a service, or problems with a real line. Never a traceback."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jsonschema_rs
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from holdfast.spec import tree
from holdfast.spec.load import Invalid, find, load, load_text, read_bytes
from holdfast.spec.problem import LINE_BREAK
from holdfast.spec.reference import examples
from holdfast.spec.schema import json_schema

BASE = "service: shop\nrun: python shop.py\n"
RUN = "service: shop\nrun:\n  command: x\n"
EXAMPLES = tuple(examples().values())
FUZZ = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
WORDS = (
    "service", "version", "run", "replicas", "traffic", "probes", "rollout", "promises", "command",
    "env", "secrets", "config", "affinity", "steps", "weight", "hold", "windows", "freezes",
    "start", "end", "days", "analysis", "metrics", "smoke", "ready", "headers", "limits", "memory",
)  # fmt: skip
REPLACEMENTS = (
    "", " ", "\n", "\t", ":", "- ", "[", "}", "'", '"', "&a ", "*a", "<<: ", "!!x ", "~", "true",
    "no", "1e400", "-1", ".nan", "0x1F", "9" * 50, "99999999999d", "\0", "\ufeff", "é", "#",
)  # fmt: skip
CHECKER = jsonschema_rs.Draft202012Validator(json_schema())


def refused(data: bytes) -> Invalid:
    with pytest.raises(Invalid) as caught:
        read_bytes(data, "holdfast.yaml")
    return caught.value


def survives(data: bytes) -> None:
    """The property: loads and satisfies the JSON Schema, or says where it is wrong."""
    try:
        loaded = read_bytes(data, "holdfast.yaml")
    except Invalid as error:
        lines = LINE_BREAK.split(data.decode("utf-8-sig", "replace"))
        assert error.problems
        for problem in error.problems:
            assert 1 <= problem.line <= len(lines), str(problem)
            assert problem.column >= 1
            assert problem.found and problem.wanted
            assert str(problem).isprintable()
        assert str(error.problems[0]) in error.pretty()
    else:
        plain = json.loads(json.dumps(loaded.root.plain()))
        assert CHECKER.is_valid(plain), [str(e) for e in CHECKER.iter_errors(plain)]


@FUZZ
@given(st.binary(max_size=200))
@example(b"\xff\xfes\x00")
@example(b"? \n")
@example(b"!<tag:x>")
@example(b"%YAML 9.9\n---\na: 1")
def test_any_bytes_are_answered(data: bytes):
    survives(data)


@FUZZ
@given(
    st.text(alphabet=st.sampled_from("a:-[]{}&*!|>'\"%@`,?#\t \n\r\u2028\x85~<0.e_é"), max_size=80)
)
def test_any_yaml_punctuation_is_answered(text: str):
    survives(text.encode())


@FUZZ
@given(st.data())
def test_a_valid_spec_with_parts_replaced_is_answered(data: st.DataObject):
    text = data.draw(st.sampled_from(EXAMPLES))
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        length = data.draw(st.integers(0, 12))
        new = data.draw(st.sampled_from(REPLACEMENTS) | st.text(max_size=4))
        text = text[:start] + new + text[start + length :]
    survives(text.encode("utf-8", "surrogatepass"))


@FUZZ
@example({"\n0": None})
@example({"run": {"env": {"\x1b": "\u2028"}}})
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=3), inner, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_any_tree_of_values_under_real_keys_is_answered(value: object):
    document = {"service": "shop", "run": "x", **(value if isinstance(value, dict) else {})}
    survives(yaml.safe_dump(document, allow_unicode=True).encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "nothing"),
        (b"# only a comment\n", "nothing"),
        (b"---\n", "nothing"),
        (b"- a\n- b\n", "a list of 2"),
        (b"just words", "'just words'"),
        (b"service: shop\n---\nservice: b\n", "a second document (---)"),
        ("service: shop".encode("utf-16"), "UTF-16"),
        ("service: shop".encode("utf-32"), "UTF-32"),
        (b"\0\0\xfe\xff" + "service: shop".encode("utf-32-be"), "UTF-32"),
        (b"service: caf\xe9\n", "the byte 0xe9"),
        (b"service: a\x00b\n", "the character U+0000"),
        (b'service: "a\\0b"\n', "a NUL character"),
        (b"a: &a [*a]\n", "*a"),
        (b"a: *nobody\n", "*nobody"),
        (b"[" * 100_000, "33 levels"),
        (b"x" * (tree.BYTES_MAX + 1), "more than 1 MiB"),
        (b"service: 'open\n", "something that is not YAML (found unexpected end of stream)"),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_what_no_spec_can_be_is_named(data: bytes, found: str):
    assert refused(data).problems[0].found == found


def test_a_byte_order_mark_is_no_problem():
    assert read_bytes(b"\xef\xbb\xbf" + BASE.encode(), "x").service.service == "shop"


def test_windows_line_ends_are_no_problem():
    assert load_text(BASE.replace("\n", "\r\n")).run.command == "python shop.py"


@pytest.mark.parametrize("shape", ["wide", "deep"])
def test_an_alias_bomb_is_refused_in_no_time(shape: str):
    width = 9 if shape == "wide" else 1
    lines = ["a0: &a0 [x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, 200)]
    began = time.perf_counter()
    (problem,) = refused("\n".join(lines).encode()).problems
    assert time.perf_counter() - began < 1
    assert problem.found in ("33 levels", "more than 20000 values, aliases expanded")


def test_aliases_that_stay_small_work():
    text = "service: shop\nrun: x\nprobes: {ready: &p {path: /r, every: 1s}, live: *p}\n"
    assert load_text(text).probes.live.path == "/r"


def test_a_million_digits_take_no_time():
    began = time.perf_counter()
    digits = "9" * 1_000_000
    problems = refused(f"{BASE}replicas: {digits}\n".encode()).problems
    problems += refused(f"{BASE}rollout: {{drain: {digits}}}\n".encode()).problems
    assert time.perf_counter() - began < 2
    assert [p.path for p in problems] == ["replicas", "rollout.drain"]


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\n" * 5000,
        BASE + "".join(f"key{n}: 1\n" for n in range(9000)),
        BASE + f"rollout: {{steps: [{'200, ' * 9000}]}}\n",
        BASE + f"rollout: {{steps: [{'{}, ' * 9000}]}}\n",
        BASE + f"rollout: {{steps: [{'5, ' * 9000}]}}\n",
        RUN + f"  affinity: [{'5, ' * 9000}]\n",
        RUN + "  env:\n" + "".join(f"    {n}x: y\n" for n in range(9000)),
        RUN + "  secrets:\n" + "".join(f"    x{n}: y\n" for n in range(9000)),
    ],
    ids=range(8),
)
def test_thousands_of_problems_are_cut_at_a_hundred_in_no_time(text: str):
    began = time.perf_counter()
    problems = refused(text.encode()).problems
    assert len(problems) <= tree.PROBLEMS_MAX and time.perf_counter() - began < 5


def test_both_yaml_parsers_are_understood(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tree, "_LOADER", yaml.SafeLoader)
    assert load_text(EXAMPLES[0]).service == "shop"
    survives(b"a: [\n")
    survives(b"a:\n\tb: 1\n")
    assert refused(b"service: shop\nservice: b\n").problems[0].found == "'service' twice"


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda path: None, "no such file or directory"),
        (lambda path: path.mkdir(), "a directory"),
        (os.mkfifo, "something that is not a file"),
        (lambda path: path.symlink_to(path), "too many levels of symbolic links"),
    ],
    ids=["missing", "directory", "pipe", "loop"],
)
def test_what_cannot_be_read_is_a_problem_and_never_blocks(make, found: str, tmp_path: Path):
    path = tmp_path / "holdfast.yaml"
    make(path)
    with pytest.raises(Invalid) as caught:
        load(path)
    assert caught.value.problems[0].found == found


NOBODY = 65534


@contextmanager
def unprivileged() -> Iterator[None]:
    """Root may read everything, so root becomes nobody for a moment."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_file_without_permission_is_a_problem(tmp_path: Path):
    path = tmp_path / "holdfast.yaml"
    path.write_text(BASE)
    path.chmod(0)
    with unprivileged(), pytest.raises(Invalid) as caught:
        load(path)
    assert caught.value.problems[0].found == "permission denied"


def test_a_path_with_a_nul_is_a_problem():
    with pytest.raises(Invalid):
        load("a\0b")


def test_the_nearest_spec_upwards_is_found(tmp_path: Path):
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "holdfast.yml").write_text(BASE)
    assert find(inner) == tmp_path / "holdfast.yml"
    (tmp_path / "a" / "holdfast.yaml").write_text(BASE)
    assert find(inner) == tmp_path / "a" / "holdfast.yaml"
    assert find(inner, "other.yaml") == Path("other.yaml")


def test_no_spec_anywhere_says_how_to_get_one(tmp_path: Path):
    with pytest.raises(Invalid) as caught:
        find(tmp_path)
    assert "holdfast init" in str(caught.value)
