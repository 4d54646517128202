"""Scanning for known vulnerabilities: Trivy's settings, and the findings a person accepted.

A waiver of the rule ``trivy/CVE-...`` is accepted until its day; then the finding counts again.
"""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.artifacts.artifact import Artifact, Object
from holdfast.spec.model import Service

PATH = "containers/trivy.yaml"
IGNORED = "containers/.trivyignore.yaml"
RULE = "trivy/"
_SEVERITIES = ("low", "medium", "high", "critical")


def render(service: Service) -> Iterable[Artifact]:
    about = "How the image is scanned, and how bad a finding may be before the build fails."
    keys = ("image.severity", "delivery.path")
    yield Artifact(PATH, _settings(service), about, keys=keys, rows=("T9", "T23"))
    about = "Findings that a person accepted, with the reason and the day it ends."
    yield Artifact(IGNORED, _ignored(service), about, keys=("waivers",), rows=("T9",))


def gate(severity: str) -> list[str]:
    """The severities that fail, as Trivy writes them."""
    return [each.upper() for each in _SEVERITIES[_SEVERITIES.index(severity) :]]


def _settings(service: Service) -> Object:
    return {
        "exit-code": 1,
        "severity": gate(service.image.severity),
        "ignorefile": f"{service.delivery.path}/{IGNORED}",
        "list-all-pkgs": True,
        "scan": {"scanners": ["vuln", "secret"]},
        "image": {"image-config-scanners": ["misconfig", "secret"]},
        "pkg": {"types": ["os", "library"]},
        "vulnerability": {"ignore-unfixed": False},
    }


def _ignored(service: Service) -> Object:
    """Trivy itself stops ignoring after ``expired_at``."""
    return {
        "vulnerabilities": [
            {
                "id": waiver.rule.removeprefix(RULE),
                "statement": waiver.reason,
                "expired_at": waiver.expires,
            }
            for waiver in service.waivers
            if waiver.rule.startswith(RULE)
        ]
    }
