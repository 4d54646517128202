"""System health: signals, instances, nodes, data services, rollouts."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.artifacts import signals
from holdfast.artifacts.names import namespace
from holdfast.artifacts.observability.dashboards.chart import (
    HERE,
    RELEASE,
    Board,
    Chart,
    Query,
    Row,
    chart,
)
from holdfast.artifacts.observability.signal_rules import QUANTILES
from holdfast.artifacts.signals import RECORDED
from holdfast.spec.model import Service


def system(service: Service) -> Board:
    rows = [
        Row("Signals", tuple(_signals(service))),
        Row("Instances", tuple(_instances(service))),
        Row("Rollouts", tuple(_rollouts(service))),
        Row("Nodes", tuple(_nodes())),
    ]
    data = tuple(_data(service))
    if data:
        rows.append(Row("Data services", data))
    about = "Whether the service, its nodes and its data services are well."
    return Board("system", f"{service.service}: system health", about, tuple(rows))


def _of(service: Service, name: str, *more: str) -> str:
    return str(RECORDED.chosen(name, service, HERE, *more))


def _signals(service: Service) -> Iterator[Chart]:
    requests, errors = (_of(service, each) for each in (RECORDED.requests, RECORDED.errors))
    yield chart("Requests", f"sum by (region) ({requests})", "{{region}}", "reqps")
    ratio = f"sum by (region) ({errors}) / sum by (region) ({requests})"
    yield chart("Failures", ratio, "{{region}}", "percentunit")
    if signals.source(service).measures_latency:
        quantiles = tuple(
            Query(f"max({_of(service, RECORDED.latency, _quantile(each))})", f"p{each * 100:g}")
            for each in QUANTILES
        )
        yield Chart("Latency", quantiles, "s", limit=service.promises.p99)
    saturation = f"max by (region, resource) ({_of(service, RECORDED.saturation)})"
    yield Chart(
        "Saturation", (Query(saturation, "{{resource}} {{region}}"),), "percentunit", limit=0.9
    )


def _quantile(each: float) -> str:
    return f'quantile="{each}"'


def _instances(service: Service) -> Iterator[Chart]:
    chosen = f"{signals.pods(service)},{HERE}"
    space = f'namespace="{namespace(service)}",pod=~"{service.service}-.*",{HERE}'
    ready = f'sum by (region) (kube_pod_status_ready{{{space},condition="true"}})'
    yield chart("Ready", ready, "{{region}}")
    restarts = f"increase(kube_pod_container_status_restarts_total{{{chosen}}}[1h])"
    yield chart("Restarts in an hour", f"sum by (region) ({restarts})", "{{region}}")
    cores = f"rate(container_cpu_usage_seconds_total{{{chosen}}}[5m])"
    yield chart("Cores, the busiest five", f"topk(5, {cores})", "{{pod}}")
    cut, periods = (
        f"sum by (region) (rate(container_cpu_cfs_{each}periods_total{{{chosen}}}[5m]))"
        for each in ("throttled_", "")
    )
    yield chart("Throttled", f"{cut} / {periods}", "{{region}}", "percentunit")
    memory = f"topk(5, container_memory_working_set_bytes{{{chosen}}})"
    yield chart("Memory, the fullest five", memory, "{{pod}}", "bytes")
    network = f"sum by (region) (rate(container_network_transmit_bytes_total{{{space}}}[5m]))"
    yield chart("Sent", network, "{{region}}", "Bps")


def _rollouts(service: Service) -> Iterator[Chart]:
    chosen = f'{{service="{service.service}",{HERE}}}'
    share = _of(service, RECORDED.release_requests, RELEASE)
    whole = f"sum by (release) ({share}) / on () group_left () sum({share})"
    yield Chart("Traffic by release", (Query(whole, "{{release}}"),), "percentunit", "stacked")
    yield chart(
        "A rollout runs", f"max by (region) (holdfast_rollout_running{chosen})", "{{region}}"
    )
    canary = f'{{name="{service.service}",namespace="{namespace(service)}",{HERE}}}'
    status = f"max by (region) (flagger_canary_status{canary})"
    yield Chart(
        "Canary by Flagger", (Query(status, "{{region}}"),),
        about="0 runs, 1 promoted, 2 taken back.",
    )  # fmt: skip


def _nodes() -> Iterator[Chart]:
    idle = f'rate(node_cpu_seconds_total{{mode="idle",{HERE}}}[5m])'
    busy = f"1 - avg by (region, instance) ({idle})"
    yield chart("Processor", busy, "{{instance}}", "percentunit")
    free, size = (f"node_memory_{each}_bytes{{{HERE}}}" for each in ("MemAvailable", "MemTotal"))
    yield chart("Memory", f"1 - {free} / {size}", "{{instance}}", "percentunit")
    disk = f'mountpoint="/",{HERE}'
    left = f"node_filesystem_avail_bytes{{{disk}}} / node_filesystem_size_bytes{{{disk}}}"
    yield chart("Disk", f"1 - {left}", "{{instance}}", "percentunit")


def _data(service: Service) -> Iterator[Chart]:
    data, here = service.resilience, f'{{namespace="{namespace(service)}",{HERE}}}'
    if data.database == "postgres":
        lag = f"max by (region, pod) (cnpg_pg_replication_lag{here})"
        yield Chart(
            "Database: how far copies are behind", (Query(lag, "{{pod}}"),), "s",
            limit=data.backup.rpo,
        )  # fmt: skip
        yield chart("Database: connections", f"sum by (pod) (cnpg_backends_total{here})", "{{pod}}")
    if data.database == "cockroach":
        yield chart("Database: nodes alive", f"max by (region) (liveness_livenodes{here})")
        yield chart("Database: ranges without quorum", f"sum(ranges_unavailable{here})")
    if data.cache == "redis":
        hits, misses = (
            f"rate(redis_keyspace_{each}_total{here}[5m])" for each in ("hits", "misses")
        )
        hit_ratio = f"sum({hits}) / (sum({hits}) + sum({misses}))"
        yield chart("Cache: hits", hit_ratio, "", "percentunit")
        yield chart("Cache: memory", f"redis_memory_used_bytes{here}", "{{pod}}", "bytes")
    if data.queue == "kafka":
        lag = f"sum by (consumergroup, topic) (kafka_consumergroup_lag{here})"
        yield chart("Queue: messages behind", lag, "{{consumergroup}} {{topic}}")
        under = f"sum(kafka_server_replicamanager_underreplicatedpartitions{here})"
        yield chart("Queue: partitions without a copy", under)
    if data.objects == "minio":
        yield chart("Objects: drives offline", f"sum(minio_cluster_drive_offline_total{here})")
