"""Which settings each page says: what it prints of them, and what decides that it exists.

Every page names the service. A test turns every setting and holds this table against what happens.
"""

from __future__ import annotations

from typing import Final

_REGION: Final = ("regions",)
_SPACE: Final = (*_REGION, "kubernetes.namespace")
_WORKLOAD: Final = (*_SPACE, "kubernetes.workload", "rollout.strategy")
_ADDRESS: Final = ("kubernetes.host", "probes.ready")
_SCALING: Final = (*_WORKLOAD, "autoscaling.metrics", "autoscaling.by")
_DATABASE: Final = (*_SPACE, "resilience.database")
_CACHE: Final = (*_SPACE, "resilience.cache")
_QUEUE: Final = (*_SPACE, "resilience.queue")
_HISTORY: Final = (*_DATABASE, "resilience.backup.rpo")

#: The pages that say more than the name of the service and of its regions.
_PAGES: Final[dict[str, tuple[str, ...]]] = {
    "most-requests-fail": (*_WORKLOAD, *_ADDRESS, "promises.availability"),
    "availability-burns-fast": (*_WORKLOAD, *_ADDRESS, "promises.availability"),
    "availability-burns-slowly": (*_WORKLOAD, *_ADDRESS, "promises.availability"),
    "latency-burns-fast": (*_WORKLOAD, "promises.p99", "traffic.protocol"),
    "latency-burns-slowly": (*_WORKLOAD, "promises.p99", "traffic.protocol"),
    "throughput-below-promise": (*_SCALING, "promises.throughput"),
    "no-traffic": (*_SPACE, *_ADDRESS),
    "signals-absent": (*_SPACE, *_ADDRESS),
    "service-unreachable": (*_SPACE, *_ADDRESS),
    "pod-crash-looping": _WORKLOAD,
    "instances-missing": _WORKLOAD,
    "memory-saturated": _WORKLOAD,
    "rollout-stuck": _WORKLOAD,
    "disruption-budget-exhausted": _WORKLOAD,
    "cpu-throttled": _WORKLOAD,
    "cpu-saturated": _SCALING,
    "autoscaler-at-limit": _SCALING,
    "job-failed": (*_SPACE, "kubernetes.jobs"),
    "volume-fills-up": (*_DATABASE, "kubernetes.workload"),
    "node-not-ready": _WORKLOAD,
    "node-disk-fills-up": _WORKLOAD,
    "canary-taken-back": _WORKLOAD,
    "application-degraded": _SPACE,
    "certificate-expires": (*_SPACE, "kubernetes.host"),
    "certificate-not-ready": (*_SPACE, "kubernetes.host"),
    "database-backup-too-old": _DATABASE,
    "database-connections-short": _DATABASE,
    "database-replica-missing": _DATABASE,
    "database-replication-lags": _HISTORY,
    "wal-archiving-fails": _HISTORY,
    "restore-unproven": _DATABASE,
    "cockroach-node-missing": _DATABASE,
    "cockroach-ranges-unavailable": _DATABASE,
    "cache-memory-full": _CACHE,
    "cache-replica-missing": _CACHE,
    "queue-offline": _QUEUE,
    "queue-under-replicated": _QUEUE,
    "consumers-lag": (*_WORKLOAD, "resilience.queue"),
    "object-store-offline": (*_SPACE, "resilience.objects"),
    "conductor-absent": (),
    "conductor-trouble": (),
    "release-taken-back": (),
    "rollout-held": (),
    "region-loss": (*_REGION, *_ADDRESS, "resilience.backup"),
    "failover": (*_WORKLOAD, *_ADDRESS, "resilience.database", "resilience.backup.rpo"),
    "failback": (*_WORKLOAD, "resilience.database"),
    "rollback": (*_WORKLOAD, "promises.rollback"),
    "secret-rotation": (*_WORKLOAD, "run.secrets"),
    "restore-cluster": (*_SPACE, "resilience.backup.every"),
    "restore-to-a-second": (*_HISTORY, "resilience.backup.keep"),
}


def keys(page: str, severity: str) -> tuple[str, ...]:
    """The keys of a page; one that wakes somebody also says when the next is called."""
    escalates = ("observability.escalate_after",) if severity == "page" else ()
    return ("service", *_PAGES.get(page, _REGION), *escalates)
