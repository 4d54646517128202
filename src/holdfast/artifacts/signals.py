"""Which PromQL gives requests, errors, latency and saturation: said here and nowhere else.

Four places count what users got, and each names its series in its own way:

- ``istio``: the sidecars of the callers (``reporter="source"``). The callers' side is the users'
  side: it also counts what never reached an instance. With ``kubernetes.ingress: gateway`` and no
  mesh the Gateway is Istio's too (gateway class ``istio``), so the names are the same.
- ``nginx``: ingress-nginx. Its own ``namespace`` label arrives as ``exported_namespace``.
- ``traefik``: the names of its services are ``namespace-service-port@provider``.
- ``envoy``: the Envoy of the local target. Users' view: the connection manager ``service``.
  Releases: clusters, whose names are the ids of releases (``targets/local/envoy_config.py``).

Of HTTP a failure is a status of 500 and above, of gRPC one of the statuses that mean a fault of
the server (the same as in ``targets/local/envoy_stats.py``), of TCP a connection that could not
be made. Flagger runs a service as ``NAME-primary`` and ``NAME-canary``, the Kubernetes target gives
each release a Service ``NAME-HASH``: all of them are the service.

``recorded`` are the names under which rules, dashboards and the autoscaler read all this, whoever
counted it. Sources of the names: Istio Standard Metrics; ingress-nginx, Prometheus metrics;
Traefik, Metrics; Envoy, ``/stats/prometheus``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from holdfast.artifacts.names import duration, namespace
from holdfast.spec.model import Service

Place = Literal["kubernetes", "local"]
#: gRPC statuses that are the server's fault: UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL,
#: UNAVAILABLE, DATA_LOSS.
GRPC_FAULTS: Final = (2, 4, 12, 13, 14, 15)
#: Upper bounds in seconds of each source's latency histogram.
ENVOY_BUCKETS: Final = (
    0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip
NGINX_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
#: Traefik's own four are too coarse to judge by: set these in its ``metrics.prometheus.buckets``.
TRAEFIK_BUCKETS: Final = NGINX_BUCKETS


def quote(value: str) -> str:
    """A PromQL string, whatever is in the text."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


@dataclass(frozen=True, slots=True)
class Selector:
    """A PromQL instant vector selector: the name of a metric and its matchers."""

    metric: str  # empty: the matchers name it
    matchers: tuple[str, ...] = ()

    def where(self, *more: str) -> Selector:
        return replace(self, matchers=(*self.matchers, *(each for each in more if each)))

    def named(self, metric: str) -> Selector:
        return replace(self, metric=metric)

    def __str__(self) -> str:
        return f"{self.metric}{{{','.join(self.matchers)}}}" if self.matchers else self.metric


