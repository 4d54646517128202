"""Every metric a rule, a dashboard or an autoscaler may name, and who exports it.

A name that is not here is a typing error: ``exporter`` finds it, tests and cross checks refuse it.
Names are those of the versions in ``versions.py``; histograms and summaries are listed by their
base name. Sources: the exporters' own documentation and registries (kube-state-metrics
``docs/metrics``, node_exporter ``collector``, cAdvisor ``docs/storage/prometheus.md``, Envoy
``/stats/prometheus``, Istio Standard Metrics, CloudNativePG Monitoring, Strimzi
``examples/metrics``, redis_exporter, cert-manager, Argo CD, Flagger and Velero Metrics).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from holdfast.spec.model import Service

_SUFFIXES = ("_bucket", "_sum", "_count")
_NAMES: Final = {
    "prometheus": """
        up scrape_duration_seconds scrape_samples_scraped ALERTS
        prometheus_rule_evaluation_failures_total prometheus_rule_group_iterations_missed_total
        prometheus_config_last_reload_successful prometheus_notifications_dropped_total
        prometheus_notifications_alertmanagers_discovered prometheus_tsdb_head_series
        prometheus_tsdb_head_samples_appended_total prometheus_tsdb_storage_blocks_bytes
        prometheus_build_info prometheus_tsdb_compactions_failed_total""",
    "alertmanager": """
        alertmanager_notifications_failed_total alertmanager_notifications_total
        alertmanager_config_last_reload_successful alertmanager_alerts
        alertmanager_cluster_members""",
    "blackbox-exporter": """
        probe_success probe_duration_seconds probe_http_status_code
        probe_ssl_earliest_cert_expiry""",
    "istio": """
        istio_requests_total istio_request_duration_milliseconds istio_request_bytes
        istio_response_bytes istio_tcp_connections_opened_total
        istio_tcp_connections_closed_total istio_tcp_sent_bytes_total
        istio_tcp_received_bytes_total""",
    "envoy": """
        envoy_http_downstream_rq_xx envoy_http_downstream_rq_time envoy_http_downstream_rq_total
        envoy_http_downstream_rq_completed envoy_http_downstream_cx_active
        envoy_cluster_upstream_rq_xx envoy_cluster_upstream_rq_time
        envoy_cluster_upstream_rq_total envoy_cluster_upstream_rq_completed
        envoy_cluster_upstream_rq_active envoy_cluster_upstream_rq_retry
        envoy_cluster_upstream_cx_total envoy_cluster_upstream_cx_connect_fail
        envoy_cluster_membership_healthy envoy_cluster_membership_total
        envoy_cluster_outlier_detection_ejections_active
        envoy_cluster_grpc_total envoy_cluster_grpc_success envoy_cluster_grpc_failure
        envoy_cluster_grpc_2 envoy_cluster_grpc_4 envoy_cluster_grpc_12 envoy_cluster_grpc_13
        envoy_cluster_grpc_14 envoy_cluster_grpc_15 envoy_server_live envoy_server_uptime
        envoy_server_memory_allocated""",
    "ingress-nginx": """
        nginx_ingress_controller_requests nginx_ingress_controller_request_duration_seconds
        nginx_ingress_controller_ssl_expire_time_seconds
        nginx_ingress_controller_config_last_reload_successful""",
    "traefik": """
        traefik_service_requests_total traefik_service_request_duration_seconds
        traefik_open_connections traefik_tls_certs_not_after""",
    "kube-state-metrics": """
        kube_pod_container_status_restarts_total kube_pod_container_status_waiting_reason
        kube_pod_container_resource_requests kube_pod_container_resource_limits
        kube_pod_status_phase kube_pod_status_ready kube_pod_info
        kube_deployment_spec_replicas kube_deployment_status_replicas_ready
        kube_deployment_status_replicas_updated kube_deployment_status_condition
        kube_deployment_status_observed_generation kube_deployment_metadata_generation
        kube_statefulset_replicas kube_statefulset_status_replicas_ready
        kube_statefulset_status_replicas_updated kube_statefulset_status_current_revision
        kube_statefulset_status_update_revision
        kube_daemonset_status_desired_number_scheduled kube_daemonset_status_number_ready
        kube_daemonset_status_updated_number_scheduled
        kube_poddisruptionbudget_status_pod_disruptions_allowed
        kube_poddisruptionbudget_status_expected_pods
        kube_horizontalpodautoscaler_status_desired_replicas
        kube_horizontalpodautoscaler_status_current_replicas
        kube_horizontalpodautoscaler_spec_max_replicas
        kube_horizontalpodautoscaler_status_condition
        kube_job_status_failed kube_job_status_succeeded kube_job_status_active
        kube_cronjob_status_last_successful_time kube_cronjob_spec_suspend
        kube_cronjob_created
        kube_node_status_condition kube_node_status_allocatable kube_node_info kube_node_labels
        kube_persistentvolumeclaim_resource_requests_storage_bytes
        kube_persistentvolumeclaim_info""",
    "kubelet": """
        container_cpu_usage_seconds_total container_cpu_cfs_throttled_periods_total
        container_cpu_cfs_periods_total container_memory_working_set_bytes
        container_memory_rss container_network_receive_bytes_total
        container_network_transmit_bytes_total container_fs_writes_bytes_total
        container_fs_reads_bytes_total kubelet_volume_stats_available_bytes
        kubelet_volume_stats_capacity_bytes kubelet_volume_stats_inodes_free
        kubelet_volume_stats_inodes""",
    "node-exporter": """
        node_cpu_seconds_total node_load1 node_load5 node_memory_MemAvailable_bytes
        node_memory_MemTotal_bytes node_filesystem_avail_bytes node_filesystem_size_bytes
        node_filesystem_readonly node_filesystem_files_free node_filesystem_files
        node_network_receive_bytes_total node_network_transmit_bytes_total
        node_disk_io_time_seconds_total node_disk_read_bytes_total
        node_disk_written_bytes_total node_pressure_cpu_waiting_seconds_total
        node_pressure_memory_waiting_seconds_total node_timex_offset_seconds
        node_timex_sync_status node_boot_time_seconds node_uname_info""",
    "conductor": """
        holdfast_build_info holdfast_services holdfast_ledger_entries holdfast_event_streams
        holdfast_api_requests_total holdfast_api_request_seconds holdfast_facts_total
        holdfast_rollouts_finished_total holdfast_replicas_wanted holdfast_instances
        holdfast_in_flight holdfast_restarts holdfast_traffic_weight_percent
        holdfast_rollout_running holdfast_rollout_step holdfast_hold holdfast_lease_generation
        holdfast_service_trouble""",
    "cert-manager": """
        certmanager_certificate_expiration_timestamp_seconds
        certmanager_certificate_ready_status
        certmanager_certificate_renewal_timestamp_seconds""",
    "argocd": "argocd_app_info argocd_app_sync_total argocd_app_reconcile",
    "flagger": """
        flagger_canary_status flagger_canary_total flagger_canary_weight
        flagger_canary_duration_seconds""",
    "velero": """
        velero_backup_last_successful_timestamp velero_backup_last_status
        velero_backup_failure_total velero_backup_partial_failure_total
        velero_backup_success_total velero_backup_attempt_total
        velero_backup_duration_seconds""",
    "otel-collector": """
        otelcol_receiver_accepted_spans otelcol_receiver_refused_spans
        otelcol_exporter_sent_spans otelcol_exporter_send_failed_spans
        otelcol_exporter_enqueue_failed_spans otelcol_exporter_queue_size
        otelcol_exporter_queue_capacity traces_span_metrics_calls_total
        traces_span_metrics_duration_milliseconds traces_service_graph_request_total
        traces_service_graph_request_failed_total traces_service_graph_request_server_seconds
        traces_service_graph_request_client_seconds""",
    "fluent-bit": """
        fluentbit_output_dropped_records_total fluentbit_output_retries_failed_total
        fluentbit_output_proc_records_total fluentbit_input_records_total""",
    "cloudnative-pg": """
        cnpg_collector_up cnpg_pg_replication_lag cnpg_pg_replication_streaming_replicas
        barman_cloud_cloudnative_pg_io_last_available_backup_timestamp
        barman_cloud_cloudnative_pg_io_last_failed_backup_timestamp
        barman_cloud_cloudnative_pg_io_first_recoverability_point
        cnpg_pgbouncer_pools_cl_waiting cnpg_pgbouncer_pools_maxwait
        cnpg_pg_stat_archiver_seconds_since_last_archival
        cnpg_pg_stat_archiver_failed_count
        cnpg_pg_stat_archiver_last_failed_time
        cnpg_pg_stat_archiver_last_archived_time cnpg_collector_pg_wal_archive_status
        cnpg_backends_total cnpg_pg_settings_setting cnpg_pg_database_size_bytes
        cnpg_pg_stat_database_xact_commit cnpg_pg_stat_database_xact_rollback""",
    "postgres-exporter": """
        pg_up pg_stat_activity_count pg_settings_max_connections pg_replication_lag_seconds
        pg_database_size_bytes pg_stat_database_xact_commit pg_stat_database_xact_rollback""",
    "cockroachdb": """
        ranges_unavailable ranges_underreplicated liveness_livenodes sys_uptime
        sql_query_count sql_service_latency capacity_available capacity""",
    "redis-exporter": """
        redis_up redis_connected_slaves redis_memory_used_bytes redis_memory_max_bytes
        redis_evicted_keys_total redis_keyspace_hits_total redis_keyspace_misses_total
        redis_connected_clients redis_commands_processed_total redis_instance_info
        redis_master_link_up""",
    "strimzi": """
        kafka_server_replicamanager_underreplicatedpartitions
        kafka_controller_kafkacontroller_offlinepartitionscount
        kafka_server_brokertopicmetrics_messagesin_total
        kafka_server_brokertopicmetrics_bytesin_total""",
    "kafka-exporter": """
        kafka_consumergroup_lag kafka_consumergroup_current_offset
        kafka_topic_partition_current_offset kafka_topic_partition_under_replicated_partition
        kafka_brokers""",
    "minio": """
        minio_cluster_drive_offline_total minio_cluster_drive_online_total
        minio_cluster_nodes_offline_total minio_cluster_capacity_usable_free_bytes
        minio_cluster_capacity_usable_total_bytes minio_s3_requests_total""",
    "opencost": """
        node_total_hourly_cost node_cpu_hourly_cost node_ram_hourly_cost pv_hourly_cost
        container_cpu_allocation container_memory_allocation_bytes""",
    "program": """
        process_cpu_seconds_total process_resident_memory_bytes process_open_fds process_max_fds
        process_start_time_seconds""",
}
#: name -> exporter.
EXPORTED: Final = {name: exporter for exporter, names in _NAMES.items() for name in names.split()}
_RECORDED = re.compile(r"[a-z_]+:[a-z_0-9]+:[a-z_0-9]*")


def exporter(name: str, service: Service) -> str | None:
    """Who exports a series of this name; ``None``: nobody. ``rules`` records names with colons."""
    if _RECORDED.fullmatch(name):
        return "rules"
    business = {metric.name: metric for metric in service.observability.metrics}
    for candidate in _bases(name):
        if candidate in business:
            return "service"
        if candidate in EXPORTED:
            return EXPORTED[candidate]
    return None


def names(exporter: str) -> tuple[str, ...]:
    """What one exporter exports."""
    return tuple(_NAMES[exporter].split())


def _bases(name: str) -> Iterator[str]:
    yield name
    for suffix in _SUFFIXES:
        if name.endswith(suffix):
            yield name.removesuffix(suffix)
