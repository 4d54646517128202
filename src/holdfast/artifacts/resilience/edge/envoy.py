"""Envoy at the edge of a region: TLS, limits, caching, and the next region when its own is gone.

Endpoints of the own region come first; the others are asked in the spec's order when too few of
them are healthy. Whatever a client sends is bounded: connections, headers, streams, time. Sources:
Envoy 1.40 (Best practices for edge proxies, Priority levels, Local rate limit, HTTP cache).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.resilience.edge import limits
from holdfast.artifacts.resilience.objects import EDGE
from holdfast.spec.model import Service
from holdfast.spec.production.regions import Region

_TYPE: Final = "type.googleapis.com/envoy.extensions"
_KEYS = (
    "service", "kubernetes.host", "regions", "replicas", "traffic",
    "probes.ready", "promises.throughput", "resilience.cdn",
)  # fmt: skip
_MIB = 2**20


def render(service: Service) -> Iterator[Artifact]:
    if service.traffic.protocol not in ("http1", "http2"):
        return
    for region in service.regions:
        yield Artifact(
            f"{EDGE}/envoy/{region.name}.yaml", bootstrap(service, region),
            f"Envoy at the edge of {region.name}.", _KEYS,
            ("T116", "T117", "T118", "T119", "T120", "T135", "T137", "T141", "T143"),
        )  # fmt: skip


def bootstrap(service: Service, region: Region) -> Object:
    return {
        "node": {
            "id": f"{service.service}-edge-{region.name}",
            "cluster": f"{service.service}-edge",
            "locality": {"region": region.cloud},
        },
        "static_resources": {
            "listeners": [_listener(service)],
            "clusters": [_cluster(service, region)],
        },
        "overload_manager": _overload(service),
        "layered_runtime": _runtime(),
    }


def _listener(service: Service) -> Object:
    return {
        "name": "edge",
        "address": _address("0.0.0.0", 8443),
        "per_connection_buffer_limit_bytes": 32768,
        "listener_filters": [
            {
                "name": "tls_inspector",
                "typed_config": {
                    "@type": f"{_TYPE}.filters.listener.tls_inspector.v3.TlsInspector"
                },
            }
        ],
        "filter_chains": [
            {"transport_socket": _server_tls(), "filters": [_bounded(service), _http(service)]}
        ],
    }


def _address(host: str, port: int) -> Object:
    return {"socket_address": {"address": host, "port_value": port}}


def _server_tls() -> Object:
    """The certificate is read from files that may change: a rotation restarts nothing."""
    secret = {"path_config_source": {"path": "/etc/envoy/sds/certificate.yaml"}}
    return {
        "name": "tls",
        "typed_config": {
            "@type": f"{_TYPE}.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {
                "alpn_protocols": ["h2", "http/1.1"],
                "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
                "tls_certificate_sds_secret_configs": [
                    {"name": "certificate", "sds_config": secret}
                ],
            },
        },
    }


def _bounded(service: Service) -> Object:
    return {
        "name": "connection_limit",
        "typed_config": {
            "@type": f"{_TYPE}.filters.network.connection_limit.v3.ConnectionLimit",
            "stat_prefix": "edge",
            "max_connections": limits.connections(service),
        },
    }


def _http(service: Service) -> Object:
    return {
        "name": "http",
        "typed_config": {
            "@type": f"{_TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "edge",
            "use_remote_address": True,
            "normalize_path": True,
            "merge_slashes": True,
            "path_with_escaped_slashes_action": "REJECT_REQUEST",
            "common_http_protocol_options": {
                "idle_timeout": "60s",
                "max_headers_count": 100,
                "headers_with_underscores_action": "REJECT_REQUEST",
            },
            "http2_protocol_options": {
                "max_concurrent_streams": 100,
                "initial_stream_window_size": 65536,
                "initial_connection_window_size": _MIB,
            },
            "max_request_headers_kb": 32,
            "request_headers_timeout": "10s",
            "request_timeout": "300s",
            "stream_idle_timeout": "60s",
            "http_filters": list(_filters(service)),
            "route_config": _routes(service),
        },
    }


def _filters(service: Service) -> Iterator[Object]:
    yield {"name": "limits", "typed_config": limits.envoy(service)}
    if service.resilience.cdn:
        store = f"{_TYPE}.http.cache.simple_http_cache.v3.SimpleHttpCacheConfig"
        cache = {
            "@type": f"{_TYPE}.filters.http.cache.v3.CacheConfig",
            "typed_config": {"@type": store},
        }
        yield {"name": "cache", "typed_config": cache}
    router = {"@type": f"{_TYPE}.filters.http.router.v3.Router"}
    yield {"name": "router", "typed_config": router}


def _routes(service: Service) -> Object:
    """Nothing is kept by anybody unless the program says so."""
    silent = {
        "header": {"key": "cache-control", "value": "no-store"},
        "append_action": "ADD_IF_ABSENT",
    }
    secure = {
        "header": {"key": "strict-transport-security", "value": "max-age=31536000"},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    }
    return {
        "name": "edge",
        "virtual_hosts": [
            {
                "name": service.service,
                "domains": [names.host(service), f"{names.host(service)}:*"],
                "routes": [{"match": {"prefix": "/"}, "route": _route(service)}],
                "response_headers_to_add": [silent, secure],
            }
        ],
    }


def _route(service: Service) -> Object:
    """Only what surely was not worked on is asked again, of another region if need be."""
    again = "connect-failure,refused-stream,unsupported-protocol"
    retry: Object = {
        "retry_on": again + (",gateway-error,reset" if service.traffic.idempotent else ""),
        "num_retries": max(1, service.traffic.retries),
        "retry_host_predicate": [
            {
                "name": "previous",
                "typed_config": {
                    "@type": f"{_TYPE}.retry.host.previous_hosts.v3.PreviousHostsPredicate"
                },
            }
        ],
        "host_selection_retry_max_attempts": 3,
    }
    return {
        "cluster": service.service,
        "timeout": f"{service.traffic.timeout:g}s",
        "retry_policy": retry,
    }


# ---- where it goes -------------------------------------------------------------------------------


def order(service: Service, region: Region) -> list[Region]:
    """The own region, then the others, the primary first."""
    return [region, *names.others(service, region)]


def _cluster(service: Service, region: Region) -> Object:
    endpoints = [
        {
            "priority": priority,
            "locality": {"region": each.cloud},
            "lb_endpoints": [
                {
                    "endpoint": {
                        "address": _address(names.regional_host(service, each), 443),
                        "hostname": names.host(service),
                        "health_check_config": {"hostname": names.host(service)},
                    }
                }
            ],
        }
        for priority, each in enumerate(order(service, region))
    ]
    return {
        "name": service.service,
        "type": "STRICT_DNS",
        "connect_timeout": "2s",
        "dns_lookup_family": "V4_PREFERRED",
        "lb_policy": "LEAST_REQUEST",
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "load_assignment": {"cluster_name": service.service, "endpoints": endpoints},
        "health_checks": [_health(service)],
        "outlier_detection": _outlier(service),
        "circuit_breakers": {"thresholds": [_breaker(service)]},
        "transport_socket": _client_tls(service),
    }


def _health(service: Service) -> Object:
    path = quote(service.probes.ready.path or "/", safe="/?&=%:@,;+~")
    return {
        "timeout": "2s",
        "interval": "5s",
        "unhealthy_interval": "2s",
        "unhealthy_threshold": 2,
        "healthy_threshold": 2,
        "http_health_check": {"path": path, "host": names.host(service)},
    }


def _outlier(service: Service) -> Object:
    given = service.traffic.outlier
    return {
        "consecutive_5xx": given.consecutive_5xx,
        "base_ejection_time": f"{given.eject:g}s",
        "max_ejection_percent": 100,
    }


def _breaker(service: Service) -> Object:
    given = service.traffic.breaker
    return {
        "max_connections": given.max_connections,
        "max_pending_requests": given.max_pending,
        "max_requests": given.max_requests,
        "max_retries": given.max_retries,
    }


def _client_tls(service: Service) -> Object:
    trusted = {"filename": "/etc/ssl/certs/ca-certificates.crt"}
    exact = {"san_type": "DNS", "matcher": {"exact": names.host(service)}}
    return {
        "name": "tls",
        "typed_config": {
            "@type": f"{_TYPE}.transport_sockets.tls.v3.UpstreamTlsContext",
            "sni": names.host(service),
            "common_tls_context": {
                "validation_context": {
                    "trusted_ca": trusted,
                    "match_typed_subject_alt_names": [exact],
                }
            },
        },
    }


def _overload(service: Service) -> Object:
    """Under pressure new streams are refused before the memory ends."""
    heap = {
        "@type": f"{_TYPE}.resource_monitors.fixed_heap.v3.FixedHeapConfig",
        "max_heap_size_bytes": 1024 * _MIB,
    }
    open_ones = {
        "@type": f"{_TYPE}.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
        "max_active_downstream_connections": limits.connections(service),
    }

    def action(name: str, value: float) -> Object:
        trigger = {"name": "envoy.resource_monitors.fixed_heap", "threshold": {"value": value}}
        return {"name": f"envoy.overload_actions.{name}", "triggers": [trigger]}

    return {
        "refresh_interval": "0.25s",
        "resource_monitors": [
            {"name": "envoy.resource_monitors.fixed_heap", "typed_config": heap},
            {
                "name": "envoy.resource_monitors.global_downstream_max_connections",
                "typed_config": open_ones,
            },
        ],
        "actions": [action("disable_http_keepalive", 0.9), action("stop_accepting_requests", 0.95)],
    }


def _runtime() -> Object:
    """Who cannot be asked for a healthy region is told so at once (no panic)."""
    return {"layers": [{"name": "static", "static_layer": {"overload": {}}}]}
