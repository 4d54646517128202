"""Known vulnerabilities in an image: Trivy is asked, its report is read.

Source: aquasecurity/trivy, JSON report of schema version 2. Not having looked is never a pass:
without a scanner or without its database there is no report, and ``NotScanned`` says why.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Worst first.
SEVERITIES = ("critical", "high", "medium", "low", "unknown")
_TIMEOUT_S = 600.0
_SCHEMA = 2


class NotScanned(Exception):
    """Nobody looked; the text says why."""


@dataclass(frozen=True, slots=True)
class Vulnerability:
    """``fixed`` is the version without it; empty where there is none yet."""

    name: str  # such as CVE-2026-1234
    package: str
    installed: str
    fixed: str
    severity: str
    title: str
    place: str  # what was looked at: the distribution, a lock file

    @property
    def key(self) -> tuple[str, str]:
        """What makes it the same finding in another scan of another build."""
        return self.name, self.package


def scanner() -> str:
    """The scanner's program. Raises ``NotScanned``."""
    found = shutil.which("trivy")
    if found is None:
        raise NotScanned("no scanner: trivy is not installed")
    return found


def scan(layout: Path, program: str) -> list[Vulnerability]:
    """Every known vulnerability in an image on disk. Raises ``NotScanned``."""
    call = [
        program, "image", "--input", str(layout), "--format", "json", "--quiet",
        "--scanners", "vuln", "--exit-code", "0",
    ]  # fmt: skip
    try:
        done = subprocess.run(call, capture_output=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise NotScanned(f"trivy did not end within {_TIMEOUT_S:.0f} s") from None
    except OSError as error:
        raise NotScanned(f"trivy cannot be started: {error.strerror}") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise NotScanned(f"trivy failed: {lines[-1] if lines else done.returncode}")
    return read(done.stdout)


def read(report: bytes) -> list[Vulnerability]:
    """A report of Trivy, worst first. Raises ``NotScanned`` where it is none."""
    try:
        body = json.loads(report)
        if body["SchemaVersion"] != _SCHEMA:
            raise NotScanned(f"trivy's report has version {body['SchemaVersion']}, not {_SCHEMA}")
        found = list(_found(body.get("Results") or ()))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise NotScanned("trivy's report cannot be read") from None
    return sorted(found, key=lambda each: (SEVERITIES.index(each.severity), each.key))


def _found(results: Sequence[Any]) -> Iterator[Vulnerability]:
    for result in results:
        for each in result.get("Vulnerabilities") or ():
            severity = str(each.get("Severity", "")).lower()
            yield Vulnerability(
                str(each["VulnerabilityID"]),
                str(each["PkgName"]),
                str(each.get("InstalledVersion", "")),
                str(each.get("FixedVersion", "")),
                severity if severity in SEVERITIES else "unknown",
                str(each.get("Title", "")),
                str(result.get("Target", "")),
            )


def bad_enough(severity: str, gate: str) -> bool:
    """Whether a severity fails at a gate; one that nobody rated does."""
    return severity == "unknown" or SEVERITIES.index(severity) <= SEVERITIES.index(gate)


def news(
    now: Sequence[Vulnerability], before: Sequence[Vulnerability]
) -> tuple[list[Vulnerability], list[Vulnerability]]:
    """What came and what went since an earlier scan."""
    old, new = {each.key for each in before}, {each.key for each in now}
    return [v for v in now if v.key not in old], [v for v in before if v.key not in new]