@dataclass(frozen=True, slots=True)
class Source:
    """One place that counts requests.

    ``more`` in the methods below are further matchers, ``by`` are the labels to keep. Without
    ``by`` the result has no labels. Ratios are between 0 and 1, latencies in seconds, rates per
    second. ``window`` is a PromQL duration such as ``5m``.
    """

    name: Literal["istio", "nginx", "traefik", "envoy"]
    counted: Selector  # a counter of all requests, or of all connections of TCP
    failed: Selector
    histogram: Selector  # without ``_bucket``; an empty metric: latency is not measured here
    per_second: int  # the histogram's units in one second: 1, or 1000 for milliseconds
    bounds: tuple[float, ...]  # upper bounds of its buckets in seconds
    release: str = ""  # the label by which releases differ

    def requests(self, window: str, more: str = "", by: Sequence[str] = ()) -> str:
        return f"{_sum(by)}(rate({self.counted.where(more)}[{window}]))"

    def errors(self, window: str, more: str = "", by: Sequence[str] = ()) -> str:
        """Zero where there are requests and none failed: silence would hide the next one."""
        failed = f"{_sum(by)}(rate({self.failed.where(more)}[{window}]))"
        return f"{failed} or 0 * {self.requests(window, more, by)}"

    def error_ratio(self, window: str, more: str = "", by: Sequence[str] = ()) -> str:
        return f"({self.errors(window, more, by)}) / {self.requests(window, more, by)}"

    def timed(self, window: str, more: str = "", by: Sequence[str] = ()) -> str:
        """Requests whose latency is known: the whole of which ``slow`` is a part."""
        total = self.histogram.named(f"{self.histogram.metric}_count").where(more)
        return f"{_sum(by)}(rate({total}[{window}]))"

    def slow(self, than: float, window: str, more: str = "", by: Sequence[str] = ()) -> str:
        """Requests slower than the smallest bound of a bucket that is no less than ``than``."""
        within = f"{_sum(by)}(rate({self.within(than).where(more)}[{window}]))"
        return f"{self.timed(window, more, by)} - {within}"

    def slow_ratio(self, than: float, window: str, more: str = "", by: Sequence[str] = ()) -> str:
        return f"({self.slow(than, window, more, by)}) / {self.timed(window, more, by)}"

    def latency(self, quantile: float, window: str, more: str = "", by: Sequence[str] = ()) -> str:
        """A quantile of latency in seconds."""
        buckets = self.histogram.named(f"{self.histogram.metric}_bucket").where(more)
        found = f"histogram_quantile({quantile}, {_sum((*by, 'le'))}(rate({buckets}[{window}])))"
        return f"{found} / {self.per_second}" if self.per_second != 1 else found

    def bound(self, than: float) -> float:
        """The smallest bound of a bucket that is no less than ``than`` seconds."""
        return next((each for each in self.bounds if each >= than), self.bounds[-1])

    @property
    def measures_latency(self) -> bool:
        return bool(self.histogram.metric)

    def within(self, than: float) -> Selector:
        """The bucket of those that are not ``slow``. Prometheus 3 writes the bound 10 as ``10.0``,
        Prometheus 2 as the program said it."""
        said = f"{self.bound(than) * self.per_second:g}"
        le = f'le="{said}"' if "." in said else f'le=~"{said}([.]0)?"'
        return self.histogram.named(f"{self.histogram.metric}_bucket").where(le)


def _sum(by: Sequence[str]) -> str:
    return f"sum by ({', '.join(by)}) " if by else "sum"


def source(service: Service, place: Place = "kubernetes") -> Source:
    """Who counts what users of this service get."""
    if place == "local":
        return _envoy_listener(service)
    if service.kubernetes.mesh == "istio" or service.kubernetes.ingress == "gateway":
        return _istio(service)
    return _nginx(service) if service.kubernetes.ingress == "nginx" else _traefik(service)


def release_source(service: Service, place: Place = "kubernetes") -> Source:
    """Who counts the requests of each release; ``Source.release`` is the label of it."""
    return _envoy_cluster(service) if place == "local" else source(service, place)


def _istio(service: Service) -> Source:
    chosen = (
        'reporter="source"',
        f'destination_service_name=~"{service.service}(-primary|-canary|-[0-9a-f]{{10}})?"',
        f'destination_service_namespace="{namespace(service)}"',
    )
    counted = Selector("istio_requests_total", chosen)
    failed, protocol = counted.where('response_code=~"5.."'), service.traffic.protocol
    histogram = Selector("istio_request_duration_milliseconds", chosen)
    if protocol == "grpc":
        failed = counted.where(f'grpc_response_status=~"{_alternatives()}"')
    if protocol == "tcp":  # the access flags of an upstream that could not be reached
        counted = Selector("istio_tcp_connections_opened_total", chosen)
        failed = Selector("istio_tcp_connections_closed_total", chosen).where(
            'response_flags=~".*(UF|UH|UO|URX|NR|NC).*"'
        )
        histogram = Selector("")
    return Source("istio", counted, failed, histogram, 1000, ENVOY_BUCKETS, "destination_version")


def _nginx(service: Service) -> Source:
    chosen = (
        f'ingress=~"{service.service}(-canary)?"',
        f'exported_namespace="{namespace(service)}"',
    )
    counted = Selector("nginx_ingress_controller_requests", chosen)
    histogram = Selector("nginx_ingress_controller_request_duration_seconds", chosen)
    failed = counted.where('status=~"5.."')
    return Source("nginx", counted, failed, histogram, 1, NGINX_BUCKETS, "canary")


def _traefik(service: Service) -> Source:
    name = f"{namespace(service)}-{service.service}"
    chosen = (f'service=~"{name}(-primary|-canary)?-[^-@]+@kubernetes.*"',)
    counted = Selector("traefik_service_requests_total", chosen)
    histogram = Selector("traefik_service_request_duration_seconds", chosen)
    failed = counted.where('code=~"5.."')
    return Source("traefik", counted, failed, histogram, 1, TRAEFIK_BUCKETS, "service")


