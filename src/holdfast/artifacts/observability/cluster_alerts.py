"""When what carries the instances suffers: nodes, disks, certificates."""

from __future__ import annotations

from holdfast.artifacts.observability.rule import Condition
from holdfast.spec.model import Service

_DISKS = '{fstype!~"tmpfs|ramfs|overlay|squashfs|nsfs|autofs",mountpoint!~"/(boot|run|snap).*"}'


def conditions(service: Service) -> dict[str, Condition]:
    return {
        "NodeNotReady": Condition(
            'kube_node_status_condition{condition="Ready",status="true"} == 0', "5m",
            "{{ $labels.node }} in {{ $labels.region }} is not ready.",
        ),
        "NodeDiskFillsUp": _disk(),
        "NodeMemoryShort": Condition(
            "node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes < 0.05", "10m",
            "{{ $value | humanizePercentage }} of the memory of {{ $labels.instance }} is left.",
        ),
        "NodeSaturated": Condition(
            'node_load5 / on (instance) count by (instance) (node_cpu_seconds_total{mode="idle"})'
            " > 2", "15m",
            "{{ $value | humanize }} tasks a processor on {{ $labels.instance }}.",
        ),
        **_certificates(),
    }  # fmt: skip


def _disk() -> Condition:
    free, size = f"node_filesystem_avail_bytes{_DISKS}", f"node_filesystem_size_bytes{_DISKS}"
    soon = f"predict_linear({free}[6h], 24 * 3600) < 0 and {free} / {size} < 0.3"
    detail = "{{ $labels.mountpoint }} on {{ $labels.instance }} is nearly full."
    return Condition(f"({soon}) or {free} / {size} < 0.05", "30m", detail)


def _certificates() -> dict[str, Condition]:
    left = "certmanager_certificate_expiration_timestamp_seconds - time()"
    seen = "probe_ssl_earliest_cert_expiry - time()"
    week = 7 * 86400
    return {
        "CertificateExpires": Condition(
            f"({left} < {week}) or ({seen} < {week})", "1h",
            "{{ $value | humanizeDuration }} are left.",
        ),
        "CertificateNotReady": Condition(
            'certmanager_certificate_ready_status{condition="True"} == 0', "1h",
            "{{ $labels.name }} is not ready.",
        ),
    }  # fmt: skip
