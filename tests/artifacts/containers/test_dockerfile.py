"""The Dockerfile of every language: accepted by hadolint, and what each row asks of it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from container_files import LANGUAGES, body, instructions, of_language, rendered, stage

from holdfast.artifacts.containers.dockerfile import TARGETS
from holdfast.spec.load import load_text

PINNED = re.compile(r"\S+@sha256:[0-9a-f]{64}")
COMPILED = ("rust", "go", "generic")
HOSTILE = "'\"$(touch x)`y`${Z}\\ {{ .V }}\u202e\u00e9 " + "x" * 300


def hadolint(text: str) -> str:
    program = shutil.which("hadolint") or shutil.which("hadolint", path=Path(sys.executable).parent)
    if program is None:
        pytest.skip("hadolint is not installed")
    done = subprocess.run(
        [program, "--no-color", "-"], input=text, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def dockerfile(language: str, more: str = "") -> str:
    return body(of_language(language, more), "/Dockerfile")


def written(service) -> str:
    (file,) = [each for each in rendered(service) if each.path.endswith("/Dockerfile")]
    return file.data.decode()


@pytest.mark.req("T1", "T2", "T4", "T26", "T27", "T28", "T29")
@pytest.mark.parametrize("linkage", ["static", "dynamic"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_hadolint_has_nothing_to_say(language, linkage):
    assert hadolint(written(of_language(language, f", linkage: {linkage}"))) == ""


def test_hadolint_accepts_the_four_services(service):
    assert hadolint(written(service)) == ""


@pytest.mark.req("T1")
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_image_it_names_is_pinned_by_digest(language):
    lines = written(of_language(language)).splitlines()
    named = ("ARG BASE=", "ARG BUILDER=", "ARG TOOLS=", "# syntax=")
    images = [line.partition("=")[2] for line in lines if line.startswith(named)]
    assert len(images) == 4
    assert all(PINNED.fullmatch(image) for image in images), images
    outside = [line for line in lines if line.startswith("FROM")]
    assert all("${" in line or (" AS " in line and ":" not in line) for line in outside)


@pytest.mark.req("T1")
@pytest.mark.parametrize(
    ("language", "linkage", "wanted"),
    [
        ("rust", "static", "static-debian13:nonroot"),
        ("rust", "dynamic", "cc-debian13:nonroot"),
        ("go", "static", "static-debian13:nonroot"),
        ("go", "dynamic", "cc-debian13:nonroot"),
        ("python", "static", "python3-debian13:nonroot"),
        ("node", "static", "nodejs24-debian13:nonroot"),
    ],
)
def test_the_base_is_distroless_by_language_and_linkage(language, linkage, wanted):
    text = dockerfile(language, f", linkage: {linkage}")
    (base,) = [line for line in instructions(text) if line.startswith("ARG BASE=")]
    assert wanted in base


@pytest.mark.req("T2", "T3")
def test_rust_cooks_its_dependencies_from_a_plan_before_it_sees_the_source():
    text = dockerfile("rust")
    assert "RUN cargo chef prepare --recipe-path recipe.json" in stage(text, "planner")
    cook = stage(text, "cook")
    copied = [line for line in cook if line.startswith("COPY")]
    assert copied == ["COPY --from=planner /src/recipe.json recipe.json"]
    assert any("cargo chef cook" in line for line in cook)
    assert stage(text, "build")[0] == "FROM cook AS build"


@pytest.mark.req("T2", "T3")
@pytest.mark.parametrize(
    ("language", "where", "manifests"),
    [
        ("python", "wheels", "COPY requirements.txt ."),
        ("node", "manifests", "COPY package.json package-lock.json ./"),
        ("go", "modules", "COPY go.mod go.sum ./"),
        ("generic", "dependencies", "COPY third_party third_party"),
    ],
)
def test_dependencies_are_a_layer_of_their_own_made_of_manifests_alone(language, where, manifests):
    copied = [line for line in stage(dockerfile(language), where) if line.startswith("COPY")]
    assert copied == [manifests]


@pytest.mark.req("T3")
@pytest.mark.parametrize("language", ["python", "node"])
def test_dependencies_of_an_interpreted_program_keep_their_layer_in_the_image(language):
    runtime = stage(dockerfile(language), "runtime")
    copied = [line for line in runtime if line.startswith("COPY")]
    assert "--from=dependencies" in copied[0] and "--from=build" in copied[1]


@pytest.mark.req("T4")
def test_compiled_programs_are_optimised_across_modules_and_stripped():
    rust = " ".join(stage(dockerfile("rust"), "cook"))
    assert "RELEASE_LTO=fat" in rust and "RELEASE_STRIP=symbols" in rust
    assert "-ldflags='-s -w" in " ".join(stage(dockerfile("go"), "build"))
    generic = " ".join(stage(dockerfile("generic"), "toolchain"))
    assert "-flto -s" in generic and "-O3" in generic


@pytest.mark.req("T16", "T17", "T18", "T19")
@pytest.mark.parametrize("language", COMPILED)
def test_the_builder_runs_natively_and_compiles_for_the_other_platform(language):
    text = dockerfile(language)
    first = next(line for line in instructions(text) if line.startswith("FROM"))
    assert first.startswith("FROM --platform=$BUILDPLATFORM")
    assert "TARGETARCH" in text and "amd64)" in text and "arm64)" in text
    cpus = {"rust": ("x86-64-v3", "neoverse-n1"), "go": ("v3", "v8.2")}
    for cpu in cpus.get(language, ("x86-64-v3", "armv8.2-a")):
        assert cpu in text


@pytest.mark.req("T6", "T7", "T26", "T27", "T28", "T29")
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_target_ends_as_the_same_user_without_a_shell_around_its_program(language):
    text = dockerfile(language)
    for target in TARGETS:
        lines = stage(text, target)
        assert [line for line in lines if line.startswith("USER")][-1] == "USER 65532:65532"
        (entry,) = [line for line in lines if line.startswith("ENTRYPOINT")]
        (words,) = json.loads(entry.removeprefix("ENTRYPOINT "))
        assert words not in ("sh", "bash", "/bin/sh")
    runtime = stage(text, "runtime")
    assert not [line for line in runtime if line.startswith("RUN")]
    assert [line for line in instructions(text) if line.startswith("FROM")][-1] == runtime[0]


@pytest.mark.req("T26", "T27")
def test_who_looks_at_it_finds_symbols_frame_pointers_and_tools():
    text = dockerfile("rust")
    assert "COPY --from=profiled /out /" in stage(text, "debug")
    assert "gdb" in " ".join(stage(text, "tools"))
    profiling = " ".join(stage(text, "profiling"))
    assert "linux-perf" in profiling and '"record"' in profiling
    assert "force-frame-pointers" in " ".join(stage(text, "profiled"))
    assert "STRIP" not in " ".join(stage(text, "profiled"))


@pytest.mark.req("T28", "T29")
@pytest.mark.parametrize("language", LANGUAGES)
def test_tests_and_benchmarks_have_the_source_and_its_fixtures(language):
    text = dockerfile(language)
    testing, benchmark = stage(text, "testing"), stage(text, "benchmark")
    assert any("FIXTURES=" in line for line in testing)
    ends = {"rust": "bench", "go": "-bench=.", "node": "bench", "generic": "bench"}
    assert ends.get(language, "--benchmark-only") in benchmark[-1]


def test_the_command_gets_its_port_without_a_shell(service):
    runtime = stage(body(service, "/Dockerfile"), "runtime")
    (command,) = [line for line in runtime if line.startswith("CMD")]
    assert "$PORT" not in command and f"EXPOSE {service.traffic.port}" in runtime


def test_hostile_words_stay_inside_their_instruction():
    text = f"service: shop\nversion: v1\nrun: {{command: [python, {json.dumps(HOSTILE)}]}}\n"
    text += "delivery: {repository: " + json.dumps("https://x\nRUN touch /owned " + HOSTILE) + "}\n"
    service = load_text(text)
    found = written(service)
    assert hadolint(found) == ""
    plain = written(of_language("python"))
    verbs = [line.split()[0] for line in instructions(found)]
    assert verbs == [line.split()[0] for line in instructions(plain)]
    (command,) = [line for line in stage(found, "runtime") if line.startswith("CMD")]
    assert json.loads(command.removeprefix("CMD "))[0].split() == HOSTILE.split()


@pytest.mark.req("T1", "T6")
def test_structure_tests_refuse_shells_and_want_the_user(service):
    found = body(service, "structure-test.yaml")
    absent = [each["path"] for each in found["fileExistenceTests"] if not each["shouldExist"]]
    assert {"/bin/sh", "/bin/bash", "/usr/bin/apt-get"} <= set(absent)
    assert found["metadataTest"]["user"] == f"{service.image.user}:{service.image.user}"
    assert yaml.safe_dump(found)


@pytest.mark.req("T3", "T8")
def test_history_secrets_and_the_rendered_set_are_not_sent_to_the_builder(service):
    ignored = body(service, ".dockerignore").splitlines()
    assert {".git", ".env", "*.pem", "secrets", service.delivery.path} <= set(ignored)


@pytest.mark.parametrize(("path", "line"), [(".deploy/out", ".deploy/out"), ("./out/", "out")])
def test_the_rendered_set_is_ignored_where_it_is(path, line):
    found = load_text(f"service: shop\nrun: ./shop\ndelivery: {{path: {path}}}\n")
    assert body(found, ".dockerignore").splitlines()[-1] == line
