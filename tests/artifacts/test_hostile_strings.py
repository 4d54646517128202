"""Hostile text in every key that takes free text: it stays where it was written, in every file."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from functools import cache

import hostile
import pytest
import yaml
from hostile import FORMS, HARMLESS, HOSTILE, MARK

from holdfast.artifacts.resilience.runbooks.page import commands
from holdfast.spec.fields import catalogue, find, generic, options
from holdfast.spec.model import Service

PAIRS = [(form, kind) for form in FORMS for kind in HOSTILE]
DOCUMENTS = (".yaml", ".yml", ".json")
#: What begins an expression of GitHub, as the constant text that it becomes; the same of Go.
NEUTRAL = "${{ '${{' }}"
NEUTRAL_GO = '{{ "{{" }}'
#: Fields that are read as Go templates. ApplicationSets put values into theirs without reading
#: them again, so only the template itself must not hold words of a person.
TEMPLATES = (
    ("observability/prometheus/rules/", "annotations"),
    ("observability/prometheus/rules/", "labels"),
    ("observability/base/rules.yaml", "annotations"),
    ("kubernetes/base/scaling-rules.yaml", "labels"),
    ("observability/alertmanager/", "receivers"),
    ("observability/base/alert-routes.yaml", "receivers"),
    ("delivery/argocd/applicationsets.yaml", "template"),
    ("delivery/argocd/argocd-notifications-cm.yaml", "data"),
    ("delivery/flagger/base/metrictemplates.yaml", "query"),
    ("kubernetes/platform/prometheus-adapter.yaml", "data"),
    ("resilience/security/secrets.yaml", "template"),
)


@pytest.fixture(params=PAIRS, ids="-".join)
def pair(request):
    """The files with hostile texts, and with a harmless one in the same places."""
    form, kind = request.param
    assert hostile.attack(form, kind), "no key takes this text: the test attacks nothing"
    return hostile.attacked(form, kind), hostile.attacked(form, kind, harmless=True)


def is_document(path: str) -> bool:
    return path.endswith(DOCUMENTS)


@cache
def read(text: str, json_text: bool = False) -> list:
    if json_text:
        return [json.loads(text)]
    return list(yaml.load_all(text, Loader=yaml.CSafeLoader))


def leaves(path: str, text: str):
    yield from hostile.leaves(read(text, path.endswith(".json")))


def words(files: dict[str, str]):
    """Every text of a document in which a person's words are, with its file and place."""
    for path, text in files.items():
        if is_document(path) and MARK in text:
            yield from ((path, place, leaf) for place, leaf in leaves(path, text) if MARK in leaf)


def test_every_key_that_takes_text_has_one_to_be_attacked():
    written = {find(generic(path)).path for path in hostile.texts(hostile.service("mesh"))}
    every = {path for path, key in catalogue().items() if has_text(key)}
    assert every - {("run", "command")} == written  # one line is words, which are attacked


def has_text(key) -> bool:
    kinds = [getattr(o, "__origin__", o) if hasattr(o, "__metadata__") else o
             for o in options(key.hint_type)]  # fmt: skip
    return str in kinds


def test_documents_have_the_structure_that_a_harmless_text_gives_them(pair):
    given, harmless = pair
    assert given.keys() == harmless.keys()
    for path, text in given.items():
        if is_document(path) and text != harmless[path]:
            one, two = (read(t, path.endswith(".json")) for t in (text, harmless[path]))
            assert hostile.shape(one) == hostile.shape(two), path


def test_workflows_get_no_expression_and_their_scripts_no_word(pair):
    for path, place, leaf in words(pair[0]):
        if "/workflows/" in path:
            assert "run" not in place, (path, place)
            found = re.findall(r"\$\{\{.*?\}\}", leaf.replace(NEUTRAL, ""), re.S)
            assert not [each for each in found if MARK in each], (path, leaf)


def test_templates_of_others_get_no_action(pair):
    for path, place, leaf in words(pair[0]):
        if any(path.startswith(start) and field in place for start, field in TEMPLATES):
            opened, closed = ("<<", ">>") if "adapter" in path else ("{{", "}}")
            found = leaf.replace(NEUTRAL_GO, "").split(opened)[1:]
            assert not [each for each in found if MARK in each.split(closed)[0]], (path, place)


def test_the_places_of_templates_are_places_of_files():
    paths = [path for form in FORMS for path in hostile.attacked(form, "quotes")]
    assert all(any(path.startswith(start) for path in paths) for start, _field in TEMPLATES)


def test_nothing_of_a_person_is_substituted_by_cloudformation(pair):
    for path, place, _leaf in words(pair[0]):
        assert "Fn::Sub" not in place, (path, place)


def test_no_shell_inside_of_a_document_is_given_a_word_as_its_program(pair):
    for path, text in pair[0].items():
        if is_document(path) and MARK in text:
            for place, leaf in leaves(path, text):
                program = place[:-1]
                if leaf in ("-c", "-ec", "-euc") and isinstance(place[-1], int):
                    said = dict(leaves(path, text)).get((*program, place[-1] + 1), "")
                    assert MARK not in said, (path, place)


