"""Bake, Compose, Harbor, Trivy and the scripts: accepted upstream, and what each row asks."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess

import jsonschema_rs
import pytest
import upstream
from container_files import body, of_language, rendered

from holdfast.artifacts import names
from holdfast.artifacts.containers.dockerfile import TARGETS
from holdfast.spec.load import load_text
from holdfast.spec.problem import Invalid

BODIES = {
    "project": "ProjectReq", "robot-push": "RobotCreate", "robot-pull": "RobotCreate",
    "retention": "RetentionPolicy", "immutable": "ImmutableRule", "scan-schedule": "Schedule",
    "registries": "Registry", "replications": "ReplicationPolicy",
}  # fmt: skip


def spec(text: str):
    return load_text(f"service: shop\nrun: python shop.py\n{text}")


@pytest.mark.req("T4", "T9", "T16", "T17", "T18", "T19", "T20", "T30")
def test_upstream_accepts_bake_compose_trivy_and_structure_tests(service):
    found = rendered(service)
    for name in ("docker-bake.json", "compose.yaml", "trivy.yaml", "structure-test.yaml"):
        upstream.assert_accepted(found, f"containers/{name}")


@pytest.mark.req("T16", "T17", "T18", "T19", "T20")
def test_every_platform_is_a_target_with_the_flags_of_its_processors(reference):
    bake = body(reference, "docker-bake.json")
    assert bake["group"]["matrix"]["targets"] == ["runtime-amd64", "runtime-arm64"]
    assert bake["target"]["runtime"]["platforms"] == ["linux/amd64", "linux/arm64"]
    for arch, cpu in (("amd64", "x86-64-v3"), ("arm64", "neoverse-n1")):
        assert bake["target"][f"runtime-{arch}"]["inherits"] == ["runtime", arch]
        assert bake["target"][arch]["args"] == {"CPU": cpu}
        assert bake["target"][arch]["platforms"] == [f"linux/{arch}"]
    assert set(TARGETS) <= set(bake["target"])


@pytest.mark.req("T4", "T10", "T20")
def test_images_are_pushed_with_zstd_provenance_and_sbom(reference):
    runtime = body(reference, "docker-bake.json")["target"]["runtime"]
    (output,) = runtime["output"]
    assert "compression=zstd" in output and "force-compression=true" in output
    assert runtime["attest"] == ["type=provenance", "type=sbom"]


@pytest.mark.req("T7", "T12", "T30")
def test_local_work_is_as_locked_down_as_production_and_reloads(service):
    found = body(service, "compose.yaml")["services"]
    only = found[service.service]
    for each in found.values():
        assert each["read_only"] and each["cap_drop"] == ["ALL"]
        assert each["user"] == f"{service.image.user}:{service.image.user}"
        assert each["tmpfs"] == ["/tmp:size=67108864"]
    assert all(port.startswith("127.0.0.1:") for port in only["ports"])
    assert only["develop"]["watch"]
    tuned = {"GOMEMLIMIT", "MALLOC_ARENA_MAX"} & set(only["environment"])
    assert tuned, "no allocator is told its limit"


@pytest.mark.req("T30")
def test_an_interpreted_program_is_synced_and_a_compiled_one_rebuilt():
    for language, action in (("python", "sync+restart"), ("go", "rebuild")):
        watch = body(of_language(language), "compose.yaml")["services"]["shop"]["develop"]["watch"]
        assert watch[-1]["action"] == action


def test_compose_and_bake_leave_dollars_as_they_were_written():
    service = load_text(
        "service: shop\nrun: {command: python x.py, env: {A: 'a$B${C}'}, secrets: {T: env:U}}\n"
        "delivery: {path: 'o${X}'}\n"
    )
    only = body(service, "compose.yaml")["services"]["shop"]
    assert only["environment"]["A"] == "a$$B$${C}"
    assert only["environment"]["T"].startswith("${U:?")
    image = body(service, "docker-bake.json")["target"]["image"]
    assert image["dockerfile"] == "o$${X}/containers/Dockerfile"


def harbor(service):
    """Name without ``.json`` -> body."""
    return {
        file.path.rpartition("/")[2].removesuffix(".json"): file.artifact.body
        for file in rendered(service)
        if "/harbor/" in file.path and file.path.endswith(".json")
    }


@pytest.mark.req("T21", "T23", "T24", "T25")
def test_harbor_accepts_every_body(service):
    definitions = upstream.files().read("other/harbor-api-2.15.json")["$defs"]
    for name, kind in BODIES.items():
        found = harbor(service)[name]
        for checked in copy.deepcopy(found if isinstance(found, list) else [found]):
            for rule in checked.get("rules", ()):
                # Harbor's description says "object" where its program takes any value.
                assert all(isinstance(count, int) for count in rule.pop("params").values())
            schema = {"$ref": f"#/$defs/{kind}", "$defs": definitions}
            errors = list(jsonschema_rs.Draft202012Validator(schema).iter_errors(checked))
            assert not errors, f"{name}: {errors}"


@pytest.mark.req("T21")
def test_robots_may_do_what_they_are_for_and_nothing_else(reference):
    bodies = harbor(reference)
    assert bodies["project"]["project_name"] == "trading"
    for name in ("robot-push", "robot-pull"):
        (permission,) = bodies[name]["permissions"]
        assert permission["namespace"] == "trading" and bodies[name]["duration"] == 90
        actions = {each["action"] for each in permission["access"]}
        assert "*" not in actions and "delete" not in actions
        assert ("push" in actions) == (name == "robot-push")


@pytest.mark.req("T9", "T22", "T23")
def test_the_project_scans_refuses_bad_images_and_unsigned_ones():
    bodies = harbor(spec("image: {severity: critical}\n"))
    told = bodies["project"]["metadata"]
    assert (told["auto_scan"], told["prevent_vul"]) == ("true", "true")
    assert (told["severity"], told["enable_content_trust_cosign"]) == ("critical", "true")
    assert len(bodies["scan-schedule"]["schedule"]["cron"].split()) == 6


@pytest.mark.req("T24")
def test_retention_keeps_the_newest_and_the_young():
    rules = harbor(spec("image: {keep: 7, keep_for: 10d}\n"))["retention"]["rules"]
    assert [rule["params"] for rule in rules] == [{"latestPushedK": 7}, {"nDaysSinceLastPush": 10}]
    assert all(rule["action"] == "retain" for rule in rules)


@pytest.mark.req("T25")
def test_every_other_region_gets_a_copy_of_every_version():
    bodies = harbor(spec("image: {mirrors: {eu-west: registry.eu.example.com}}\n"))
    assert [(each["name"], each["url"]) for each in bodies["registries"]] == [
        ("eu-west", "https://registry.eu.example.com"),
        ("asia-pacific", "https://asia-pacific.registry.example.com"),
    ]
    assert len(bodies["replications"]) == 2
    assert all(each["trigger"] == {"type": "event_based"} for each in bodies["replications"])


@pytest.mark.req("T9")
def test_the_gate_is_the_severity_of_the_spec_and_waivers_expire():
    service = spec(
        "image: {severity: medium}\n"
        "waivers: [{rule: trivy/CVE-2026-1, reason: unreachable, expires: 2027-01-31}]\n"
    )
    trivy = body(service, "trivy.yaml")
    assert trivy["severity"] == ["MEDIUM", "HIGH", "CRITICAL"] and trivy["exit-code"] == 1
    (ignored,) = body(service, ".trivyignore.yaml")["vulnerabilities"]
    assert ignored == {
        "id": "CVE-2026-1", "statement": "unreachable", "expired_at": "2027-01-31",
    }  # fmt: skip


def scripts(service):
    return [file for file in rendered(service) if file.path.endswith(".sh")]


def shellcheck(file, path, severity):
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    path.write_bytes(file.data)
    command = ["shellcheck", f"--severity={severity}", path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.req("T9", "T10", "T21", "T22")
def test_shellcheck_has_nothing_to_say(service, tmp_path):
    for file in scripts(service):
        assert shellcheck(file, tmp_path / "script.sh", "style") == "", file.path


def test_hostile_words_are_one_word_of_a_script(tmp_path):
    hostile = "https://x/'\"$(touch x)`y`\n" + "z" * 300
    told = json.dumps({"repository": hostile, "path": "a'b$(c)"})
    for file in scripts(spec(f"delivery: {told}\n")):
        assert shellcheck(file, tmp_path / "script.sh", "warning") == "", file.path
        if "config=" in file.artifact.body:
            script = file.artifact.body.partition('image="${1')[0] + 'printf %s "$config"\n'
            done = subprocess.run(
                ["bash", "-c", script], capture_output=True, text=True, check=True
            )
            assert done.stdout == "a'b$(c)/containers/trivy.yaml"


@pytest.mark.req("T10", "T22")
def test_signing_is_about_digests_and_refuses_an_old_cosign(reference):
    sign, verify = body(reference, "/sign.sh"), body(reference, "/verify.sh")
    for script in (sign, verify):
        assert "least=3.0.4" in script and "sha256:[0-9a-f]{64}" in script
    assert "cosign attest" in sign and "spdxjson" in sign and "cyclonedx" in sign
    assert "--certificate-identity-regexp" in verify and "verify-attestation" in verify


PEM = "-----BEGIN PUBLIC KEY-----\nMFkwEwYH\n-----END PUBLIC KEY-----"
FAKE = """#!/bin/sh
if [ "$1" = version ]; then echo '{"gitVersion": "v3.1.2"}'; exit; fi
echo "$@" >>"$SEEN"
while [ "$#" -gt 0 ]; do
  if [ "$1" = --key ] && [ -f "$2" ]; then echo "file: $(cat "$2")" >>"$SEEN"; fi
  shift
