"""Every alert beside the objectives' own: it fires in its trouble, and a well world is silent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import promtools
import pytest
import yaml

from holdfast.artifacts.alerts import alerts
from holdfast.artifacts.catalog import render
from holdfast.spec.load import load_text

JOBS = "kubernetes: {jobs: [{name: tidy, schedule: '0 3 * * *', command: [tidy]}]}"
USUAL = load_text(f"service: shop\nrun: python shop.py\n{JOBS}\n")
OTHER = load_text(
    "service: shop\nrun: python shop.py\nresilience: {database: cockroach, objects: minio}\n"
)
#: Alerts that ``observability/prometheus/tests`` of every service tells the stories of.
OBJECTIVES = {
    "MostRequestsFail", "AvailabilityBurnsFast", "AvailabilityBurnsSlowly", "LatencyBurnsFast",
    "LatencyBurnsSlowly", "ThroughputBelowPromise", "NoTraffic", "SignalsAbsent",
    "TooFewRequestsToJudge", "CpuSaturated",
}  # fmt: skip
POD = 'namespace="shop",pod="shop-1",container="shop"'
OWN = 'namespace="shop",deployment="shop"'
BUDGET = 'namespace="shop",poddisruptionbudget="shop"'
SCALER = 'namespace="shop",horizontalpodautoscaler="shop"'
VOLUME = 'namespace="shop",persistentvolumeclaim="data"'
DISK = 'instance="n1",fstype="ext4",mountpoint="/"'
RESTORE = 'namespace="shop",cronjob="shop-restore-check"'
PRIMARY = 'region="us-east",namespace="shop",pod="shop-db-1"'
STORE = 'namespace="shop",pod="shop-objects-pool-0-0"'
LAST = "barman_cloud_cloudnative_pg_io_last_available_backup_timestamp"
VELERO = "velero_backup_last_successful_timestamp"
LAG = 'kafka_consumergroup_lag{namespace="shop",consumergroup="g",topic="t"}'
UNDER = 'kafka_server_replicamanager_underreplicatedpartitions{namespace="shop"}'
OFFLINE = 'kafka_controller_kafkacontroller_offlinepartitionscount{namespace="shop"}'
APP = 'argocd_app_info{name="shop-us-east",health_status="%s",sync_status="%s"}'

#: What is there when all is well, for two hours; each alert's metrics are among them.
WELL: dict[str, str] = {
    'probe_success{job="shop-outside",instance="https://shop"}': "1x120",
    f"kube_pod_container_status_restarts_total{{{POD}}}": "1x120",
    f'kube_pod_container_status_waiting_reason{{{POD},reason="CrashLoopBackOff"}}': "0x120",
    f"kube_deployment_spec_replicas{{{OWN}}}": "3x120",
    f"kube_deployment_status_replicas_ready{{{OWN}}}": "3x120",
    f"kube_deployment_status_replicas_updated{{{OWN}}}": "3x120",
    f"kube_poddisruptionbudget_status_pod_disruptions_allowed{{{BUDGET}}}": "1x120",
    f"kube_poddisruptionbudget_status_expected_pods{{{BUDGET}}}": "3x120",
    f"container_cpu_cfs_throttled_periods_total{{{POD}}}": "0+1x120",
    f"container_cpu_cfs_periods_total{{{POD}}}": "0+600x120",
    f"container_memory_working_set_bytes{{{POD}}}": "50x120",
    f'kube_pod_container_resource_limits{{{POD},resource="memory"}}': "100x120",
    f"kube_horizontalpodautoscaler_status_desired_replicas{{{SCALER}}}": "3x120",
    f"kube_horizontalpodautoscaler_spec_max_replicas{{{SCALER}}}": "9x120",
    f"kubelet_volume_stats_available_bytes{{{VOLUME}}}": "60x120",
    f"kubelet_volume_stats_capacity_bytes{{{VOLUME}}}": "100x120",
    'kube_node_status_condition{node="n1",condition="Ready",status="true"}': "1x120",
    f"node_filesystem_avail_bytes{{{DISK}}}": "60x120",
    f"node_filesystem_size_bytes{{{DISK}}}": "100x120",
    'node_memory_MemAvailable_bytes{instance="n1"}': "50x120",
    'node_memory_MemTotal_bytes{instance="n1"}': "100x120",
    'node_load5{instance="n1"}': "1x120",
    'node_cpu_seconds_total{instance="n1",mode="idle",cpu="0"}': "0+50x120",
    'certmanager_certificate_expiration_timestamp_seconds{name="shop-tls"}': "2592000x120",
    'certmanager_certificate_ready_status{name="shop-tls",condition="True"}': "1x120",
    f'{VELERO}{{schedule="shop"}}': "0x120",
    'velero_backup_failure_total{schedule="shop"}': "0x120",
    'velero_backup_partial_failure_total{schedule="shop"}': "0x120",
    f"{LAST}{{{PRIMARY}}}": "0x120",
    f"kube_cronjob_status_last_successful_time{{{RESTORE}}}": "0x120",
    f"kube_cronjob_created{{{RESTORE}}}": "0x120",
    f"cnpg_pg_stat_archiver_failed_count{{{PRIMARY}}}": "2x120",
    f"cnpg_pg_stat_archiver_seconds_since_last_archival{{{PRIMARY}}}": "20x120",
    f"cnpg_pg_replication_lag{{{PRIMARY}}}": "0x120",
    f"cnpg_pg_replication_streaming_replicas{{{PRIMARY}}}": "2x120",
    f"cnpg_backends_total{{{PRIMARY}}}": "50x120",
    f'cnpg_pg_settings_setting{{{PRIMARY},name="max_connections"}}': "200x120",
    'redis_connected_slaves{namespace="shop"}': "2x120",
    'redis_up{namespace="shop"}': "1x120",
    'redis_memory_used_bytes{namespace="shop"}': "50x120",
    'redis_memory_max_bytes{namespace="shop"}': "100x120",
    'redis_evicted_keys_total{namespace="shop"}': "0x120",
    UNDER: "0x120",
    OFFLINE: "0x120",
    LAG: "50x120",
    APP % ("Healthy", "Synced"): "1x120",
    'flagger_canary_status{name="shop",namespace="shop"}': "1x120",
    'up{job="shop",instance="i"}': "1x120",
    "prometheus_rule_evaluation_failures_total": "3x120",
    "prometheus_rule_group_iterations_missed_total": "3x120",
    "prometheus_config_last_reload_successful": "1x120",
    "alertmanager_config_last_reload_successful": "1x120",
    "alertmanager_notifications_failed_total": "3x120",
    "prometheus_notifications_dropped_total": "3x120",
    "otelcol_exporter_send_failed_spans": "3x120",
    "otelcol_exporter_enqueue_failed_spans": "3x120",
    "otelcol_receiver_refused_spans": "3x120",
    "fluentbit_output_dropped_records_total": "3x120",
    "fluentbit_output_retries_failed_total": "3x120",
    'ranges_unavailable{namespace="shop"}': "0x120",
    'liveness_livenodes{namespace="shop"}': "9x120",
    f"minio_cluster_drive_offline_total{{{STORE}}}": "0x120",
    f"minio_cluster_nodes_offline_total{{{STORE}}}": "0x120",
}

#: What differs in the trouble of an alert; ``None``: the series is not there.
TROUBLE: dict[str, dict[str, str | None]] = {
    "ServiceUnreachable": {'probe_success{job="shop-outside",instance="https://shop"}': "0x120"},
    "PodCrashLooping": {f"kube_pod_container_status_restarts_total{{{POD}}}": "0+1x120"},
    "InstancesMissing": {f"kube_deployment_status_replicas_ready{{{OWN}}}": "2x120"},
    "RolloutStuck": {f"kube_deployment_status_replicas_updated{{{OWN}}}": "1x120"},
    "DisruptionBudgetExhausted": {
        f"kube_poddisruptionbudget_status_pod_disruptions_allowed{{{BUDGET}}}": "0x120"
    },
    "CpuThrottled": {f"container_cpu_cfs_throttled_periods_total{{{POD}}}": "0+300x120"},
    "MemorySaturated": {f"container_memory_working_set_bytes{{{POD}}}": "97x120"},
    "AutoscalerAtLimit": {f"kube_horizontalpodautoscaler_status_desired_replicas{{{SCALER}}}":
                          "9x120"},
    "JobFailed": {'kube_job_status_failed{namespace="shop",job_name="shop-tidy-29"}': "1x120"},
    "VolumeFillsUp": {f"kubelet_volume_stats_available_bytes{{{VOLUME}}}": "39-0.2x120"},
    "NodeNotReady": {'kube_node_status_condition{node="n1",condition="Ready",status="true"}':
                     "0x120"},
    "NodeDiskFillsUp": {f"node_filesystem_avail_bytes{{{DISK}}}": "29-0.05x120"},
    "NodeMemoryShort": {'node_memory_MemAvailable_bytes{instance="n1"}': "4x120"},
    "NodeSaturated": {'node_load5{instance="n1"}': "3x120"},
    "CertificateExpires": {'certmanager_certificate_expiration_timestamp_seconds{name="shop-tls"}':
                           "518400x120"},
    "CertificateNotReady": {'certmanager_certificate_ready_status{name="shop-tls",'
                            'condition="True"}': "0x120"},
    "BackupTooOld": {f'{VELERO}{{schedule="shop"}}': None},
    "BackupFailed": {'velero_backup_partial_failure_total{schedule="shop"}': "0x100 1x20"},
    "DatabaseBackupTooOld": {f"{LAST}{{{PRIMARY}}}": "-130000x120"},
    "RestoreUnproven": {f"kube_cronjob_status_last_successful_time{{{RESTORE}}}": None,
                        f"kube_cronjob_created{{{RESTORE}}}": "-172800x120"},
    "WalArchivingFails": {f"cnpg_pg_stat_archiver_failed_count{{{PRIMARY}}}": "0+1x120",
                          f"cnpg_pg_stat_archiver_seconds_since_last_archival{{{PRIMARY}}}":
                          "61x120"},
    "DatabaseReplicationLags": {f"cnpg_pg_replication_lag{{{PRIMARY}}}": "61x120"},
    "DatabaseReplicaMissing": {f"cnpg_pg_replication_streaming_replicas{{{PRIMARY}}}": "1x120"},
    "DatabaseConnectionsShort": {f"cnpg_backends_total{{{PRIMARY}}}": "181x120"},
    "CacheReplicaMissing": {'redis_connected_slaves{namespace="shop"}': "1x120"},
    "CacheMemoryFull": {'redis_memory_used_bytes{namespace="shop"}': "96x120"},
    "QueueUnderReplicated": {UNDER: "1x120"},
    "QueueOffline": {OFFLINE: "1x120"},
    "ConsumersLag": {LAG: "20000+100x120"},
    "ApplicationOutOfSync": {APP % ("Healthy", "OutOfSync"): "1x120"},
    "ApplicationDegraded": {APP % ("Degraded", "Synced"): "1x120"},
    "CanaryTakenBack": {'flagger_canary_status{name="shop",namespace="shop"}': "2x120"},
    "TargetDown": {'up{job="shop",instance="i"}': "0x120"},
    "RulesFail": {"prometheus_rule_evaluation_failures_total": "0+1x120"},
    "ConfigurationRejected": {"alertmanager_config_last_reload_successful": "0x120"},
    "NotificationsFail": {"alertmanager_notifications_failed_total": "0+1x120"},
    "TelemetryLost": {"otelcol_receiver_refused_spans": "0+1x120"},
    "LogsLost": {"fluentbit_output_dropped_records_total": "0+1x120"},
    "CockroachRangesUnavailable": {'ranges_unavailable{namespace="shop"}': "1x120"},
    # a node that died took its own series along: those that are left count one less
    "CockroachNodeMissing": {'liveness_livenodes{namespace="shop"}': "8x120"},
    "ObjectStoreOffline": {f"minio_cluster_nodes_offline_total{{{STORE}}}": "1x120"},
}  # fmt: skip


def story(name: str, series: dict[str, str | None], firing: set[str]) -> dict[str, Any]:
    return {
        "name": name,
        "interval": "1m",
        "input_series": [
            {"series": each, "values": values} for each, values in series.items() if values
        ],
        "promql_expr_test": [
            {
                "expr": 'group by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": "2h",
                "exp_samples": [
                    {"labels": f'{{alertname="{each}"}}', "value": 1} for each in sorted(firing)
                ],
            }
        ],
    }


@pytest.mark.req("T106", "T122", "T125", "T131", "T132", "T133", "T134", "P5")
@pytest.mark.parametrize("service", [USUAL, OTHER], ids=["usual", "other"])
def test_every_alert_fires_in_its_trouble_alone_and_a_well_world_is_silent(service, tmp_path: Path):
    (rules,) = [f for f in render(service, ["observability"])
                if f.path.endswith("prometheus/rules/kubernetes.yml")]  # fmt: skip
    judged = [
        {"name": "judged", "rules": [rule for group in yaml.safe_load(rules.data)["groups"]
                                     for rule in group["rules"]
                                     if rule.get("alert", "MostRequestsFail") not in OBJECTIVES]}
    ]  # fmt: skip
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": judged}))
    known = {each.name for each in alerts(service)} - OBJECTIVES - {"Watchdog"}
    assert known <= TROUBLE.keys()
    stories = [story("all is well", WELL, {"Watchdog"})]
    stories += [story(name, WELL | TROUBLE[name], {name, "Watchdog"}) for name in sorted(known)]
    tests = {"rule_files": ["rules.yml"], "evaluation_interval": "5m", "tests": stories}
    (tmp_path / "stories.yml").write_text(yaml.safe_dump(tests))
    promtools.run("promtool", "test", "rules", tmp_path / "stories.yml")


def test_no_trouble_is_told_twice_or_about_an_alert_that_is_none():
    known = {each.name for service in (USUAL, OTHER) for each in alerts(service)}
    assert TROUBLE.keys() | OBJECTIVES | {"Watchdog"} >= known
    assert TROUBLE.keys() <= known
