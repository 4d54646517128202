"""Whatever is typed, a person gets a sentence and never a traceback."""

from __future__ import annotations

import subprocess
import sys

import pytest

from holdfast.cli import COMMANDS
from holdfast.cli.release import overlay
from holdfast.spec.load import load_text

BAD_WORDS = [
    ("depoly",),
    ("--nope",),
    ("status", "--nope"),
    ("scale",),
    ("scale", "many"),
    ("scale", "-1"),
    ("scale", "99999999"),
    ("status", "extra"),
    ("deploy", "-f", "/nowhere/holdfast.yaml"),
    ("deploy", "-f", "/dev"),
    ("deploy", "--set", "nonsense"),
    ("deploy", "--set", "service=other"),
    ("deploy", "--set", "service.env.A=1"),
    ("deploy", "--set", "run.command.A=1"),
    ("deploy", "--set", "replicas=[1"),
    ("deploy", "--set", "=1"),
    ("deploy", "--set", "a..b=1"),
    ("deploy", "--service", "other"),
    ("logs", "-n", "-5"),
    ("plan", "--rate", "fast"),
    ("token",),
    ("up", "--listen", "0.0.0.0:80"),
    ("up", "--listen", "nonsense"),
    ("up", "--listen", "127.0.0.1:99999"),
    ("up", "--listen", "127.0.0.1:0"),
    ("validate", "a.yaml", "-f", "b.yaml"),
    ("replay", "--alpha", "nan"),
    ("replay", "--error-rate-max", "nan"),
    ("replay", "--ratio-tolerated", "nan"),
    ("plan", "--version", ""),
    ("plan", "--version", "a\nb"),
    ("deploy", "--version", "\x1b[31mv2"),
    ("deploy", "--version", "v" * 65),
    ("token", "create"),
    ("token", "create", "../etc"),
    ("token", "create", "ann", "--role", "king"),
    ("token", "revoke", "nobody"),
    ("completion", "csh"),
    ("completion",),
]


@pytest.mark.parametrize("words", BAD_WORDS, ids=" ".join)
def test_wrong_words_are_2_with_one_error_line_and_a_hint(conductor, shell, docs, words):
    conductor.serve(docs.status())
    ran = shell(*words)
    assert ran.code == 2, ran
    if words == ("token",):  # a group without a command shows its help
        assert ran.err.startswith("Usage: holdfast token ")
    else:
        lines = ran.err.splitlines()
        assert lines[0].startswith("error: ") and lines[1].startswith("hint: "), ran.err
        assert len(lines) == 2
    assert "Traceback" not in ran.out + ran.err


def test_a_directory_that_was_removed_is_said_and_is_no_traceback(shell):
    gone = shell.directory / "gone"
    gone.mkdir()
    words = f"rmdir {gone}; exec {sys.executable} -m holdfast.cli status"
    env = {key: value for key, value in shell.env().items() if key != "HOLDFAST_HOME"}
    done = subprocess.run(
        ["sh", "-c", words], cwd=gone, env=env, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "error: this directory does not exist any more" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_spec_that_cannot_be_read_is_said(shell):
    spec = shell.directory / "holdfast.yaml"
    spec.unlink()
    spec.mkdir()
    ran = shell("plan", "-f", str(spec))
    assert ran.code == 2 and "there is no file" in ran.err


def test_a_mistyped_command_is_answered_with_the_nearest(shell):
    assert "did you mean 'deploy'?" in shell("depoly").err


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00\x01", b"\xff\xfe", b"[1, 2]", b"service: [", b"a: &a [*a]", b"- x\n" * 10],
    ids=repr,
)
@pytest.mark.parametrize("words", [("deploy", "--set", "replicas=3"), ("up",)], ids=" ".join)
def test_a_damaged_spec_is_never_a_traceback(conductor, shell, docs, content, words):
    conductor.serve()
    (shell.directory / "holdfast.yaml").write_bytes(content)
    ran = shell(*words)
    assert ran.code in (2, 3), ran
    assert "Traceback" not in ran.out + ran.err and ran.err.startswith("error: ")


@pytest.mark.parametrize("name", ["pause", "resume", "abort", "promote", "approve", "logs"])
def test_one_of_several_services_must_be_named(conductor, shell, docs, name):
    conductor.serve(docs.status("one"), docs.status("two"))
    (shell.directory / "holdfast.yaml").unlink()
    ran = shell(name)
    assert ran.code == 2
    assert "there are 2 services here: one, two" in ran.err and "--service one" in ran.err


def test_the_spec_beside_decides_between_several_services(conductor, shell, docs):
    conductor.serve(docs.status("other"), docs.status("demo"))
    conductor.answer("POST", "/v1/services/demo/abort", docs.outcome(detail="taken back"))
    assert shell("abort").out == "demo: taken back\n"


def test_abort_works_while_the_spec_is_broken(conductor, shell, docs):
    conductor.serve(docs.status("other"), docs.status("demo"))
    conductor.answer("POST", "/v1/services/demo/abort", docs.outcome(detail="taken back"))
    (shell.directory / "holdfast.yaml").write_text("service: demo\nrun: [unfinished\n")
    assert shell("abort").code == 0


def test_an_unknown_service_is_answered_with_the_known_ones(conductor, shell, docs):
    conductor.serve(docs.status("demo"))
    ran = shell("pause", "--service", "dmeo")
    assert ran.code == 2 and "there is no service 'dmeo' here" in ran.err and "demo" in ran.err


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"completion", "token"}))
def test_errors_of_a_program_are_json_too(shell, name):
    file = ("-",) if name == "drill" else ()  # its JSON goes to a file that is named
    ran = shell(name, "--nope", "--json", *file)
    assert ran.code == 2 and ran.err == ""
    error = ran.json()["error"]
    assert error["code"] and error["detail"] and error["hint"]


