"""When data may be lost: backups, copies, logs, and the bounds ``resilience.backup`` states."""

from __future__ import annotations

from holdfast.artifacts.names import namespace, seconds
from holdfast.artifacts.observability.rule import Condition
from holdfast.spec.model import Service

_LATE = 1.5  # a backup that takes its time is no trouble yet


def conditions(service: Service) -> dict[str, Condition]:
    return {
        **_backups(service),
        **_postgres(service),
        **_cockroach(service),
        **_redis(service),
        **_kafka(service),
        "ObjectStoreOffline": Condition(
            f"max by (region) (minio_cluster_drive_offline_total{_in(service)}) > 0"
            f" or max by (region) (minio_cluster_nodes_offline_total{_in(service)}) > 0", "5m",
            "{{ $value }} drives or servers are offline.",
        ),
    }  # fmt: skip


def _in(service: Service, more: str = "") -> str:
    return f'{{namespace="{namespace(service)}"{more}}}'


def _backups(service: Service) -> dict[str, Condition]:
    old = seconds(_LATE * service.resilience.backup.every)
    name = f'{{schedule=~"{service.service}(-abroad)?"}}'
    last = f"velero_backup_last_successful_timestamp{name}"
    return {
        "BackupTooOld": Condition(
            f"time() - {last} > {old} or absent({last})", "15m",
            "The last good backup of {{ $labels.schedule }} is too old.",
        ),
        "BackupFailed": Condition(
            f"increase(velero_backup_failure_total{name}[1h]) > 0"
            f" or increase(velero_backup_partial_failure_total{name}[1h]) > 0",
            detail="A backup by {{ $labels.schedule }} failed.",
        ),
    }  # fmt: skip


def _postgres(service: Service) -> dict[str, Condition]:
    backup = service.resilience.backup
    old, rpo = seconds(_LATE * backup.every), seconds(backup.rpo)
    chosen = _in(service, f',pod=~"{service.service}-db-.*"')
    last = f"barman_cloud_cloudnative_pg_io_last_available_backup_timestamp{chosen}"
    archived = f"cnpg_pg_stat_archiver_seconds_since_last_archival{chosen}"
    failed = f"increase(cnpg_pg_stat_archiver_failed_count{chosen}[10m])"
    taken = f"sum by (region, pod) (cnpg_backends_total{chosen})"
    most = f"max by (region, pod) (cnpg_pg_settings_setting{_in(service, ',name=' + _MOST)})"
    return {
        "DatabaseBackupTooOld": Condition(
            f"time() - max by (region) ({last}) > {old}", "15m",
            "The last good backup is {{ $value | humanizeDuration }} old.",
        ),
        "RestoreUnproven": _restored(service),
        "WalArchivingFails": Condition(
            f"{failed} > 0 and {archived} > {rpo}", "1m",
            "Nothing was archived for {{ $value }} failures in ten minutes.",
        ),
        "DatabaseReplicationLags": Condition(
            f"max by (region, pod) (cnpg_pg_replication_lag{chosen}) > {rpo}", "1m",
            "{{ $labels.pod }} is {{ $value | humanizeDuration }} behind.",
        ),
        "DatabaseReplicaMissing": Condition(
            f"max by (region) (cnpg_pg_replication_streaming_replicas{chosen}) < 2", "5m",
            "{{ $value }} copies follow the primary; two should.",
        ),
        "DatabaseConnectionsShort": Condition(
            f"{taken} / {most} > 0.9", "10m",
            "{{ $value | humanizePercentage }} of the connections of {{ $labels.pod }} are taken.",
        ),
    }  # fmt: skip


def _restored(service: Service) -> Condition:
    """The CronJob of the resilience family that restores every night. Before its first success it
    has no time of one, so that of its making counts; a night that was mended leaves no alert."""
    cron = _in(service, f',cronjob="{service.service}-restore-check"')
    last = f"kube_cronjob_status_last_successful_time{cron}"
    never = f"kube_cronjob_created{cron} unless {last}"
    return Condition(
        f"time() - max by (region) ({last} or {never}) > 2 * 86400", "1h",
        "The log of the last job of the restore check says what is missing.",
    )  # fmt: skip


_MOST = '"max_connections"'


def _cockroach(service: Service) -> dict[str, Condition]:
    """Every node counts those that live in all regions; a lost node takes its own series along, so
    what is counted is held against what the spec makes."""
    chosen, nodes = _in(service), 3 * len(service.regions)
    return {
        "CockroachRangesUnavailable": Condition(
            f"sum by (region) (ranges_unavailable{chosen}) > 0", "1m",
            "{{ $value }} ranges have no quorum.",
        ),
        "CockroachNodeMissing": Condition(
            f"max by (region) (liveness_livenodes{chosen}) < {nodes}", "5m",
            "{{ $value }} nodes of the database live; " + f"{nodes} should.",
        ),
    }  # fmt: skip


def _redis(service: Service) -> dict[str, Condition]:
    chosen = _in(service)
    return {
        "CacheReplicaMissing": Condition(
            f"max by (region) (redis_connected_slaves{chosen}) < 2"
            f" or max by (region) (redis_up{chosen}) == 0", "5m",
            "Too few copies follow the cache's primary in {{ $labels.region }}, or it is away.",
        ),
        "CacheMemoryFull": Condition(
            f"redis_memory_used_bytes{chosen} / (redis_memory_max_bytes{chosen} > 0) > 0.95"
            f" or rate(redis_evicted_keys_total{chosen}[5m]) > 0", "15m",
            "{{ $labels.pod }} has no room left.",
        ),
    }  # fmt: skip


def _kafka(service: Service) -> dict[str, Condition]:
    chosen = _in(service)
    under = f"kafka_server_replicamanager_underreplicatedpartitions{chosen}"
    offline = f"kafka_controller_kafkacontroller_offlinepartitionscount{chosen}"
    lag = f"sum by (region, consumergroup, topic) (kafka_consumergroup_lag{chosen})"
    return {
        "QueueUnderReplicated": Condition(
            f"sum by (region) ({under}) > 0", "5m", "{{ $value }} partitions lack a copy."
        ),
        "QueueOffline": Condition(
            f"sum by (region) ({offline}) > 0", "1m", "{{ $value }} partitions have no leader."
        ),
        "ConsumersLag": Condition(
            f"{lag} > 10000 and deriv({lag}[10m:1m]) > 0", "15m",
            "{{ $labels.consumergroup }} is {{ $value }} messages behind on {{ $labels.topic }}.",
        ),
    }  # fmt: skip
