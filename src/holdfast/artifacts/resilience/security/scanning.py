"""Trivy in the cluster: what it scans, and a compliance report whose controls name their checks.

Sources: aquasecurity/trivy-operator v0.32, Helm values and ClusterComplianceReport; identifiers
of checks are those of Trivy's misconfiguration database (avd.aquasec.com).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.resilience.objects import (
    PLATFORM,
    SECURITY,
    container_security,
    resources,
    shared,
)
from holdfast.spec.model import Service

_REPORT = "holdfast"
#: Control -> name, severity, the checks that prove it.
CONTROLS: Final = {
    "1.1": ("Programs do not run as root", "HIGH", ("AVD-KSV-0012", "AVD-KSV-0021")),
    "1.2": ("The root file system is read only", "HIGH", ("AVD-KSV-0014",)),
    "1.3": ("No way to more rights", "HIGH", ("AVD-KSV-0001", "AVD-KSV-0017")),
    "1.4": ("All capabilities are dropped", "MEDIUM", ("AVD-KSV-0003", "AVD-KSV-0106")),
    "1.5": ("The host is out of reach", "HIGH",
            ("AVD-KSV-0008", "AVD-KSV-0009", "AVD-KSV-0010", "AVD-KSV-0023")),
    "1.6": ("System calls are filtered", "MEDIUM", ("AVD-KSV-0030", "AVD-KSV-0104")),
    "2.1": ("Requests and limits are set", "MEDIUM",
            ("AVD-KSV-0011", "AVD-KSV-0015", "AVD-KSV-0016", "AVD-KSV-0018")),
    "2.2": ("Images are named by version", "MEDIUM", ("AVD-KSV-0013",)),
    "3.1": ("No wildcards in roles", "CRITICAL", ("AVD-KSV-0044", "AVD-KSV-0046")),
    "3.2": ("Secrets are read by few", "CRITICAL", ("AVD-KSV-0041", "AVD-KSV-0113")),
    "3.3": ("Tokens are mounted only where used", "MEDIUM", ("AVD-KSV-0036",)),
    "4.1": ("No secrets in configuration", "HIGH", ("AVD-KSV-0109", "AVD-KSV-01010")),
    "4.2": ("Traffic is limited by policies", "MEDIUM", ("AVD-KSV-0038",)),
}  # fmt: skip


def render(service: Service) -> Iterator[Artifact]:
    yield Artifact(
        f"{PLATFORM}/compliance.yaml", _compliance(),
        "The controls everything in the cluster is held against, every six hours.", (), ("T139",),
    )  # fmt: skip
    yield Artifact(
        f"{SECURITY}/helm/scanner.yaml", _values(service),
        "Values of the chart aqua/trivy-operator.", ("service", "kubernetes.namespace"),
        ("T139",),
    )  # fmt: skip


def _compliance() -> Object:
    spec = {
        "cron": "0 */6 * * *",
        "reportType": "all",
        "compliance": {
            "id": _REPORT,
            "title": "What every program of this platform keeps to",
            "description": "Pod Security Standard restricted, least rights, no secrets in files",
            "platform": "k8s",
            "type": _REPORT,
            "version": "1.0",
            "relatedResources": ["https://kubernetes.io/docs/concepts/security/"],
            "controls": [_control(each) for each in CONTROLS],
        },
    }
    return shared("aquasecurity.github.io/v1alpha1/ClusterComplianceReport", _REPORT, "", spec)


def _control(number: str) -> Object:
    name, severity, checks = CONTROLS[number]
    return {
        "id": number,
        "name": name,
        "description": name,
        "checks": [{"id": check} for check in checks],
        "severity": severity,
    }


def _values(service: Service) -> Object:
    """Scans of the service's namespace and the platform's; jobs are as restricted as all else."""
    watched = (names.namespace(service), "monitoring", "logging", "tracing", "argocd", "vault")
    return {
        "targetNamespaces": ",".join(watched),
        "excludeNamespaces": "kube-system",
        "operator": {
            "replicas": 1,
            "scanJobsConcurrentLimit": 3,
            "vulnerabilityScannerEnabled": True,
            "configAuditScannerEnabled": True,
            "rbacAssessmentScannerEnabled": True,
            "exposedSecretScannerEnabled": True,
            "sbomGenerationEnabled": True,
            "clusterComplianceEnabled": True,
            "metricsVulnIdEnabled": True,
        },
        "compliance": {"failEntriesLimit": 10, "specs": ["k8s-nsa-1.0", "k8s-pss-restricted-0.1"]},
        "trivy": {"severity": "HIGH,CRITICAL", "ignoreUnfixed": False, "timeout": "10m0s"},
        "trivyOperator": {"scanJobPodTemplateContainerSecurityContext": container_security()},
        "serviceMonitor": {"enabled": True, "namespace": "monitoring"},
        "resources": resources("100m", "256Mi", "1Gi"),
        "podSecurityContext": {
            "runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"},
        },
        "securityContext": container_security(),
    }  # fmt: skip
