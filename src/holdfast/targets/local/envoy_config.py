"""What Envoy is told, as plain dictionaries. Pure: no files, no clock.

Measured facts behind the less obvious settings:

- ``update_merge_window: 0s``: the default holds back endpoint changes for one second;
- ``ignore_health_on_host_removal``: otherwise a removed but healthy host stays in the cluster;
- ``validate_clusters``: a route to an unknown cluster is refused instead of answering 503;
- ``no_traffic_interval``: otherwise a cluster without traffic is probed once a minute;
- ``successful_active_health_check_uneject_host: false``: otherwise the next health check ends
  an ejection after 0.1 s;
- ``grpc_timeout_header_offset``: otherwise the client of a hung call cancels first, and the
  failure is counted nowhere;
- ``enable_reuse_port: false``: otherwise a second Envoy on the same port silently shares it;
- a cluster of clusters (``refuge``) with ``previous_priorities``: otherwise the only replica of
  a canary that dies takes its users with it, for a retry stays within the release;
- every resource has its own directory: Envoy re-reads all files of a directory on any rename.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from holdfast.rollout.model import ReleaseId
from holdfast.spec.model import Probe, Service, Traffic

Config = dict[str, Any]
Weights = Sequence[tuple[ReleaseId, int]]

ROUTES = "service"  # the name of the one route configuration
RELEASE_HEADER = "x-holdfast-release"
_REFUGE = ">refuge>"  # in the name of a cluster, between a release and the one behind it
_TYPE = "type.googleapis.com/envoy."
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_RETRY_SAFE = "connect-failure,refused-stream,reset-before-request"
# As long as the caller says, less a moment: who answers first decides whether anybody knows.
_CALLERS_DEADLINE = {"grpc_timeout_header_max": "0s", "grpc_timeout_header_offset": "0.005s"}
_RETRY_MORE = dict.fromkeys(("http1", "http2"), ",reset,5xx") | {"grpc": ",reset,5xx,unavailable"}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One replica as Envoy sees it. A draining one finishes its work and gets nothing new."""

    port: int
    draining: bool = False


@dataclass(frozen=True, slots=True)
class Places:
    """Where the files of one Envoy are."""

    envoy: str  # directory
    admin: str  # Unix socket
    access_log: str

    def file(self, kind: str) -> str:
        return f"{self.envoy}/{kind}/{kind}.json"

    def endpoints(self, release: ReleaseId) -> str:
        return f"{self.envoy}/eds/{file_name(release)}/eds.json"


def file_name(release: ReleaseId) -> str:
    """A release id as one path component, whatever its letters."""
    return quote(release, safe="").replace(".", "%2E") if ".." in release else quote(release, "")


def bootstrap(service: str, places: Places) -> Config:
    """The static part; everything else is read from files while Envoy runs."""
    return {
        "node": {"id": service, "cluster": "holdfast"},
        "admin": {"address": {"pipe": {"path": places.admin, "mode": 0o600}}},
        "dynamic_resources": {
            "cds_config": _files(places.file("cds")),
            "lds_config": _files(places.file("lds")),
        },
        "stats_flush_on_admin": True,
        "overload_manager": {"resource_monitors": [_connection_limit()]},
    }


def _connection_limit() -> Config:
    kind = "extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"
    return {
        "name": "envoy.resource_monitors.global_downstream_max_connections",
        "typed_config": {"@type": _TYPE + kind, "max_active_downstream_connections": 100_000},
    }


def response(version: str, resources: Iterable[Config]) -> Config:
    """A file of one kind of resource. Envoy reports ``version`` once it took the file."""
    return {"version_info": version, "resources": list(resources)}


def _files(path: str) -> Config:
    directory = path.rsplit("/", 1)[0]
    return {
        "resource_api_version": "V3",
        "path_config_source": {"path": path, "watched_directory": {"path": directory}},
    }


def seconds(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".") + "s"


# ---- clusters and endpoints ---------------------------------------------------------------------


def cluster(release: ReleaseId, service: Service, places: Places) -> Config:
    """One release. Its replicas come from the release's own endpoint file."""
    traffic = service.traffic
    config: Config = {
        "@type": f"{_TYPE}config.cluster.v3.Cluster",
        "name": release,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": _files(places.endpoints(release))},
        "connect_timeout": "1s",
        "lb_policy": traffic.balance.upper().replace("-", "_"),
        "common_lb_config": {"update_merge_window": "0s", "healthy_panic_threshold": {"value": 1}},
        "ignore_health_on_host_removal": True,
        "health_checks": [_health_check(service.probes.ready, traffic)],
        "outlier_detection": _outlier(traffic),
        "circuit_breakers": {"thresholds": [_breaker(traffic)]},
    }
    if traffic.protocol in ("http2", "grpc"):
        config["typed_extension_protocol_options"] = {_HTTP_OPTIONS: _http2_upstream()}
    return config


