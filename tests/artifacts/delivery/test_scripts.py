"""The scripts of workflows, run by a real shell on real repositories; only GitHub is a stand-in."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from delivered import artifact, spec

from holdfast.spec.load import load
from holdfast.spec.model import Service

DIGEST = "sha256:" + "ab" * 32
#: Writes down what it was asked, as gh would do it on GitHub.
GH = '#!/bin/sh\nprintf "%s\\n" "$*" >>"$ASKED"\n'


def script(service: Service, workflow: str, job: str, step: str) -> str:
    body = artifact(service, f"github/workflows/{workflow}.yaml").body
    (found,) = [each for each in body["jobs"][job]["steps"] if each["name"] == step]
    return found["run"]


class Runner:
    """A runner of workflows: a directory, a path with stand-ins, an environment."""

    def __init__(self, root: Path) -> None:
        self.root, self.repository = root, root / "repository"
        for name in ("bin", "temp", "repository", "home"):
            (root / name).mkdir()
        self.stand_in("gh", GH)
        self.env = {
            "PATH": f"{root / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(root / "home"), "RUNNER_TEMP": str(root / "temp"),
            "GITHUB_OUTPUT": str(root / "output"), "GITHUB_STEP_SUMMARY": str(root / "summary"),
            "ASKED": str(root / "asked"), "GIT_CONFIG_NOSYSTEM": "1", "SERVICE": "shop",
            "SET": "out", "BRANCH": "main", "REPOSITORY": "registry.test/shop", "LC_ALL": "C.UTF-8",
        }  # fmt: skip

    def stand_in(self, name: str, text: str) -> None:
        path = self.root / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

    def run(self, text: str, ok: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-euo", "pipefail", "-c", text],
            cwd=self.repository, env={**self.env, **env}, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
        assert (done.returncode == 0) == ok, done.stdout + done.stderr
        return done

    def git(self, *words: str) -> str:
        return self.run("git " + " ".join(f"'{word}'" for word in words)).stdout.strip()

    def commit(self, message: str, **files: str) -> None:
        for name, text in files.items():
            (self.repository / name.replace("_", ".")).write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    @property
    def asked(self) -> list[str]:
        return (self.root / "asked").read_text().splitlines()


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    """A repository with a bare one as its origin."""
    found = Runner(tmp_path)
    found.run('git init --quiet --bare --initial-branch main "$HOME/../origin"')
    found.git("init", "--quiet", "--initial-branch", "main")
    found.git("config", "user.name", "a")
    found.git("config", "user.email", "a@test.invalid")
    found.git("remote", "add", "origin", str(tmp_path / "origin"))
    return found


@pytest.mark.live
@pytest.mark.req("T65")
def test_a_rollback_takes_back_the_last_promotion_and_nothing_else(runner):
    runner.commit("promote: shop 1.0.0", holdfast_yaml="image: a\n", other_txt="1\n")
    runner.commit("promote: shop 1.1.0", holdfast_yaml="image: b\n")
    bad = runner.git("rev-parse", "HEAD")
    runner.commit("fix: something else", other_txt="2\n")
    text = script(spec(), "rollback", "repository", "Revert and propose")
    reason = "errors; $(touch owned) `touch owned`"
    runner.run(text, REASON=reason, SUBJECT="promote:")
    assert (runner.repository / "holdfast.yaml").read_text() == "image: a\n"
    assert (runner.repository / "other.txt").read_text() == "2\n"
    assert not (runner.repository / "owned").exists()
    head = f"rollback/{bad[:12]}"
    assert runner.git("rev-parse", f"origin/{head}") == runner.git("rev-parse", "HEAD")
    assert any(f"--head {head}" in each and "--base main" in each for each in runner.asked)
    assert reason in (runner.root / "temp" / "body.md").read_text()


@pytest.mark.live
@pytest.mark.req("T65")
def test_a_rollback_without_a_promotion_says_so_and_proposes_nothing(runner):
    runner.commit("feat: begin", holdfast_yaml="image: a\n")
    text = script(spec(), "rollback", "repository", "Revert and propose")
    done = runner.run(text, ok=False, REASON="x", SUBJECT="promote:")
    assert "no promotion to take back" in done.stderr
    assert runner.asked == ["auth setup-git"]


@pytest.mark.req("T65")
def test_a_rollback_holds_argo_cd_before_it_moves_instances(runner):
    runner.stand_in("kubectl", GH)
    text = script(spec(), "rollback", "instances", "Hold Argo CD and go back")
    runner.run(text, REGION="eu", NAMESPACE="shop", WORKLOAD="deployment", LONGEST="2m",
               CLUSTERS="secret", HOLD="argocd.argoproj.io/skip-reconcile")  # fmt: skip
    hold, undo, status = runner.asked
    assert "skip-reconcile=true" in hold and "shop-eu" in hold and "--context argocd" in hold
    assert undo.endswith("rollout undo deployment/shop") and "--context eu" in undo
    assert "rollout status" in status and status.endswith("--timeout 2m")


@pytest.mark.live
@pytest.mark.req("T62", "T70", "P9")
def test_a_promotion_writes_the_digest_renders_the_set_and_proposes_both(runner):
    if "mikefarah" not in ((shutil.which("yq") and runner.run("yq --version").stdout) or ""):
        pytest.skip("yq of mikefarah is not installed")
    # What `holdfast check` says of the set is tested elsewhere; here only that it is asked.
    real = Path(sys.executable).parent / "holdfast"
    runner.stand_in("holdfast", f'{GH}[ "$1" = check ] || exec {real} "$@"\n')
    said = "# kept\nservice: shop\nrun: python shop.py\nimage: registry.test/shop\n"
    (runner.repository / "holdfast.yaml").write_text(said)
    runner.run("holdfast render")
    runner.commit("feat: begin")
    env = {"DIGEST": DIGEST, "VERSION": "1.2.3"}
    runner.run(script(spec(), "promote", "promote", "Read what was asked"), **env)
    runner.run(script(spec(), "promote", "promote", "Write and render"), **env)
    runner.run(script(spec(), "promote", "promote", "Propose"), GH_TOKEN="x", **env)
    found = load(runner.repository / "holdfast.yaml")
    assert (found.image.digest, found.version) == (DIGEST, "1.2.3")
    assert "# kept" in (runner.repository / "holdfast.yaml").read_text()
    base = yaml.safe_load((runner.repository / "out/kubernetes/base/deployment.yaml").read_text())
    image = base["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == f"registry.test/shop@{DIGEST}"
    assert runner.git("log", "-1", "--format=%s", "origin/promote/1.2.3") == "promote: shop 1.2.3"
    body = (runner.root / "temp" / "body.md").read_text()
    assert f"+        image: registry.test/shop@{DIGEST}\n" in body and body.endswith("\n~~~\n")
    assert "check out" in runner.asked


@pytest.mark.req("T70")
@pytest.mark.parametrize(
    ("digest", "version"),
    [("latest", "1.2.3"), (DIGEST + "0", "1.2.3"), (DIGEST, "next"), (DIGEST, "1.2.3; touch x")],
)
def test_only_a_digest_and_a_semantic_version_are_promoted(runner, digest, version):
    text = script(spec(), "promote", "promote", "Read what was asked")
    runner.run(text, ok=False, DIGEST=digest, VERSION=version)


@pytest.mark.req("T81")
@pytest.mark.parametrize(
    ("tag", "version"),
    [("v1.2.3", "1.2.3"), ("v1.2.3-rc.1", "1.2.3-rc.1"), ("v1.2.3+b5", "1.2.3_b5"), ("v1", None)],
)
def test_the_tag_of_an_image_is_the_semantic_version(runner, tag, version):
    text = script(spec(), "image", "version", "Read the tag")
    runner.run(text, ok=version is not None, GITHUB_REF_NAME=tag)
    if version:
        assert (runner.root / "output").read_text() == f"version={version}\n"


@pytest.mark.live
@pytest.mark.req("T81", "T82", "T83")
def test_the_next_version_and_its_notes_come_from_the_commits(runner):
    if shutil.which("git-cliff", path=runner.env["PATH"]) is None:
        pytest.skip("git-cliff is not installed")
    runner.stand_in("pipx", '#!/bin/sh\nshift 4\nexec "$@"\n')
    (runner.repository / ".github").mkdir()
    cliff = artifact(spec(), "github/cliff.toml").body
    (runner.repository / ".github" / "cliff.toml").write_text(cliff)
    runner.commit("feat: begin", a_txt="1")
    runner.git("tag", "v1.4.1")
    runner.commit("fix: a wrong price", a_txt="2")
    runner.commit("promote: shop 1.4.1", a_txt="3")
    runner.commit("feat(api)!: orders by name", a_txt="4")
    text = script(spec(), "release", "release", "Write the notes")
    runner.run(text, GIT_CLIFF="x")
    assert (runner.root / "output").read_text() == "version=v2.0.0\n"
    notes = (runner.repository / "notes.md").read_text()
    assert re.search(r"### Mended\n\n- a wrong price \([0-9a-f]{12}\)\n", notes), notes
    assert re.search(r"### New\n\n- \*\*breaking\*\* orders by name \([0-9a-f]{12}\)\n", notes)
    assert "promote" not in notes and "begin" not in notes
    changelog = (runner.repository / "CHANGELOG.md").read_text()
    assert (
        changelog.startswith("# Changelog") and "## 1.4.1" in changelog and "## 2.0.0" in changelog
    )


def python(runner: Runner, name: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    path = runner.root / f"{name}.py"
    path.write_text(artifact(spec(), f"github/scripts/{name}.py").body)
    argv = [sys.executable, path, *words]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


SAYS = {
    "go": "BenchmarkMatch-8   \t 1000\t {ns} ns/op\t 0 B/op\n",
    "libtest": "test match ... bench:       {ns} ns/iter (+/- 3)\n",
    "criterion": "match                   time:   [1.0 ns {ns} ns 9.0 ns]\n",
    "own": '{{"name": "match", "unit": "ns", "value": {ns}}}\n',
    "pytest": None,
}


def measured(folder: Path, rounds: list[int], form: str) -> Path:
    for number, ns in enumerate(rounds):
        place = folder / str(number)
        place.mkdir(parents=True)
        if text := SAYS[form]:
            (place / "output.txt").write_text("warming up\n" + text.format(ns=ns))
        else:
            stats = {"benchmarks": [{"fullname": "match", "stats": {"median": ns * 1e-9}}]}
            (place / "benchmark.json").write_text(json.dumps(stats))
    return folder


@pytest.mark.req("T69")
@pytest.mark.parametrize("form", SAYS)
@pytest.mark.parametrize(
    ("head", "passes"),
    [([100, 104, 500], True), ([90, 80, 85], True), ([112, 111, 100], False)],
)
def test_a_change_that_is_slower_than_tolerated_is_refused_by_its_median(
    runner, form, head, passes
):
    before = measured(runner.root / "base", [100, 99, 101], form)
    after = measured(runner.root / "head", head, form)
    done = python(runner, "regression", "10", before, after)
    assert (done.returncode == 0) == passes, done.stdout + done.stderr
    assert ("slower by more than 10 %" in done.stderr) != passes


@pytest.mark.req("T69")
def test_silent_benchmarks_are_refused_and_new_ones_are_not(runner):
    base = measured(runner.root / "base", [100], "go")
    (runner.root / "head" / "0").mkdir(parents=True)
    done = python(runner, "regression", "10", base, runner.root / "head")
    assert done.returncode and "no benchmark said a number" in done.stderr
    new = measured(runner.root / "new", [100], "libtest")
    assert python(runner, "regression", "10", base, new).returncode == 0


def scanned(folder: Path, *known: tuple[str, str]) -> Path:
    folder.mkdir()
    found = [{"VulnerabilityID": i, "PkgName": p, "Severity": "HIGH"} for i, p in known]
    report = {"Results": [{"Target": "a"}, {"Target": "b", "Vulnerabilities": found}]}
    (folder / "1.2.3.json").write_text(json.dumps(report))
    return folder


@pytest.mark.live
@pytest.mark.req("T23")
def test_two_scans_differ_by_what_became_known_and_what_is_gone(runner):
    old = scanned(runner.root / "old", ("CVE-1", "zlib"), ("CVE-2", "openssl"))
    new = scanned(runner.root / "new", ("CVE-2", "openssl"), ("CVE-3", "zlib"))
    done = python(runner, "scan_diff", old, new)
    assert done.returncode == 1
    assert done.stdout.startswith("2 known, 1 of them new, 1 gone")
    assert "| 1.2.3 | CVE-3 | zlib | HIGH |" in done.stdout.partition("Gone")[0]
    assert "CVE-1" in done.stdout.partition("Gone")[2]
    assert python(runner, "scan_diff", new, new).returncode == 0
    assert python(runner, "scan_diff", runner.root / "none", new).returncode == 1
