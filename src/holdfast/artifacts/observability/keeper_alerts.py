"""When what changes the service, or what watches it, is in trouble."""

from __future__ import annotations

from holdfast.artifacts.names import duration, namespace
from holdfast.artifacts.observability.rule import Condition
from holdfast.spec.model import Service


def conditions(service: Service) -> dict[str, Condition]:
    return {**_delivery(service), **_conductor(service), **_watchers()}


def _delivery(service: Service) -> dict[str, Condition]:
    app, canary = f'name=~"{service.service}.*"', f'name="{service.service}"'
    where = f'{canary},namespace="{namespace(service)}"'
    return {
        "ApplicationOutOfSync": Condition(
            f'argocd_app_info{{{app},sync_status!="Synced"}} == 1', "30m",
            "{{ $labels.name }} is {{ $labels.sync_status }}.",
        ),
        "ApplicationDegraded": Condition(
            f'argocd_app_info{{{app},health_status=~"Degraded|Missing"}} == 1', "10m",
            "{{ $labels.name }} is {{ $labels.health_status }}.",
        ),
        "CanaryTakenBack": Condition(
            f"flagger_canary_status{{{where}}} == 2", "1m", "The analysis refused the release."
        ),
    }  # fmt: skip


def _conductor(service: Service) -> dict[str, Condition]:
    chosen = f'service="{service.service}"'
    ended = f'holdfast_rollouts_finished_total{{{chosen},ending=~"reverted|stranded"}}'
    lost = f'holdfast_hold{{{chosen},code=~"stranded|refuge|ledger|target"}}'
    return {
        "RolloutHeld": Condition(
            f"holdfast_rollout_running{{{chosen}}} == 1", _longest(service),
            "`holdfast status` says what it waits for.",
        ),
        "ReleaseTakenBack": Condition(
            # A counter that was not there before never increases in Prometheus' eyes.
            f"increase({ended}[10m]) > 0 or ({ended} > 0 unless {ended} offset 10m)",
            detail="It ended as {{ $labels.ending }}; `holdfast history` says why.",
        ),
        "ConductorTrouble": Condition(
            f"holdfast_service_trouble{{{chosen}}} == 1 or {lost} == 1", "1m",
            "`holdfast status` says what.",
        ),
        "ConductorAbsent": Condition(
            f"absent(holdfast_replicas_wanted{{{chosen}}})", "2m", "`holdfast up` brings it back."
        ),
    }  # fmt: skip


def _longest(service: Service) -> str:
    return duration(max(60.0, service.rollout.deadline))


def _watchers() -> dict[str, Condition]:
    return {
        "Watchdog": Condition("vector(1)", detail="This alert always fires."),
        "TargetDown": Condition(
            "up == 0", "10m", "{{ $labels.job }} at {{ $labels.instance }} is not scraped."
        ),
        "RulesFail": Condition(
            "increase(prometheus_rule_evaluation_failures_total[5m]) > 0"
            " or increase(prometheus_rule_group_iterations_missed_total[5m]) > 3", "15m",
            "{{ $labels.rule_group }} on {{ $labels.instance }} is not evaluated.",
        ),
        "ConfigurationRejected": Condition(
            "prometheus_config_last_reload_successful == 0"
            " or alertmanager_config_last_reload_successful == 0", "10m",
            "{{ $labels.instance }} runs with an old configuration.",
        ),
        "NotificationsFail": Condition(
            "increase(alertmanager_notifications_failed_total[10m]) > 0"
            " or increase(prometheus_notifications_dropped_total[10m]) > 0", "5m",
            "{{ $labels.instance }} could not notify.",
        ),
        "TelemetryLost": Condition(
            "increase(otelcol_exporter_send_failed_spans[10m]) > 0"
            " or increase(otelcol_exporter_enqueue_failed_spans[10m]) > 0"
            " or increase(otelcol_receiver_refused_spans[10m]) > 0", "10m",
            "{{ $labels.instance }} loses spans.",
        ),
        "LogsLost": Condition(
            "increase(fluentbit_output_dropped_records_total[10m]) > 0"
            " or increase(fluentbit_output_retries_failed_total[10m]) > 0", "10m",
            "{{ $labels.instance }} loses log lines.",
        ),
    }  # fmt: skip
