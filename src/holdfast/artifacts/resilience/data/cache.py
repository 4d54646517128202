"""Redis with Sentinel: three copies, and three who agree that the first is gone.

The cache of a region is its own: what it holds can be asked for again. Sources: redis-operator
v0.26 (RedisReplication, RedisSentinel); redis.io, High availability with Sentinel.
"""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.resilience import thirdparty
from holdfast.artifacts.resilience.objects import (
    DATA,
    container_security,
    named,
    owned,
    pod_security,
    resources,
    spread,
)
from holdfast.spec.model import Service

_API = "redis.redis.opstreelabs.in/v1beta2"
_COPIES = 3
_QUORUM = 2
_USER = 1000
_PASSWORD = "password"  # the key of the Secret, not its value
_KEYS = ("service", "kubernetes.namespace", "resilience.cache")


def render(service: Service) -> Iterator[Artifact]:
    if service.resilience.cache != "redis":
        return
    yield Artifact(
        f"{DATA}/cache.yaml", [_settings(service), _replication(service), _sentinel(service)],
        "The cache: one primary, two copies, three sentinels.",
        (*_KEYS, "resilience.backup.rto"), ("T132", "T143"),
    )  # fmt: skip


def name(service: Service) -> str:
    return named(service, "cache")


def _settings(service: Service) -> Object:
    """A primary that no copy follows takes no writes: it may be the one that was left behind."""
    lines = {
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "allkeys-lfu",
        "min-replicas-to-write": "1",
        "min-replicas-max-lag": "10",
        "repl-backlog-size": "64mb",
        "repl-diskless-sync": "yes",
        "lazyfree-lazy-eviction": "yes",
        "tcp-keepalive": "60",
    }
    text = "".join(f"{key} {value}\n" for key, value in lines.items())
    found = owned(service, "v1/ConfigMap", named(service, "cache-settings"), {}, "cache")
    return {**found, "data": {"redis-additional.conf": text}}


def _replication(service: Service) -> Object:
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": names.storage_class("ssd"),
        "resources": {"requests": {"storage": "10Gi"}},
    }
    spec = {
        "clusterSize": _COPIES,
        "kubernetesConfig": {
            **_kubernetes(thirdparty.REDIS.reference, resources("500m", "2Gi")),
            "redisSecret": _secret(service),
        },
        "redisConfig": {
            "additionalRedisConfig": named(service, "cache-settings"),
            "maxMemoryPercentOfLimit": 75,
        },
        "storage": {"keepAfterDelete": True, "volumeClaimTemplate": {"spec": claim}},
        "pdb": {"enabled": True, "maxUnavailable": 1},
        **_placed(name(service)),
    }
    return owned(service, f"{_API}/RedisReplication", name(service), spec, "cache")


def _sentinel(service: Service) -> Object:
    """Two of three agree; the whole failover stays far below what the spec promises."""
    rto = names.seconds(service.resilience.backup.rto, 10)
    down = min(5, max(1, rto // 10))
    secret = {"secretKeyRef": _secret(service)}
    spec = {
        "clusterSize": _COPIES,
        "kubernetesConfig": _kubernetes(thirdparty.SENTINEL.reference, resources("50m", "64Mi")),
        "redisSentinelConfig": {
            "redisReplicationName": name(service),
            "redisReplicationPassword": secret,
            "masterGroupName": name(service),
            "quorum": str(_QUORUM),
            "parallelSyncs": "1",
            "downAfterMilliseconds": str(down * 1000),
            "failoverTimeout": str(min(60, rto // 2) * 1000),
            "resolveHostnames": "yes",
            "announceHostnames": "yes",
        },
        "pdb": {"enabled": True, "minAvailable": _QUORUM},
        **_placed(f"{name(service)}-sentinel"),
    }
    return owned(service, f"{_API}/RedisSentinel", name(service), spec, "cache")


def _secret(service: Service) -> Object:
    return {"name": name(service), "key": _PASSWORD}


def _kubernetes(image: str, amount: Object) -> Object:
    return {"image": image, "imagePullPolicy": "IfNotPresent", "resources": amount}


def _placed(app: str) -> Object:
    return {
        "podSecurityContext": pod_security(_USER),
        "securityContext": container_security(read_only=False),
        "topologySpreadConstraints": spread({"app": app}),
        "terminationGracePeriodSeconds": 30,
    }
