"""``holdfast scan``: the report is read, the gate holds, not having looked is never a pass.

Trivy itself is not part of the tests; where it is asked, a stand-in on PATH speaks for it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.supply.images.scan import SEVERITIES, NotScanned, bad_enough, read


def vulnerability(name: str, severity: str, package: str = "libssl3t64") -> dict:
    return {
        "VulnerabilityID": name, "PkgName": package, "InstalledVersion": "3.5.1",
        "FixedVersion": "3.5.2", "Severity": severity, "Title": "a hole",
    }  # fmt: skip


def report(*found: dict) -> str:
    results = [
        {"Target": "image (debian 13.1)", "Class": "os-pkgs", "Vulnerabilities": list(found)}
    ]
    return json.dumps({"SchemaVersion": 2, "ArtifactName": "x", "Results": results})


class Desk:
    """A directory with a spec, and the command in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = str(directory / "bin")
        self.spec("")

    def spec(self, more: str) -> None:
        text = f"service: shop\nversion: v1\nrun: python shop.py\n{more}"
        (self.directory / "holdfast.yaml").write_text(text)

    def trivy(self, script: str) -> None:
        program = Path(self.path) / "trivy"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "holdfast.cli", "scan", *words], cwd=self.directory,
            env={**os.environ, "PATH": self.path}, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def of(self, *found: dict) -> subprocess.CompletedProcess[str]:
        (self.directory / "report.json").write_text(report(*found))
        return self.run("--report", "report.json")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.mark.req("T9")
def test_the_gate_is_the_severity_of_the_spec(desk):
    medium, high = vulnerability("CVE-2026-2", "MEDIUM"), vulnerability("CVE-2026-1", "HIGH")
    assert desk.of(medium).returncode == 0
    failed = desk.of(medium, high)
    assert failed.returncode == 1
    assert "trivy/CVE-2026-1" in failed.stdout and "3.5.2" in failed.stdout
    desk.spec("image: {severity: critical}\n")
    assert desk.of(high).returncode == 0
    desk.spec("image: {severity: medium}\n")
    assert desk.of(medium).returncode == 1


@pytest.mark.req("T9")
def test_a_waiver_accepts_a_finding_until_its_day(desk):
    high = vulnerability("CVE-2026-1", "HIGH")
    waiver = "waivers: [{{rule: trivy/CVE-2026-1, reason: unreachable, expires: {}}}]\n"
    desk.spec(waiver.format("2999-01-31"))
    accepted = desk.of(high)
    assert accepted.returncode == 0 and "unreachable" in accepted.stdout
    desk.spec(waiver.format("2001-01-31"))
    assert desk.of(high).returncode == 1


@pytest.mark.req("T9")
def test_not_having_looked_is_never_a_pass(desk):
    nobody = desk.run()
    assert nobody.returncode == 5 and "not scanned: no scanner" in nobody.stderr
    desk.trivy("echo 'FATAL failed to download vulnerability DB' >&2; exit 1")
    without = desk.run("--json")
    assert without.returncode == 5
    assert json.loads(without.stdout)["error"]["code"] == "not-scanned"
    assert "failed to download vulnerability DB" in without.stdout


@pytest.mark.req("T9")
def test_the_scanner_is_asked_about_the_image_that_was_built(desk):
    desk.trivy("test \"$1 $2 $3\" = 'image --input build/image' || exit 7\ncat answer.json")
    Path(desk.path, "cat").symlink_to("/bin/cat")
    (desk.directory / "answer.json").write_text(report(vulnerability("CVE-2026-9", "CRITICAL")))
    done = desk.run("--json")
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["failing"] == ["trivy/CVE-2026-9"]


@pytest.mark.req("T23")
def test_two_scans_say_what_came_and_what_went(desk):
    old, new = vulnerability("CVE-2026-1", "LOW"), vulnerability("CVE-2026-2", "LOW")
    (desk.directory / "before.json").write_text(report(old))
    (desk.directory / "now.json").write_text(report(new))
    done = desk.run("--report", "now.json", "--since", "before.json", "--json")
    told = json.loads(done.stdout)
    assert (told["came"], told["went"]) == (["CVE-2026-2"], ["CVE-2026-1"])


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"SchemaVersion": 3}', '{"SchemaVersion": 2, "Results": [3]}']
)
def test_what_is_no_report_is_no_pass(text):
    with pytest.raises(NotScanned):
        read(text.encode())


@given(st.sampled_from(SEVERITIES), st.sampled_from(SEVERITIES[:-1]))
def test_a_gate_lets_only_less_bad_ones_through_and_never_the_unrated(severity, gate):
    worse = SEVERITIES.index(severity) <= SEVERITIES.index(gate)
    assert bad_enough(severity, gate) == (worse or severity == "unknown")
