"""The four boards: trading performance, system health, cost, objectives."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.artifacts import signals
from holdfast.artifacts.names import duration, namespace
from holdfast.artifacts.observability.dashboards.chart import (
    HERE,
    RELEASE,
    Board,
    Chart,
    Query,
    Row,
    Setting,
    chart,
)
from holdfast.artifacts.observability.dashboards.system import system
from holdfast.artifacts.observability.objective import Objective, objectives, period
from holdfast.artifacts.observability.slo_rules import served
from holdfast.artifacts.signals import RECORDED
from holdfast.spec.model import Service
from holdfast.spec.production.observability import BusinessMetric


def boards(service: Service) -> tuple[Board, ...]:
    return (trading(service), system(service), cost(service), promised(service))


def _of(service: Service, name: str, *more: str) -> str:
    return str(RECORDED.chosen(name, service, HERE, *more))


# ---- what the program does -----------------------------------------------------------------------


def trading(service: Service) -> Board:
    """The program's own metrics first: they are what the business is about."""
    rows = [Row("What is promised", tuple(_headline(service)))]
    business = tuple(_business(each, service) for each in service.observability.metrics)
    if business:
        rows.append(Row("What the program says of itself", business))
    rows.append(Row("By release", tuple(_by_release(service))))
    about = f"How well {service.service} does its work, by region and release."
    return Board("trading", f"{service.service}: performance", about, tuple(rows))


def _headline(service: Service) -> Iterator[Chart]:
    promises = service.promises
    rate = served(service).replace(
        f'service="{service.service}"', f'service="{service.service}",{HERE}'
    )
    yield Chart(
        "Throughput", (Query(f"sum({rate})"),), "ops", "number", width=6, height=5,
        limit=promises.throughput or None, worse="below",
        about="Units of work a second; promises.throughput.",
    )  # fmt: skip
    ratio = f"sum({_of(service, RECORDED.errors)}) / sum({_of(service, RECORDED.requests)})"
    yield Chart(
        "Failures", (Query(ratio),), "percentunit", "number", width=6, height=5,
        limit=float(next(objectives(service)).budget), about="Of all requests, now.",
    )  # fmt: skip
    if signals.source(service).measures_latency:
        worst = f"max({_of(service, RECORDED.latency, _P99)})"
        yield Chart(
            "p99 of latency", (Query(worst),), "s", "number", width=6, height=5,
            limit=promises.p99, about="Of the slowest region; promises.p99.",
        )  # fmt: skip
    left = f"min({_of(service, RECORDED.budget_left, _SLO)})"
    yield Chart(
        "Error budget left", (Query(left),), "percentunit", "number", width=6, height=5, limit=0.0,
        worse="below",
    )  # fmt: skip


_SLO, _P99 = 'slo="availability"', 'quantile="0.99"'


def _business(metric: BusinessMetric, service: Service) -> Chart:
    title, chosen = metric.title or metric.name, _chosen(service)
    if metric.kind == "counter":
        expr = f"sum by (region) (rate({metric.name}{chosen}[5m]))"
        return chart(title, expr, "{{region}}", metric.unit)
    if metric.kind == "gauge":  # parts of a whole are averaged, amounts add up
        how = "avg" if metric.unit.startswith("percent") else "sum"
        return chart(title, f"{how} by (region) ({metric.name}{chosen})", "{{region}}", metric.unit)
    buckets = f"sum by (le) (rate({metric.name}_bucket{chosen}[5m]))"
    queries = tuple(
        Query(f"histogram_quantile({quantile}, {buckets})", f"p{quantile * 100:g}")
        for quantile in (0.5, 0.9, 0.99)
    )
    return Chart(title, queries, metric.unit)


def _chosen(service: Service) -> str:
    return f'{{service="{service.service}",{HERE},{RELEASE}}}'


def _by_release(service: Service) -> Iterator[Chart]:
    requests = _of(service, RECORDED.release_requests, RELEASE)
    errors = _of(service, RECORDED.release_errors, RELEASE)
    yield chart("Requests", f"sum by (release) ({requests})", "{{release}}", "reqps")
    ratio = f"sum by (release) ({errors}) / sum by (release) ({requests})"
    yield chart("Failures", ratio, "{{release}}", "percentunit")
    if signals.source(service).measures_latency:
        latency = f"max by (release) ({_of(service, RECORDED.release_latency, RELEASE)})"
        yield Chart(
            "p99 of latency", (Query(latency, "{{release}}"),), "s", limit=service.promises.p99
        )


# ---- what it costs -------------------------------------------------------------------------------

#: AWS Fargate's list prices in us-east-1 (x86), an hour; a reader types in their own.
_PRICES = (
    Setting("core_price", "Price of a core, $/h", "0.04048"),
    Setting("gib_price", "Price of a GiB, $/h", "0.004445"),
)


