"""How a call in the mesh goes, in Istio's words: balance, breakers, ejection, further tries.

Who routes differs (the service's own objects, or Flagger's), what ``traffic`` promises does not.
Source: Istio 1.30, DestinationRule, HTTPRetry.
"""

from __future__ import annotations

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Object
from holdfast.spec.model import Service

_SIMPLE = {"least-request": "LEAST_REQUEST", "round-robin": "ROUND_ROBIN"}
_SAFE = "connect-failure,refused-stream,reset-before-request"
_MORE = {"http1": ",reset,5xx", "http2": ",reset,5xx", "grpc": ",reset,unavailable"}
_CONNECT = "5s"
_LOOK = "1s"  # how often instances are judged
#: Local first, then the same region; the labels are those of nodes.
_NEAR = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone")
POLICY_KEYS = ("traffic.protocol", "traffic.balance", "traffic.hash_header", "traffic.breaker",
               "traffic.outlier")  # fmt: skip
LIMIT_KEYS = ("traffic.protocol", "traffic.timeout", "traffic.try_timeout", "traffic.retries",
              "traffic.idempotent")  # fmt: skip


def policy(service: Service) -> Object:
    """The ``trafficPolicy`` of a DestinationRule."""
    return {
        "tls": {"mode": "ISTIO_MUTUAL"},
        "loadBalancer": _balance(service),
        "connectionPool": _pool(service),
        "outlierDetection": _outlier(service),
    }


def limits(service: Service) -> Object:
    """``timeout`` and ``retries`` of a route."""
    return {"timeout": names.duration(service.traffic.timeout), "retries": _retries(service)}


def _balance(service: Service) -> Object:
    """Ring hash needs the same ring everywhere, so it knows no near and far."""
    if service.traffic.balance == "ring-hash":
        header = {"httpHeaderName": service.traffic.hash_header}
        return {"consistentHash": {**header, "ringHash": {"minimumRingSize": 1024}}}
    near = {"enabled": True, "failoverPriority": list(_NEAR)}
    return {"simple": _SIMPLE[service.traffic.balance], "localityLbSetting": near}


def _pool(service: Service) -> Object:
    breaker = service.traffic.breaker
    found: Object = {"tcp": {"maxConnections": breaker.max_connections, "connectTimeout": _CONNECT}}
    if service.traffic.protocol != "tcp":
        found["http"] = {
            "http1MaxPendingRequests": breaker.max_pending,
            "http2MaxRequests": breaker.max_requests,
            "maxRetries": breaker.max_retries,
        }
    return found


def _outlier(service: Service) -> Object:
    """One that refuses connections is left out by the same count."""
    outlier = service.traffic.outlier
    return {
        "consecutive5xxErrors": outlier.consecutive_5xx,
        "interval": _LOOK,
        "baseEjectionTime": names.duration(outlier.eject),
        "maxEjectionPercent": outlier.max_ejected,
        "minHealthPercent": 0,
    }


def _retries(service: Service) -> Object:
    """Zero is said: without a word Istio asks twice more."""
    traffic = service.traffic
    if not traffic.retries:
        return {"attempts": 0}
    more = _MORE[traffic.protocol] if traffic.idempotent else ""
    try_for = min(traffic.try_timeout, traffic.timeout) if traffic.try_timeout else None
    found = {"attempts": traffic.retries, "retryOn": _SAFE + more}
    if try_for and traffic.idempotent:
        found["perTryTimeout"] = names.duration(try_for)
    return found