DEEP = "service: " + "[" * 5_000 + "]" * 5_000 + "\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("service: demo\nrun: a\nreplicas: 2\nreplicas: 3\n", "found 'replicas' twice"),
        (DEEP, "wanted at most 32 levels"),
        ("- a\n", "found a list of 1"),
        ("service: [\n", "wanted valid YAML"),
    ],
)
def test_a_setting_hides_no_problem_of_the_file_it_is_laid_over(shell, text, says):
    (shell.directory / "holdfast.yaml").write_text(text)
    ran = shell("plan", "--set", "version=v2")
    assert ran.code == 2 and says in ran.err, ran


def test_a_setting_changes_no_other_word_of_the_file():
    text = "version: 1.10\nrun: {command: x, env: {A: 010, B: 1_000, C: '1.0', D: 2026-01-01}}\n"
    assert overlay(text, ("replicas=3",)) == f"{text}replicas: 3\n"


@pytest.mark.parametrize(
    ("setting", "value"),
    [("=", ""), ("=2.50", "2.50"), ("=yes", "yes"), ("='x y'", "x y"), ("=a: b", "a: b")],
)
def test_an_environment_value_is_text_as_it_was_typed(setting, value):
    text = "service: demo\nrun: python x.py\n"
    assert load_text(overlay(text, (f"run.env.A{setting}",))).run.env == {"A": value}


def test_a_version_is_wanted_in_words_and_not_as_a_pattern(conductor, shell, docs):
    ran = shell("deploy", "--version", "a b")
    assert "found 'a b', wanted letters, digits and . _ + -" in ran.err


ADDRESSES = [
    "nonsense", "127.0.0.1", "127.0.0.1:abc", "127.0.0.1:99999", "127.0.0.1:0", ":1",
    "http://127.0.0.1:8080", "127.0.0.1:22\n", "a b:1", "\x1b[31m:1",
]  # fmt: skip


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_that_is_none_is_refused_before_anything_is_sent(shell, address):
    shell.environment["HOLDFAST_CONDUCTOR"] = address
    ran = shell("status")
    assert ran.code == 2 and f"HOLDFAST_CONDUCTOR: found {address!r}" in ran.err


@pytest.mark.parametrize("token", ["secret\r\nx-role: admin", "secret\xe9", "secret word"])
def test_a_token_that_cannot_be_sent_is_refused_and_never_repeated(shell, token, tmp_path):
    shell.environment.update(HOLDFAST_CONDUCTOR="127.0.0.1:1", HOLDFAST_TOKEN=token)
    ran = shell("status")
    assert ran.code == 2 and "HOLDFAST_TOKEN: found characters" in ran.err
    assert "secret" not in ran.out + ran.err and not list(tmp_path.rglob("crash-*"))


def test_a_word_where_a_number_is_wanted_is_said_in_plain_words(shell):
    assert "'many' is not a whole number" in shell("scale", "many").err
