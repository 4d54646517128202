"""Every alert by name: who is called, what it means, when it exists.

The observability family gives each its expression, the resilience family its runbook, and a test
holds both against this list. Severities: ``page`` wakes a person, ``ticket`` can wait for the
morning, ``info`` calls nobody and is there to inhibit or to be seen.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from holdfast.artifacts.names import git
from holdfast.spec.model import Service

Severity = Literal["page", "ticket", "info"]
Place = Literal["kubernetes", "local", "everywhere"]


def _always(service: Service) -> bool:
    return True


def _throughput(service: Service) -> bool:
    return service.promises.throughput > 0


def _latency(service: Service) -> bool:
    return service.traffic.protocol != "tcp"


def _volumes(service: Service) -> bool:
    return service.kubernetes.workload == "stateful" or service.resilience.database != "none"


def _jobs(service: Service) -> bool:
    return bool(service.kubernetes.jobs)


def _scales(service: Service) -> bool:
    return service.kubernetes.workload == "deployment"


def _postgres(service: Service) -> bool:
    return service.resilience.database == "postgres"


def _cockroach(service: Service) -> bool:
    return service.resilience.database == "cockroach"


def _redis(service: Service) -> bool:
    return service.resilience.cache == "redis"


def _kafka(service: Service) -> bool:
    return service.resilience.queue == "kafka"


def _minio(service: Service) -> bool:
    return service.resilience.objects == "minio"


@dataclass(frozen=True, slots=True)
class Alert:
    """``about`` is one sentence: what is true when it fires. ``place``: where it can be known."""

    name: str  # CamelCase
    severity: Severity
    about: str
    place: Place = "kubernetes"
    applies: Callable[[Service], bool] = _always

    @property
    def page(self) -> str:
        """The file name of its runbook: the name in kebab-case."""
        return re.sub(r"(?<!^)(?=[A-Z])", "-", self.name).lower()

    @property
    def runbook(self) -> str:
        """Where its runbook is in the rendered set."""
        return f"resilience/runbooks/{self.page}.md"

    def url(self, service: Service) -> str:
        """Where a person who is called reads it."""
        delivery = service.delivery
        return f"{git(service)}/blob/{delivery.branch}/{delivery.path}/{self.runbook}"


#: What users notice.
_USERS = (
    Alert("MostRequestsFail", "page", "More than half of the requests fail", "everywhere"),
    Alert("AvailabilityBurnsFast", "page",
          "Failures use up the month's error budget within days", "everywhere"),
    Alert("AvailabilityBurnsSlowly", "ticket",
          "Failures use up the error budget before the month ends", "everywhere"),
    Alert("LatencyBurnsFast", "page",
          "Slow answers use up the month's latency budget within days", "everywhere", _latency),
    Alert("LatencyBurnsSlowly", "ticket",
          "Slow answers use up the latency budget before the month ends", "everywhere", _latency),
    Alert("ThroughputBelowPromise", "ticket",
          "Instances are saturated while less than the promised rate is served", "everywhere",
          _throughput),
    Alert("NoTraffic", "page", "Nobody asks for the service any more", "everywhere"),
    Alert("SignalsAbsent", "page", "Nothing counts the requests of the service", "everywhere"),
    Alert("TooFewRequestsToJudge", "info",
          "There are too few requests to tell whether the objective holds", "everywhere"),
    Alert("ServiceUnreachable", "page", "The service does not answer from outside"),
)  # fmt: skip
#: What instances suffer.
_INSTANCES = (
    Alert("PodCrashLooping", "page", "An instance dies again and again"),
    Alert("InstancesMissing", "page", "Fewer instances are ready than the service needs"),
    Alert("RolloutStuck", "ticket", "A rollout makes no progress"),
    Alert("DisruptionBudgetExhausted", "ticket",
          "No instance may be moved, so no node can be drained"),
    Alert("CpuSaturated", "ticket", "The instances use nearly all the processor they may"),
    Alert("CpuThrottled", "ticket", "The kernel takes the processor away from instances"),
    Alert("MemorySaturated", "page", "An instance is about to be killed for its memory"),
    Alert("AutoscalerAtLimit", "ticket", "The autoscaler wants more instances than it may have",
          applies=_scales),
    Alert("JobFailed", "ticket", "A job did not succeed", applies=_jobs),
    Alert("VolumeFillsUp", "page", "A volume is full within hours", applies=_volumes),
)  # fmt: skip
#: What carries them.
_CLUSTER = (
    Alert("NodeNotReady", "page", "A node does not answer its cluster"),
    Alert("NodeDiskFillsUp", "ticket", "The disk of a node is full within hours", "everywhere"),
    Alert("NodeMemoryShort", "ticket", "A node has nearly no memory left", "everywhere"),
    Alert("NodeSaturated", "ticket", "More work waits for a node than it has processors",
          "everywhere"),
    Alert("CertificateExpires", "page", "A certificate expires within days"),
    Alert("CertificateNotReady", "ticket", "A certificate could not be issued"),
)  # fmt: skip
#: What must not be lost.
_DATA = (
    Alert("BackupTooOld", "page", "The last good backup of the cluster is too old"),
    Alert("BackupFailed", "ticket", "A backup of the cluster failed"),
    Alert("DatabaseBackupTooOld", "page", "The last good backup of the database is too old",
          applies=_postgres),
    Alert("RestoreUnproven", "ticket",
          "The database was not restored from its backup for two days, or not whole",
          applies=_postgres),
    Alert("WalArchivingFails", "page", "More of the database than promised would be lost",
          applies=_postgres),
    Alert("DatabaseReplicationLags", "page", "A copy of the database is behind the promise",
          applies=_postgres),
    Alert("DatabaseReplicaMissing", "page", "A copy of the database is gone", applies=_postgres),
    Alert("DatabaseConnectionsShort", "ticket", "Nearly all connections to the database are taken",
          applies=_postgres),
    Alert("CockroachRangesUnavailable", "page", "A part of the database can not be written",
          applies=_cockroach),
    Alert("CockroachNodeMissing", "page", "A node of the database is gone", applies=_cockroach),
    Alert("CacheReplicaMissing", "page", "The cache has no copy to fail over to", applies=_redis),
    Alert("CacheMemoryFull", "ticket", "The cache throws away what it should keep",
          applies=_redis),
    Alert("QueueUnderReplicated", "page", "A partition of the queue has too few copies",
          applies=_kafka),
    Alert("QueueOffline", "page", "A partition of the queue has no leader", applies=_kafka),
    Alert("ConsumersLag", "ticket", "Consumers of the queue fall behind", applies=_kafka),
    Alert("ObjectStoreOffline", "page", "Drives of the object store are offline", applies=_minio),
)  # fmt: skip
#: What changes it, and what watches it.
_KEEPERS = (
    Alert("ApplicationOutOfSync", "ticket", "The cluster differs from what the repository says"),
    Alert("ApplicationDegraded", "page", "What the repository says does not become healthy"),
    Alert("CanaryTakenBack", "ticket", "A release was taken back by its analysis"),
    Alert("RolloutHeld", "ticket", "A rollout waits for something that does not come", "local"),
    Alert("ReleaseTakenBack", "ticket", "A release was taken back", "local"),
    Alert("ConductorTrouble", "page", "The conductor can not do its work", "local"),
    Alert("ConductorAbsent", "page", "Nobody conducts the service", "local"),
    Alert("Watchdog", "info", "Always fires: whoever misses it knows that alerts do not arrive",
          "everywhere"),
    Alert("TargetDown", "ticket", "Something that must be watched can not be scraped",
          "everywhere"),
    Alert("RulesFail", "page", "Prometheus can not evaluate its rules", "everywhere"),
    Alert("ConfigurationRejected", "ticket", "Prometheus or Alertmanager refused its configuration",
          "everywhere"),
    Alert("NotificationsFail", "page", "Alertmanager can not reach people", "everywhere"),
    Alert("TelemetryLost", "ticket", "Spans are lost before they are stored"),
    Alert("LogsLost", "ticket", "Log lines are lost before they are stored"),
)  # fmt: skip

ALERTS: Final = (*_USERS, *_INSTANCES, *_CLUSTER, *_DATA, *_KEEPERS)


def alerts(service: Service, place: Place = "kubernetes") -> tuple[Alert, ...]:
    """The alerts that exist for this service in a place; ``everywhere``: in any."""
    wanted = (place, "everywhere") if place != "everywhere" else ("kubernetes", "local", place)
    return tuple(each for each in ALERTS if each.place in wanted and each.applies(service))