def cost(service: Service) -> Board:
    reserved, used = _reserved(service), _used(service)
    hourly = f"({reserved['cpu']} * $core_price + {reserved['memory']} / 2^30 * $gib_price)"
    wasted = " + ".join(
        f"clamp_min({reserved[kind]} - {used[kind]}, 0) * {price}"
        for kind, price in (("cpu", "$core_price"), ("memory", "$gib_price / 2^30"))
    )
    requests = f"sum by (region) ({_of(service, RECORDED.requests)})"
    each = f"{hourly} / on (region) ({requests} * 3600 / 1e6)"
    money = Row(
        "Money",
        (
            Chart("Cost an hour", (Query(f"sum({hourly})"),), "currencyUSD", "number"),
            Chart("Cost a month", (Query(f"sum({hourly}) * 730"),), "currencyUSD", "number"),
            Chart("Reserved and not used, a month", (Query(f"sum({wasted}) * 730"),),
                  "currencyUSD", "number"),
            chart("Cost an hour by region", hourly, "{{region}}", "currencyUSD"),
            chart("Cost of a million requests", each, "{{region}}", "currencyUSD"),
            chart("Not used by region, an hour", wasted, "{{region}}", "currencyUSD"),
        ),
    )  # fmt: skip
    amounts = Row("Reserved and used", tuple(_amounts(service)))
    about = "What the reserved processor and memory cost; prices are typed in above."
    title = f"{service.service}: cost"
    return Board("cost", title, about, (money, amounts), _PRICES)


def _reserved(service: Service) -> dict[str, str]:
    metric, chosen = "kube_pod_container_resource_requests", signals.pods(service)
    return {
        kind: f'sum by (region) ({metric}{{{chosen},resource="{kind}",{HERE}}})'
        for kind in ("cpu", "memory")
    }


def _used(service: Service) -> dict[str, str]:
    chosen = f"{{{signals.pods(service)},{HERE}}}"
    return {
        "cpu": f"sum by (region) (rate(container_cpu_usage_seconds_total{chosen}[5m]))",
        "memory": f"sum by (region) (container_memory_working_set_bytes{chosen})",
    }


def _amounts(service: Service) -> Iterator[Chart]:
    reserved, used = _reserved(service), _used(service)
    for kind, title, unit in (("cpu", "Cores", "short"), ("memory", "Memory", "bytes")):
        queries = (
            Query(reserved[kind], "reserved {{region}}"),
            Query(used[kind], "used {{region}}"),
        )
        yield Chart(title, queries, unit, width=12)
    if service.kubernetes.workload == "stateful" or service.resilience.database != "none":
        metric = "kube_persistentvolumeclaim_resource_requests_storage_bytes"
        chosen = f'{{namespace="{namespace(service)}",{HERE}}}'
        volumes = f"sum by (region) ({metric}{chosen})"
        yield Chart("Volumes", (Query(volumes, "{{region}}"),), "bytes", width=12)


# ---- what is promised ----------------------------------------------------------------------------


def promised(service: Service) -> Board:
    rows = [Row(each.about, tuple(_objective(each, service))) for each in objectives(service)]
    firing = f'ALERTS{{service="{service.service}",alertstate="firing",{HERE}}}'
    alerts = Chart("Alerts that fire", (Query(firing),), look="table", width=24)
    rows.append(Row("Alerts", (alerts,)))
    about = "What is promised, what was kept, and how fast the error budgets burn."
    title = f"{service.service}: objectives"
    return Board("objectives", title, about, tuple(rows))


def _objective(objective: Objective, service: Service) -> Iterator[Chart]:
    slo = f'slo="{objective.name}"'
    window = duration(period(service))
    left = _of(service, RECORDED.budget_left, slo)
    kept = f"1 - (1 - {left}) * {float(objective.budget):.10g}"
    over = f"over {window}, or since it is watched"
    yield Chart(
        "Kept", (Query(kept, "{{region}}"),), "percentunit", "number", width=6,
        about=f"Good requests {over}.", limit=float(objective.target), worse="below",
    )  # fmt: skip
    yield Chart(
        "Budget left", (Query(left, "{{region}}"),), "percentunit", "gauge", width=6, limit=0.0,
        worse="below", about=f"Of what may fail {over}.",
    )  # fmt: skip
    burn = _of(service, RECORDED.burn_rate, slo)
    yield Chart(
        "Burn rate of an hour", (Query(burn, "{{region}}"),), "short", width=12, limit=14.4,
        about="1: the budget lasts exactly as long as it should; a page comes at 14.4.",
    )  # fmt: skip
    ratios = tuple(
        Query(_of(service, objective.ratio(each), slo), f"{each} {{{{region}}}}")
        for each in ("5m", "1h", "6h", "1d", "3d")
    )
    yield Chart("Bad requests by window", ratios, "percentunit", width=12)
    counts = tuple(
        Query(f"sum({_of(service, name)})", legend)
        for name, legend in ((objective.total, "all"), (objective.bad, "bad"))
    )
    yield Chart("Requests", counts, "reqps", width=12)