def _envoy_listener(service: Service) -> Source:
    """What Envoy answered its users: after retries, from whichever release."""
    if service.traffic.protocol in ("grpc", "tcp"):  # counted by cluster only
        return _envoy_cluster(service)
    chosen = ('envoy_http_conn_manager_prefix="service"', f'service="{service.service}"')
    counted = Selector("envoy_http_downstream_rq_xx", chosen)
    failed = counted.where('envoy_response_code_class="5"')
    histogram = Selector("envoy_http_downstream_rq_time", chosen)
    return Source("envoy", counted, failed, histogram, 1000, ENVOY_BUCKETS)


def _envoy_cluster(service: Service) -> Source:
    chosen = (f'service="{service.service}"',)
    counted = Selector("envoy_cluster_upstream_rq_xx", chosen)
    failed, protocol = counted.where('envoy_response_code_class="5"'), service.traffic.protocol
    histogram = Selector("envoy_cluster_upstream_rq_time", chosen)
    if protocol == "grpc":
        counted = Selector("envoy_cluster_grpc_total", chosen)
        failed = Selector("", (f'__name__=~"envoy_cluster_grpc_({_alternatives()})"', *chosen))
    if protocol == "tcp":
        counted = Selector("envoy_cluster_upstream_cx_total", chosen)
        failed = Selector("envoy_cluster_upstream_cx_connect_fail", chosen)
        histogram = Selector("")
    return Source("envoy", counted, failed, histogram, 1000, ENVOY_BUCKETS, "envoy_cluster_name")


def _alternatives() -> str:
    return "|".join(map(str, GRPC_FAULTS))


# ---- saturation ----------------------------------------------------------------------------------


def pods(service: Service) -> str:
    """Matchers of the service's containers in the metrics of cAdvisor and kube-state-metrics."""
    name = service.service
    return f'namespace="{namespace(service)}",pod=~"{name}-.*",container="{name}"'


def saturation(service: Service, resource: str, place: Place = "kubernetes") -> str:
    """Used part of what is there at most, between 0 and 1; ``resource``: ``cpu``, ``memory``.

    On the local target the bound is the circuit breaker's: ``requests`` in flight.
    """
    if place == "local":
        active = Selector("envoy_cluster_upstream_rq_active", (f'service="{service.service}"',))
        return f"max by (region) ({active}) / {service.traffic.breaker.max_requests}"
    chosen, limits = pods(service), f"kube_pod_container_resource_limits{{{pods(service)},resource"
    if resource == "cpu":
        used = f"sum by (region) (rate(container_cpu_usage_seconds_total{{{chosen}}}[5m]))"
    else:
        used = f"sum by (region) (container_memory_working_set_bytes{{{chosen}}})"
    return f'{used} / sum by (region) ({limits}="{resource}"}})'


# ---- the names under which everything else reads it ----------------------------------------------


@dataclass(frozen=True, slots=True)
class Recorded:
    """Names of recorded series. All have the labels ``service`` and ``region``."""

    requests: str = "service:requests:rate"
    errors: str = "service:errors:rate"
    slow: str = "service:slow_requests:rate"
    timed: str = "service:timed_requests:rate"  # those whose latency is known
    latency: str = "service:latency_seconds:quantile"  # label ``quantile``: 0.5, 0.9, 0.99
    saturation: str = "service:saturation:ratio"  # label ``resource``
    release_requests: str = "release:requests:rate"  # label ``release``
    release_errors: str = "release:errors:rate"
    release_latency: str = "release:latency_seconds:p99"
    error_ratio: str = "slo:error_ratio:"  # then the window; label ``slo``
    burn_rate: str = "slo:burn_rate:1h"  # 1: the budget lasts exactly as long as it should
    objective: str = "slo:objective:ratio"
    budget_left: str = "slo:error_budget_remaining:ratio"  # of the label ``window``

    def chosen(self, name: str, service: Service, *more: str) -> Selector:
        """A recorded series of this service."""
        return Selector(name, (f"service={quote(service.service)}",)).where(*more)


RECORDED: Final = Recorded()


def base_window(service: Service) -> str:
    """The window of the recorded rates: four scrapes, and no less than a minute."""
    return duration(max(60.0, 4 * service.observability.scrape))
