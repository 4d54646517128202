"""When instances suffer: crash loops, missing instances, stuck rollouts, saturation."""

from __future__ import annotations

from holdfast.artifacts import signals
from holdfast.artifacts.names import duration, namespace
from holdfast.artifacts.observability.rule import Condition
from holdfast.artifacts.signals import RECORDED
from holdfast.spec.model import Service

_KINDS = {
    "deployment": ("deployment", "kube_deployment_spec_replicas",
                   "kube_deployment_status_replicas_ready"),
    "stateful": ("statefulset", "kube_statefulset_replicas",
                 "kube_statefulset_status_replicas_ready"),
    "daemon": ("daemonset", "kube_daemonset_status_desired_number_scheduled",
               "kube_daemonset_status_number_ready"),
}  # fmt: skip
_UPDATED = {
    "deployment": "kube_deployment_status_replicas_updated",
    "stateful": "kube_statefulset_status_replicas_updated",
    "daemon": "kube_daemonset_status_updated_number_scheduled",
}


def conditions(service: Service) -> dict[str, Condition]:
    return {
        "PodCrashLooping": _crashes(service),
        "InstancesMissing": _missing(service),
        "RolloutStuck": _stuck(service),
        "DisruptionBudgetExhausted": _disruptions(service),
        "CpuSaturated": _saturated(service, "cpu", 0.9),
        "CpuThrottled": _throttled(service),
        "MemorySaturated": _memory(service),
        "AutoscalerAtLimit": _autoscaler(service),
        "JobFailed": _jobs(service),
        "VolumeFillsUp": _volumes(service),
        "ServiceUnreachable": Condition(
            f'min by (region, instance) (probe_success{{job="{service.service}-outside"}}) == 0',
            "2m", "{{ $labels.instance }} does not answer from {{ $labels.region }}.",
        ),
    }  # fmt: skip


def _crashes(service: Service) -> Condition:
    chosen = signals.pods(service)
    restarts = f"increase(kube_pod_container_status_restarts_total{{{chosen}}}[10m]) >= 3"
    waiting = f'kube_pod_container_status_waiting_reason{{{chosen},reason="CrashLoopBackOff"}} == 1'
    detail = "{{ $labels.pod }} in {{ $labels.region }} does not stay alive."
    return Condition(f"{restarts} or {waiting}", "1m", detail)


def _workload(service: Service) -> tuple[str, str, str]:
    """Matchers of the workload, Flagger's primary included; what it wants, what is ready."""
    label, wanted, ready = _KINDS[service.kubernetes.workload]
    chosen = f'namespace="{namespace(service)}",{label}=~"{service.service}(-primary)?"'
    return chosen, wanted, ready


def _missing(service: Service) -> Condition:
    chosen, wanted, ready = _workload(service)
    missing = f"{wanted}{{{chosen}}} - {ready}{{{chosen}}} > {service.rollout.max_unavailable}"
    detail = "{{ $value }} instances in {{ $labels.region }} are not ready."
    return Condition(missing, duration(max(120.0, 2 * service.probes.start_within)), detail)


def _stuck(service: Service) -> Condition:
    """Not all instances are of the new release, and for long no further one was."""
    chosen, wanted, _ = _workload(service)
    updated = f"{_UPDATED[service.kubernetes.workload]}{{{chosen}}}"
    window = duration(max(60.0, service.rollout.deadline))
    still = f"changes({updated}[{window}]) == 0"
    behind = f"{wanted}{{{chosen}}} - {updated} > 0 and {still}"
    return Condition(behind, "1m", "{{ $value }} instances are of the old release.")


def _disruptions(service: Service) -> Condition:
    name = f'namespace="{namespace(service)}",poddisruptionbudget=~"{service.service}.*"'
    allowed = f"kube_poddisruptionbudget_status_pod_disruptions_allowed{{{name}}} == 0"
    expected = f"kube_poddisruptionbudget_status_expected_pods{{{name}}} > 0"
    detail = "{{ $labels.poddisruptionbudget }} allows nobody to go."
    return Condition(f"{allowed} and {expected}", "30m", detail)


def _saturated(service: Service, resource: str, above: float) -> Condition:
    chosen = f'{{service="{service.service}",resource="{resource}"}}'
    detail = f"{{{{ $value | humanizePercentage }}}} of the {resource} limit is used."
    return Condition(f"{RECORDED.saturation}{chosen} > {above}", "15m", detail)


def _memory(service: Service) -> Condition:
    """Of the fullest instance: the mean hides the one that is killed next."""
    chosen = signals.pods(service)
    limit = f'kube_pod_container_resource_limits{{{chosen},resource="memory"}}'
    used = f"max by (region, namespace, pod) (container_memory_working_set_bytes{{{chosen}}})"
    ratio = f"{used} / max by (region, namespace, pod) ({limit})"
    detail = "{{ $labels.pod }} uses {{ $value | humanizePercentage }} of its memory limit."
    return Condition(f"{ratio} > 0.95", "5m", detail)


def _throttled(service: Service) -> Condition:
    chosen = signals.pods(service)
    periods = "container_cpu_cfs{}_periods_total"
    parts = (f"sum by (region) (rate({periods.format(each)}{{{chosen}}}[5m]))"
             for each in ("_throttled", ""))  # fmt: skip
    detail = "{{ $value | humanizePercentage }} of the scheduler's periods are cut short."
    return Condition(f"{' / '.join(parts)} > 0.25", "15m", detail)


def _autoscaler(service: Service) -> Condition:
    scaler = "kube_horizontalpodautoscaler_"
    chosen = (
        f'{{namespace="{namespace(service)}",'
        f'horizontalpodautoscaler=~"(keda-hpa-)?{service.service}(-primary)?"}}'
    )
    at = f"{scaler}status_desired_replicas{chosen} >= {scaler}spec_max_replicas{chosen}"
    return Condition(at, "15m", "{{ $value }} instances are wanted, and no more may be had.")


def _jobs(service: Service) -> Condition:
    names = "|".join(job.name for job in service.kubernetes.jobs)
    chosen = f'namespace="{namespace(service)}",job_name=~"({service.service}-)?({names}).*"'
    return Condition(
        f"kube_job_status_failed{{{chosen}}} > 0", "1m", "{{ $labels.job_name }} failed."
    )


def _volumes(service: Service) -> Condition:
    free, size = (f'kubelet_volume_stats_{each}_bytes{{namespace="{namespace(service)}"}}'
                  for each in ("available", "capacity"))  # fmt: skip
    soon = f"predict_linear({free}[6h], 4 * 3600) < 0 and {free} / {size} < 0.4"
    now = f"{free} / {size} < 0.05"
    detail = "{{ $labels.persistentvolumeclaim }} in {{ $labels.region }} is nearly full."
    return Condition(f"({soon}) or {now}", "15m", detail)
