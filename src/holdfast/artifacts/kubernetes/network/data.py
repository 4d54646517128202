"""The flows of the data services that live in the service's namespace.

Labels and ports are those of their operators: CloudNativePG, CockroachDB, the Redis operator of
OpsTree, Strimzi, the MinIO operator.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from holdfast.artifacts import names
from holdfast.artifacts.kubernetes.network.flow import (
    Addresses,
    Api,
    Labels,
    Pods,
    Policy,
    Rule,
    tcp,
)
from holdfast.spec.model import Service

#: Private and link-local addresses: what is no public cloud API (RFC 1918, 6598, 3927).
PRIVATE = ("10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")
_API_PORTS = tcp(443, 6443)
_CLOUD = Rule((Addresses("0.0.0.0/0", PRIVATE),), tcp(443))

_CACHE = {"cache": (6379,), "cache-sentinel": (26379,)}


@dataclass(frozen=True, slots=True)
class Store:
    """One data service: its pods, who runs it, where it is called and scraped."""

    name: str
    labels: Labels
    operator: str  # namespace; empty: nobody outside looks after it
    ports: tuple[int, ...]  # for clients
    metrics: int
    behind: tuple[Labels, ...] = ()  # other pods that call it, such as a pooler
    copies: bool = False  # writes backups to the cloud's object storage
    asks_api: bool = False  # its pods talk to the API server
    across: bool = False  # its pods in other regions are called by their addresses


def stores(service: Service) -> Iterator[Store]:
    """Those that the spec asks for."""
    yield from _database(service)
    own, given = service.service, service.resilience
    if given.cache == "redis":
        yield from (
            Store(name, labels, "redis-operator", ports, 9121)
            for (name, ports), labels in zip(_CACHE.items(), _redis(own), strict=True)
        )
    if given.queue == "kafka":
        labels = {"strimzi.io/cluster": f"{own}-queue"}
        yield Store("queue", labels, "strimzi", (9092, 9093), 9404, asks_api=True)
    if given.objects == "minio":
        labels = {"v1.min.io/tenant": f"{own}-objects"}
        yield Store("objects", labels, "minio-operator", (9000,), 9000, asks_api=True)


def _database(service: Service) -> Iterator[Store]:
    own, kind = service.service, service.resilience.database
    if kind == "postgres":
        pooler = {"cnpg.io/poolerName": f"{own}-db-pooler"}
        instance = {"cnpg.io/cluster": f"{own}-db", "cnpg.io/podRole": "instance"}
        yield Store("db", instance, "cnpg-system", (5432,), 9187, (pooler,), True, True)
        yield Store("db-pooler", pooler, "cnpg-system", (5432,), 9127, asks_api=True)
    if kind == "cockroach":
        labels = {"app.kubernetes.io/name": "cockroachdb"}
        yield Store("db", labels, "", (26257,), 8080, copies=True, across=True)


def calls(service: Service) -> list[Rule]:
    """What the service's own pods may send to its data, and to the cloud's object storage."""
    found = [Rule((Pods(store.labels),), tcp(*store.ports)) for store in stores(service)]
    return found + ([_CLOUD] if service.resilience.objects == "s3" else [])


def policies(service: Service) -> Iterator[Policy]:
    for store in stores(service):
        yield Policy(store.name, store.labels, _taken(service, store), _sent(service, store))


def _taken(service: Service, store: Store) -> tuple[Rule, ...]:
    """Clients on the client ports; its own pods and its operator on all."""
    clients = (Pods(names.ours(service)), *(Pods(labels) for labels in store.behind))
    prometheus = Pods({"app.kubernetes.io/name": "prometheus"}, "monitoring")
    operator = (Pods({}, store.operator),) if store.operator else ()
    return (
        Rule((*clients, *_others(service, store)), tcp(*store.ports)),
        Rule((*_siblings(service, store), *operator)),
        Rule((prometheus,), tcp(store.metrics)),
    )


def _sent(service: Service, store: Store) -> tuple[Rule, ...]:
    found = [Rule(_siblings(service, store))]
    if store.name == "db-pooler":
        found.append(Rule((Pods({"cnpg.io/cluster": f"{service.service}-db"}),), tcp(5432)))
    if store.across:
        found.append(Rule(_others(service, store), tcp(*store.ports)))
    if store.asks_api:
        within = tuple(region.cidr for region in service.regions)
        found.append(Rule((Api(within),), _API_PORTS))
    if store.copies:
        found.append(_CLOUD)
    return tuple(found)


def _others(service: Service, store: Store) -> tuple[Addresses, ...]:
    """The networks of all regions, where the store is one over all of them."""
    return tuple(Addresses(r.cidr) for r in service.regions) if store.across else ()


def _siblings(service: Service, store: Store) -> tuple[Pods, ...]:
    """Pods of the same store; replication and elections use ports of their own."""
    if store.name in _CACHE:
        return tuple(Pods(labels) for labels in _redis(service.service))
    return (Pods(store.labels),)


def _redis(own: str) -> tuple[Labels, Labels]:
    return (
        {"app": f"{own}-cache", "redis_setup_type": "replication"},
        {"app": f"{own}-cache-sentinel", "redis_setup_type": "sentinel"},
    )