def refuge(release: ReleaseId, other: ReleaseId, service: Service) -> Config:
    """A release with another one behind it, for what its own replicas cannot answer.

    Envoy counts a try that failed under this name, so the release is judged by it all the same.
    """
    traffic = service.traffic
    kind = "extensions.clusters.aggregate.v3.ClusterConfig"
    config: Config = {
        "@type": f"{_TYPE}config.cluster.v3.Cluster",
        "name": refuge_name(release, other),
        "connect_timeout": "1s",
        "lb_policy": "CLUSTER_PROVIDED",
        "cluster_type": {
            "name": "envoy.clusters.aggregate",
            "typed_config": {"@type": _TYPE + kind, "clusters": [release, other]},
        },
        "circuit_breakers": {"thresholds": [_breaker(traffic)]},
    }
    if traffic.protocol in ("http2", "grpc"):
        config["typed_extension_protocol_options"] = {_HTTP_OPTIONS: _http2_upstream()}
    return config


def refuge_name(release: ReleaseId, other: ReleaseId) -> str:
    return release + _REFUGE + other


def release_of(cluster_name: str) -> ReleaseId:
    """The release a cluster of the route stands for, with a refuge behind it or without."""
    return cluster_name.partition(_REFUGE)[0]


def _http2_upstream() -> Config:
    options: Config = {"explicit_http_config": {"http2_protocol_options": {}}}
    return {"@type": f"{_TYPE}{_HTTP_OPTIONS.removeprefix('envoy.')}", **options}


def _health_check(ready: Probe, traffic: Traffic) -> Config:
    every = seconds(max(ready.every, 0.01))
    check: Config = {
        "timeout": seconds(max(ready.timeout, 0.01)),
        "interval": every,
        "no_traffic_interval": every,
        "no_traffic_healthy_interval": every,
        "unhealthy_threshold": ready.failures,
        "healthy_threshold": ready.successes,
    }
    if not ready.path or traffic.protocol == "tcp":
        return {**check, "tcp_health_check": {}}
    if traffic.protocol == "grpc":  # the path is a service's name; "/" is the server as a whole
        return {**check, "grpc_health_check": {"service_name": ready.path.lstrip("/")}}
    http: Config = {
        "path": ready.path,
        "host": "localhost",
        "expected_statuses": [{"start": 200, "end": 400}],
    }
    if traffic.protocol == "http2":
        http["codec_client_type"] = "HTTP2"
    return {**check, "http_health_check": http}


def _outlier(traffic: Traffic) -> Config:
    outlier = traffic.outlier
    return {
        "consecutive_5xx": outlier.consecutive_5xx,
        "consecutive_gateway_failure": outlier.consecutive_5xx,
        "base_ejection_time": seconds(outlier.eject),
        "max_ejection_time": seconds(max(outlier.eject * 10, 30.0)),
        "max_ejection_percent": outlier.max_ejected,
        "interval": "1s",
        # A replica whose probe passes while its answers fail is just the one to keep away.
        "successful_active_health_check_uneject_host": False,
        # The success rate of a replica among its peers says little on few requests.
        "enforcing_success_rate": 0,
    }


def _breaker(traffic: Traffic) -> Config:
    breaker = traffic.breaker
    return {
        "max_connections": breaker.max_connections,
        "max_pending_requests": breaker.max_pending,
        "max_requests": breaker.max_requests,
        "max_retries": breaker.max_retries,
        "track_remaining": True,
    }


def assignment(release: ReleaseId, endpoints: Iterable[Endpoint]) -> Config:
    """The replicas of one release. Envoy accepts exactly one such resource per file."""
    return {
        "@type": f"{_TYPE}config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": release,
        "endpoints": [{"lb_endpoints": [_lb_endpoint(each) for each in endpoints]}],
    }


def _lb_endpoint(endpoint: Endpoint) -> Config:
    return {
        "endpoint": {"address": _address("127.0.0.1", endpoint.port)},
        "health_status": "DRAINING" if endpoint.draining else "UNKNOWN",
    }


def _address(host: str, port: int) -> Config:
    host = "127.0.0.1" if host == "localhost" else host
    return {"socket_address": {"address": host, "port_value": port}}


# ---- routes and the listener --------------------------------------------------------------------


def routes(weights: Weights, traffic: Traffic) -> Config:
    """Where requests go. Weights add up to 100; a release without weight is not named."""
    action: Config = {
        "weighted_clusters": {"clusters": _shares(weights)},
        "timeout": "0s" if traffic.protocol == "grpc" else seconds(traffic.timeout),
    }
    if traffic.protocol == "grpc":  # streams may be long, but not silent
        action["idle_timeout"] = seconds(traffic.timeout)
        action["max_stream_duration"] = _CALLERS_DEADLINE
    if traffic.retries:
        action["retry_policy"] = _retry(traffic)
    if traffic.balance == "ring-hash":
        action["hash_policy"] = [{"header": {"header_name": traffic.hash_header}}]
    return {
        "@type": f"{_TYPE}config.route.v3.RouteConfiguration",
        "name": ROUTES,
        "validate_clusters": True,
        "virtual_hosts": [
            {
                "name": ROUTES,
                "domains": ["*"],
                "routes": [{"match": {"prefix": "/"}, "route": action}],
            }
        ],
    }