@pytest.mark.parametrize("form", FORMS)
def test_containers_are_told_exactly_what_was_written(form):
    """Kubernetes, Compose and Bake each expand something else after a dollar."""
    kind = "variables"
    original = set(hostile.attack(form, kind).values())
    readers = {"kubernetes/base/": hostile.kubernetes, "containers/compose.yaml": hostile.compose,
               "containers/docker-bake.json": hostile.bake}  # fmt: skip
    seen = set()
    for path, place, leaf in words(hostile.attacked(form, kind)):
        for start, reader in readers.items():
            if path.startswith(start) and {"env", "args", "environment"} & set(place):
                assert reader(leaf) in original, (path, place, leaf)
                seen.add(start)
    assert "kubernetes/base/" in seen and "containers/compose.yaml" in seen


def test_dockerfiles_get_no_instruction_no_pair_and_no_variable(pair):
    """A line that continues none begins with an instruction, a comment or nothing."""
    given, harmless = (instructions(files["containers/Dockerfile"]) for files in pair)
    assert [line.split()[0] for line in given] == [line.split()[0] for line in harmless]
    for one, two in zip(given, harmless, strict=True):
        if one.startswith(("LABEL", "ENV")) and one != two:
            assert len(shlex.split(one)) == len(shlex.split(two)), one
            assert len(expanded(one)) == len(expanded(two)), one


def instructions(text: str) -> list[str]:
    whole = re.sub(r"\\\n", "", re.sub(r"^#.*\n", "", text, flags=re.M))
    whole = re.sub(r"<<'?(\w+)'?.*?\n\1\n", "\n", whole, flags=re.S)
    return [line for line in whole.splitlines() if line.strip()]


def expanded(line: str) -> list[str]:
    """Dollars that are not written with a backslash."""
    return re.findall(r"\$", re.sub(r"\\.", "", line))


def test_owners_of_files_are_those_that_were_named(pair):
    given, harmless = (owners(files["delivery/github/CODEOWNERS"]) for files in pair)
    assert [len(each) for each in given] == [len(each) for each in harmless]


def owners(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line and line[0] != "#"]
    return [re.split(r"(?<!\\)\s+", line) for line in lines]


def test_a_path_that_means_more_than_itself_is_not_ignored_and_brings_nothing_back(pair):
    given, harmless = (files["containers/Dockerfile.dockerignore"].splitlines() for files in pair)
    own = [line for line in given if line not in harmless and not line.startswith("# ")]
    assert len(own) <= 1
    assert not [line for line in own if line[0] in "!#" or set(line) & set("*?[\\")]


def test_what_has_no_syntax_for_a_text_has_none_in_it(pair):
    for path, text in pair[0].items():
        if path.endswith((".hcl", ".sql", ".conf", ".py", ".toml")):
            assert MARK not in "".join(text.splitlines(keepends=True)), path


def test_runbooks_get_no_heading_no_block_and_no_command(pair):
    given, harmless = pair
    for path, text in given.items():
        if path.endswith(".md") and text != harmless[path]:
            marks = [re.findall(r"^(#+ |```|<!--|-->)", t, re.M) for t in (text, harmless[path])]
            assert marks[0] == marks[1], path
            for one, two in zip(commands(text), commands(harmless[path]), strict=True):
                assert len(shlex.split(one, True)) == len(shlex.split(two, True)), (path, one)


def scripts(files: dict[str, str]):
    return {
        path: text for path, text in files.items() if text.startswith("#!") and ".py" not in path
    }


def test_scripts_are_the_same_words_with_the_text_in_the_place_of_a_harmless_one(pair):
    given, harmless = map(scripts, pair)
    for path, text in given.items():
        if text != harmless[path]:
            one, two = tokens(text), tokens(harmless[path])
            assert len(one) == len(two), path
            differing = {b for a, b in zip(one, two, strict=True) if a != b}
            assert all(HARMLESS in each for each in differing), path


def tokens(text: str) -> list[str]:
    """Words as a POSIX shell reads them. Comments hold no words of a person but in the header."""
    return shlex.split(text, comments=True)


@pytest.mark.parametrize("kind", ["quotes", "lines", "commands", "variables"])
def test_scripts_run_nothing_of_a_text(kind, tmp_path):
    """By a real shell in which every other command is a stand-in; shellcheck has nothing to say."""
    stand_ins(tmp_path / "bin")
    for form in FORMS:
        for path, text in scripts(hostile.attacked(form, kind)).items():
            if MARK not in text:
                continue
            file = tmp_path / "script.sh"
            file.write_text(text)
            run(["bash", "-n", file], tmp_path, path)
            if linter := shutil.which("shellcheck"):
                run([linter, "-S", "warning", file], tmp_path, path)
            env = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin", "CANARY": str(tmp_path / "caught")}
            subprocess.run(["bash", file, "sha256:" + "0" * 64], cwd=tmp_path, env=env,
                           capture_output=True, timeout=60, check=False)  # fmt: skip
            assert not (tmp_path / "caught").exists(), path


def run(command, directory, path):
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{path}: {done.stdout}{done.stderr}"


def stand_ins(directory):
    directory.mkdir()
    (directory / "canary").write_text('#!/bin/sh\n: >"$CANARY"\n')
    for name in ("aws", "cosign", "curl", "jq", "kubectl", "syft", "trivy", "vault"):
        (directory / name).write_text("#!/bin/sh\nexit 0\n")
    for each in directory.iterdir():
        each.chmod(0o755)


def test_a_service_is_attacked_in_most_of_its_texts():
    """What refuses every text is of a form that holds none: names, times, digests, addresses."""
    found: Service = hostile.service("mesh")
    taken = {path for kind in HOSTILE for path in hostile.attack("mesh", kind)}
    assert len(taken) > 0.4 * len(list(hostile.texts(found)))
