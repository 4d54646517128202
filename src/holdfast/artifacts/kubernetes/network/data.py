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
    Agent,
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
_OPERATOR = "cnpg-system"
#: The cloud's storage, and who hands out the credentials for it (Amazon EKS, Pod Identity Agent).
_CLOUD = (
    Rule((Addresses("0.0.0.0/0", PRIVATE),), tcp(443)),
    Rule((Agent("169.254.170.23"),), tcp(80)),
)

_PROMETHEUS = Pods({"app.kubernetes.io/name": "prometheus"}, "monitoring")
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
    abroad: tuple[int, ...] = ()  # ports by which regions call each other, by their addresses


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
        yield from _queue(service)
    if given.objects == "minio":
        labels = {"v1.min.io/tenant": f"{own}-objects"}
        yield Store("objects", labels, "minio-operator", (9000,), 9000, asks_api=True)


def _queue(service: Service) -> Iterator[Store]:
    """Brokers, and where there are several regions what fetches the records of the others."""
    brokers = {"strimzi.io/cluster": f"{service.service}-queue"}
    fetching = {"strimzi.io/cluster": f"{service.service}-mirror"}
    several = len(service.regions) > 1
    yield Store(
        "queue", brokers, "strimzi", (9092, 9093), 9404, (fetching,) if several else (),
        asks_api=True, abroad=(9094,) if several else (),
    )  # fmt: skip


def _database(service: Service) -> Iterator[Store]:
    own, kind = service.service, service.resilience.database
    if kind == "postgres":
        pooler = {"cnpg.io/poolerName": f"{own}-db-pooler"}
        abroad = (5432,) if len(service.regions) > 1 else ()
        yield Store(
            "db", _postgres(f"{own}-db"), _OPERATOR, (5432,), 9187, (pooler,), True, True, abroad
        )
        yield Store("db-pooler", pooler, _OPERATOR, (5432,), 9127, asks_api=True)
    if kind == "cockroach":
        labels = {"app.kubernetes.io/name": "cockroachdb"}
        yield Store("db", labels, "", (26257,), 8080, copies=True, abroad=(26257,))


def _postgres(cluster: str) -> Labels:
    """Instances, and the jobs that make them out of nothing, a copy or a backup."""
    return {"cnpg.io/cluster": cluster, "app.kubernetes.io/component": "database"}


def calls(service: Service) -> list[Rule]:
    """What the service's own pods may send to its data, and to the cloud's object storage."""
    found = [Rule((Pods(store.labels),), tcp(*store.ports)) for store in stores(service)]
    return found + (list(_CLOUD) if service.resilience.objects == "s3" else [])


def policies(service: Service) -> Iterator[Policy]:
    for store in stores(service):
        yield Policy(store.name, store.labels, _taken(service, store), _sent(service, store))
    if service.resilience.queue == "kafka" and len(service.regions) > 1:
        yield _fetching(service)
    if service.resilience.database == "postgres":
        yield from _checking(service)


def _fetching(service: Service) -> Policy:
    """Kafka's MirrorMaker: asked by its operator on 8083, writes here what it reads abroad."""
    own = Pods({"strimzi.io/cluster": f"{service.service}-mirror"})
    ingress = (Rule((own, Pods({}, "strimzi"))), Rule((_PROMETHEUS,), tcp(9404)))
    here = Rule((Pods({"strimzi.io/cluster": f"{service.service}-queue"}),), tcp(9093))
    egress = (Rule((own,)), here, Rule(_regions(service), tcp(9094)))
    return Policy("mirror", own.labels, ingress, egress)


def _checking(service: Service) -> Iterator[Policy]:
    """The nightly check asks for a scratch database, which reads the archive, and looks into it."""
    name = f"{service.service}-restore-check"
    check = {"app.kubernetes.io/name": name}
    scratch = Pods(_postgres(f"{service.service}-db-check"))
    taken = (Rule((Pods(check),), tcp(5432)), Rule((scratch, Pods({}, _OPERATOR))))
    yield Policy("db-check", scratch.labels, taken, (Rule((scratch,)), _api(service), *_CLOUD))
    yield Policy("restore-check", check, (), (Rule((scratch,), tcp(5432)), _api(service)))


def _taken(service: Service, store: Store) -> tuple[Rule, ...]:
    """Clients on the client ports; its own pods and its operator on all."""
    clients = (Pods(names.ours(service)), *(Pods(labels) for labels in store.behind))
    operator = (Pods({}, store.operator),) if store.operator else ()
    found = (
        Rule(clients, tcp(*store.ports)),
        Rule((*_siblings(service, store), *operator)),
        Rule((_PROMETHEUS,), tcp(store.metrics)),
    )
    return (*found, *_abroad(service, store))


def _sent(service: Service, store: Store) -> tuple[Rule, ...]:
    found = [Rule(_siblings(service, store)), *_abroad(service, store)]
    if store.name == "db-pooler":
        found.append(Rule((Pods(_postgres(f"{service.service}-db")),), tcp(5432)))
    if store.asks_api:
        found.append(_api(service))
    if store.copies:
        found += _CLOUD
    return tuple(found)


def _api(service: Service) -> Rule:
    return Rule((Api(tuple(region.cidr for region in service.regions)),), _API_PORTS)


def _abroad(service: Service, store: Store) -> tuple[Rule, ...]:
    """Where the store is one over all regions: the same ports to them and from them."""
    return (Rule(_regions(service), tcp(*store.abroad)),) if store.abroad else ()


def _regions(service: Service) -> tuple[Addresses, ...]:
    return tuple(Addresses(region.cidr) for region in service.regions)


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