done
"""


def asked_of_cosign(script, folder):
    """Each call that a script makes, on one line."""
    (folder / "cosign").write_text(FAKE, "utf-8")
    (folder / "cosign").chmod(0o755)
    (folder / "script.sh").write_text(script, "utf-8")
    path = f"{folder}:{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "SEEN": str(folder / "seen"), "TMPDIR": str(folder)}
    command = ["bash", str(folder / "script.sh"), "sha256:" + "0" * 64]
    subprocess.run(command, env=env, check=True, capture_output=True, cwd=folder)
    return (folder / "seen").read_text("utf-8")


@pytest.mark.req("T10", "T22")
@pytest.mark.parametrize(
    ("signer", "signed", "verified"),
    [
        ("", "sign --yes --recursive r", "--certificate-identity-regexp ^https://github"),
        ("awskms:///alias/x", "--key awskms:///alias/x r", "--key awskms:///alias/x"),
        (PEM, "--key env://COSIGN_PRIVATE_KEY r", f"file: {PEM}"),
    ],
)
def test_who_signs_is_who_is_asked_for_at_the_verification(signer, signed, verified, tmp_path):
    if not shutil.which("jq"):
        pytest.skip("the scripts need jq")
    service = spec(f"image: {{repository: r.example.com/shop, signer: {json.dumps(signer)}}}")
    assert signed in asked_of_cosign(body(service, "/sign.sh"), tmp_path)
    (tmp_path / "seen").unlink()
    seen = asked_of_cosign(body(service, "/verify.sh"), tmp_path)
    assert verified in seen and ("--certificate-identity" in seen) is not bool(signer)
    assert not list(tmp_path.glob("tmp.*")), "the key's file stays behind"


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        ("repository", "'registry.example.com/Shop'"),
        ("repository", '"r.example.com/a\\nRUN x"'),
        ("digest", "sha256:123"),
        ("base", '"alpine\\nRUN touch x"'),
        ("mirrors", "{mars: registry.example.com}"),
        ("mirrors", "{eu-west: 'https://x y'}"),
        ("platforms", "[]"),
    ],
)
def test_names_that_a_registry_would_refuse_are_refused_in_the_spec(key, wrong):
    with pytest.raises(Invalid) as refused:
        spec(f"image: {{{key}: {wrong}}}\n")
    assert f"image.{key}" in str(refused.value)


@pytest.mark.req("T5")
@pytest.mark.parametrize(
    ("command", "more", "bytes_"),
    [
        ("./shop", "", 50_000_000),
        ("cargo run", "", 50_000_000),
        ("python shop.py", "", 120_000_000),
        ("node shop.js", "", 200_000_000),
        ("node shop.js", "image: {budget: 150MB}", 150_000_000),
    ],
)
def test_the_budget_is_one_that_the_languages_interpreter_leaves_room_in(command, more, bytes_):
    assert names.budget(load_text(f"service: shop\nrun: {command}\n{more}")) == bytes_