def _shares(weights: Weights) -> list[Config]:
    """Whoever has less than the most may fall back on the one that has: never the other way."""
    most, largest = max(weights, key=lambda share: share[1])
    return [
        _weighted(name, name if weight == largest else refuge_name(name, most), weight)
        for name, weight in weights
    ]


def _weighted(release: ReleaseId, name: str, weight: int) -> Config:
    header = {"header": {"key": RELEASE_HEADER, "value": release}}
    return {
        "name": name,
        "weight": weight,
        "response_headers_to_add": [{**header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}],
    }


def _retry(traffic: Traffic) -> Config:
    """Only what surely was not worked on is sent again, unless every request is repeatable."""
    policy: Config = {
        "retry_on": _RETRY_SAFE + (_RETRY_MORE[traffic.protocol] if traffic.idempotent else ""),
        "num_retries": traffic.retries,
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {
                    "@type": _TYPE
                    + "extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
                },
            }
        ],
        "retry_priority": {
            "name": "envoy.retry_priorities.previous_priorities",
            "typed_config": {
                "@type": _TYPE
                + "extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
                "update_frequency": 1,
            },
        },
        # Least-request loves the dead replica, for it has nothing to do: insist on another.
        "host_selection_retry_max_attempts": 16,
        "retry_back_off": {"base_interval": "0.001s", "max_interval": "0.025s"},
    }
    if traffic.idempotent and traffic.try_timeout:
        policy["per_try_timeout"] = seconds(traffic.try_timeout)
    return policy


def listener(weights: Weights, traffic: Traffic, places: Places) -> Config:
    """The one place where users arrive. TCP weights live here, HTTP weights in ``routes``."""
    proxy = _tcp(weights, places, traffic) if traffic.protocol == "tcp" else _http(traffic, places)
    return {
        "@type": f"{_TYPE}config.listener.v3.Listener",
        "name": "service",
        "address": _address(traffic.address, traffic.port),
        "enable_reuse_port": False,
        "filter_chains": [{"filters": [proxy]}],
    }


def _http(traffic: Traffic, places: Places) -> Config:
    manager: Config = {
        "@type": (
            f"{_TYPE}extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
        ),
        "stat_prefix": "service",
        "codec_type": "AUTO",
        "http_protocol_options": {"accept_http_10": True, "default_host_for_http_10": "localhost"},
        "rds": {"route_config_name": ROUTES, "config_source": _files(places.file("rds"))},
        "use_remote_address": True,
        "server_header_transformation": "PASS_THROUGH",
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "http_filters": _filters(traffic),
        "access_log": _access_log(traffic, places, _HTTP_FIELDS),
    }
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}


def _filters(traffic: Traffic) -> list[Config]:
    """gRPC answers 200 and puts its failures elsewhere: a filter counts them by status."""
    router = {
        "@type": f"{_TYPE}extensions.filters.http.router.v3.Router",
        "suppress_envoy_headers": True,
    }
    filters = [{"name": "envoy.filters.http.router", "typed_config": router}]
    if traffic.protocol == "grpc":
        stats = {
            "@type": f"{_TYPE}extensions.filters.http.grpc_stats.v3.FilterConfig",
            "stats_for_all_methods": False,
        }
        filters.insert(0, {"name": "envoy.filters.http.grpc_stats", "typed_config": stats})
    return filters


def _tcp(weights: Weights, places: Places, traffic: Traffic) -> Config:
    clusters = [{"name": name, "weight": weight} for name, weight in weights]
    proxy: Config = {
        "@type": f"{_TYPE}extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "service",
        "weighted_clusters": {"clusters": clusters},
        "max_connect_attempts": traffic.retries + 1,
        "access_log": _access_log(traffic, places, _TCP_FIELDS),
    }
    return {"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}


_TCP_FIELDS = {
    "at": "%START_TIME%",
    "release": "%UPSTREAM_CLUSTER%",
    "replica": "%UPSTREAM_HOST%",
    "flags": "%RESPONSE_FLAGS%",
    "ms": "%DURATION%",
    "received": "%BYTES_RECEIVED%",
    "sent": "%BYTES_SENT%",
    "client": "%DOWNSTREAM_REMOTE_ADDRESS%",
}
_HTTP_FIELDS = {
    **_TCP_FIELDS,
    "method": "%REQ(:METHOD)%",
    "path": "%REQ(:PATH)%",
    "status": "%RESPONSE_CODE%",
    "why": "%RESPONSE_CODE_DETAILS%",
    "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    "grpc": "%GRPC_STATUS%",
    "request_id": "%REQ(X-REQUEST-ID)%",
}


def _access_log(traffic: Traffic, places: Places, fields: dict[str, str]) -> list[Config]:
    if not traffic.access_log:
        return []
    log = {
        "@type": f"{_TYPE}extensions.access_loggers.file.v3.FileAccessLog",
        "path": places.access_log,
        "log_format": {"json_format": fields},
    }
    return [{"name": "envoy.access_loggers.file", "typed_config": log}]
