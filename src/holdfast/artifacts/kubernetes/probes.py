"""When the kubelet looks at an instance, and how.

Paths are those of ``probes``, times those of ``kubernetes.probes``. The kubelet speaks HTTP/1 and
gRPC's health service; of other protocols it only sees whether a connection is accepted.
"""

from __future__ import annotations

import math

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Object
from holdfast.spec.model import Service
from holdfast.spec.production.kubernetes import ClusterProbe

KEYS = ("probes.ready.path", "probes.live.path", "probes.start_within", "kubernetes.probes",
        "traffic.port", "traffic.protocol")  # fmt: skip


def probes(service: Service) -> Object:
    """``livenessProbe``, ``readinessProbe`` and, for slow starters, ``startupProbe``."""
    cluster = service.kubernetes.probes
    live, ready = _live(service), _ready(service)
    found = {
        "livenessProbe": live | _times(cluster.live),
        "readinessProbe": ready | _times(cluster.ready),
    }
    return found | _startup(service, live)


def _startup(service: Service, look: Object) -> Object:
    """Only where the liveness probe would end a start that ``probes.start_within`` allows."""
    live, allowed = service.kubernetes.probes.live, service.probes.start_within
    if allowed <= live.delay + live.every * live.failures:
        return {}
    period = names.seconds(service.kubernetes.probes.ready.every)
    times = {"periodSeconds": period, "timeoutSeconds": names.seconds(live.timeout)}
    return {"startupProbe": look | times | {"failureThreshold": math.ceil(allowed / period)}}


def _times(probe: ClusterProbe) -> Object:
    return {
        "initialDelaySeconds": names.seconds(probe.delay, 0),
        "periodSeconds": names.seconds(probe.every),
        "timeoutSeconds": names.seconds(probe.timeout),
        "failureThreshold": probe.failures,
    }


def _ready(service: Service) -> Object:
    path = service.probes.ready.path
    if path and service.traffic.protocol == "grpc":
        return {"grpc": {"port": service.traffic.port, "service": path.lstrip("/")}}
    return _http(service, path)


def _live(service: Service) -> Object:
    return _http(service, service.probes.live.path)


def _http(service: Service, path: str) -> Object:
    if path and service.traffic.protocol == "http1":
        return {"httpGet": {"path": path, "port": service.traffic.port}}
    return {"tcpSocket": {"port": service.traffic.port}}
