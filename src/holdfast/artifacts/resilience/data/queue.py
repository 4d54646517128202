"""Kafka without ZooKeeper in each region, and a mirror that brings the topics of the others.

Every record is on two brokers of different zones before it counts. Regions share the two
authorities that sign brokers and clients, so a mirror is believed everywhere. Sources: Strimzi
1.2.0; Apache Kafka, Geo-Replication.
"""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.resilience import thirdparty
from holdfast.artifacts.resilience.objects import (
    DATA,
    ZONE,
    annotated,
    container_security,
    named,
    overlay,
    owned,
    pod_security,
    resources,
    within_regions,
)
from holdfast.artifacts.resilience.security import secrets
from holdfast.spec.model import Service
from holdfast.spec.production.regions import Region

_API = "kafka.strimzi.io/v1"
_CLUSTER = "strimzi.io/cluster"
BROKERS = 3
COPIES = 3
IN_SYNC = 2
_USER = 1001
_PORT = 9093
_ABROAD = 9094
_SHARED_KEYS = ("service", "kubernetes.namespace", "regions", "resilience.queue")
_KEYS = (*_SHARED_KEYS, "kubernetes.host")


def render(service: Service) -> Iterator[Artifact]:
    if service.resilience.queue != "kafka":
        return
    for region in service.regions:
        yield Artifact(
            f"{overlay(region)}/queue.yaml", [_kafka(service, region), *_mirrors(service, region)],
            f"The queue in {region.name}, and what it brings from the other regions.",
            _KEYS, ("T115", "T133"),
        )  # fmt: skip
    yield Artifact(
        f"{DATA}/queue.yaml", [*_pools(service), _topic(service), *_users(service)],
        "Brokers and controllers, the topic of the service, and who may do what.",
        (*_SHARED_KEYS, "resilience.backup.keep", "replicas", "autoscaling.max"), ("T133",),
    )  # fmt: skip
    if len(service.regions) > 1:
        yield Artifact(
            f"{DATA}/queue-authorities.yaml", list(_authorities(service)),
            "The authorities that all regions share, from Vault.", _SHARED_KEYS,
            ("T8", "T133", "T138"),
        )  # fmt: skip


def name(service: Service) -> str:
    return named(service, "queue")


def _kafka(service: Service, region: Region) -> Object:
    spec = {
        "kafka": {
            "version": thirdparty.KAFKA,
            "listeners": list(_listeners(service, region)),
            "config": _config(),
            "authorization": {"type": "simple"},
            "rack": {"type": "topology-label", "topologyKey": ZONE},
            "metricsConfig": {
                "type": "strimziMetricsReporter",
                "values": {"allowList": ["kafka_server.*", "kafka_controller.*"]},
            },
        },
        "entityOperator": _entity_operator(),
        "kafkaExporter": {
            "topicRegex": ".*",
            "groupRegex": ".*",
            "resources": resources("50m", "64Mi"),
            "template": _restricted(),
        },
        **_shared_authorities(service),
    }
    return owned(service, f"{_API}/Kafka", name(service), spec, "queue")


def _listeners(service: Service, region: Region) -> Iterator[Object]:
    believed = {"tls": True, "authentication": {"type": "tls"}}
    yield {"name": "tls", "port": _PORT, "type": "internal", **believed}
    if len(service.regions) == 1:
        return
    host = names.regional_host(service, region, "queue")
    hosts = [names.regional_host(service, region, f"queue-{index}") for index in range(BROKERS)]
    brokers = [
        {
            "broker": index,
            "advertisedHost": each,
            "advertisedPort": _ABROAD,
            "annotations": within_regions(each),
        }
        for index, each in enumerate(hosts)
    ]
    door = {
        "class": "service.k8s.aws/nlb",
        "loadBalancerSourceRanges": [each.cidr for each in service.regions],
        "bootstrap": {"alternativeNames": [host], "annotations": within_regions(host)},
        "brokers": brokers,
    }
    yield {
        "name": "regions", "port": _ABROAD, "type": "loadbalancer", **believed,
        "configuration": door,
    }  # fmt: skip


def _config() -> Object:
    """No record counts before two have it, and no broker that lags becomes the leader."""
    return {
        "default.replication.factor": COPIES,
        "min.insync.replicas": IN_SYNC,
        "offsets.topic.replication.factor": COPIES,
        "transaction.state.log.replication.factor": COPIES,
        "transaction.state.log.min.isr": IN_SYNC,
        "unclean.leader.election.enable": False,
        "auto.create.topics.enable": False,
        "replica.lag.time.max.ms": 10000,
    }


def _entity_operator() -> Object:
    amount = {"resources": resources("100m", "256Mi", "512Mi")}
    return {"topicOperator": amount, "userOperator": amount}


def _pools(service: Service) -> Iterator[Object]:
    yield _pool(service, "broker", 0, "100Gi", ("1", "4Gi", "2048m"))
    yield _pool(service, "controller", BROKERS, "10Gi", ("250m", "1Gi", "512m"))


def _pool(
    service: Service, kind: str, first: int, size: str, amount: tuple[str, str, str]
) -> Object:
    """``first``: the number of its first node; those of brokers are in the names of their doors."""
    cpu, memory, heap = amount
    volume = {
        "id": 0,
        "type": "persistent-claim",
        "size": size,
        "class": names.storage_class("ssd"),
        "deleteClaim": False,
        "kraftMetadata": "shared",
    }
    spec = {
        "replicas": BROKERS,
        "roles": [kind],
        "storage": {"type": "jbod", "volumes": [volume]},
        "resources": resources(cpu, memory),
        "jvmOptions": {"-Xms": heap, "-Xmx": heap},
        "template": {
            "pod": {
                "securityContext": pod_security(_USER),
                "topologySpreadConstraints": _spread(service, kind),
            },
            "kafkaContainer": {"securityContext": container_security(read_only=False)},
        },
    }
    found = owned(service, f"{_API}/KafkaNodePool", kind_name(service, kind), spec, "queue")
    found["metadata"]["labels"][_CLUSTER] = name(service)
    return annotated(found, **{"strimzi.io/next-node-ids": f"[{first}-{first + BROKERS - 1}]"})


def kind_name(service: Service, kind: str) -> str:
    """Short where the namespace is the service's own: pods carry it behind the cluster's name."""
    return kind if names.namespace(service) == service.service else named(service, kind)


def _spread(service: Service, kind: str) -> list[Object]:
    chosen = {"strimzi.io/pool-name": kind_name(service, kind)}
    return [
        {
            "maxSkew": 1,
            "topologyKey": ZONE,
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": chosen},
        }
    ]


def _restricted() -> Object:
    return {
        "pod": {"securityContext": pod_security(_USER)},
        "container": {"securityContext": container_security(read_only=False)},
    }


# ---- what is in it, and who may touch it ---------------------------------------------------------


def _topic(service: Service) -> Object:
    """A partition for every instance there may be, so each of them can have work."""
    most = service.autoscaling.max or max(names.replicas(service, r) for r in service.regions)
    spec = {
        "partitions": max(BROKERS, most),
        "replicas": COPIES,
        "config": {
            "retention.ms": round(service.resilience.backup.keep * 1000),
            "min.insync.replicas": IN_SYNC,
            "compression.type": "producer",
        },
    }
    found = owned(service, f"{_API}/KafkaTopic", service.service, spec, "queue")
    found["metadata"]["labels"][_CLUSTER] = name(service)
    return found


def _users(service: Service) -> Iterator[Object]:
    own = {"type": "topic", "name": service.service, "patternType": "prefix"}
    groups = {"type": "group", "name": service.service, "patternType": "prefix"}
    yield _user(
        service,
        named(service, "queue-client"),
        [
            _may(own, "Read", "Write", "Describe"),
            _may(groups, "Read", "Describe"),
        ],
    )
    if len(service.regions) > 1:
        yield _mirror_user(service)


def _mirror_user(service: Service) -> Object:
    """Reads all topics, writes those of other regions and its own bookkeeping."""
    every = {"type": "topic", "name": "*", "patternType": "literal"}
    groups = {"type": "group", "name": "*", "patternType": "literal"}
    return _user(
        service,
        named(service, "queue-mirror"),
        [
            _may(every, "Read", "Write", "Create", "Describe", "DescribeConfigs", "AlterConfigs"),
            _may(groups, "Read", "Describe"),
            _may({"type": "cluster"}, "Describe", "Create"),
        ],
    )


def _user(service: Service, user: str, acls: list[Object]) -> Object:
    spec = {
        "authentication": {"type": "tls"},
        "authorization": {"type": "simple", "acls": acls},
    }
    found = owned(service, f"{_API}/KafkaUser", user, spec, "queue")
    found["metadata"]["labels"][_CLUSTER] = name(service)
    return found


def _may(resource: Object, *operations: str) -> Object:
    return {"type": "allow", "resource": resource, "operations": list(operations), "host": "*"}


# ---- between regions -----------------------------------------------------------------------------


def _mirrors(service: Service, region: Region) -> Iterator[Object]:
    if others := names.others(service, region):
        spec = {
            "version": thirdparty.KAFKA,
            "replicas": 2,
            "target": _target(service, region),
            "mirrors": [_mirror(service, each) for each in others],
            "resources": resources("250m", "1Gi"),
            "template": {
                "pod": {"securityContext": pod_security(_USER)},
                "connectContainer": {"securityContext": container_security(read_only=False)},
            },
        }
        yield owned(service, f"{_API}/KafkaMirrorMaker2", named(service, "mirror"), spec, "queue")


def _target(service: Service, region: Region) -> Object:
    topics = {f"{kind}StorageTopic": f"{named(service, 'mirror')}-{kind}"
              for kind in ("config", "status", "offset")}  # fmt: skip
    address = f"{name(service)}-kafka-bootstrap.{names.namespace(service)}.svc:{_PORT}"
    copies = {f"{kind}.storage.replication.factor": COPIES
              for kind in ("config", "status", "offset")}  # fmt: skip
    return {
        **_end(service, region, address),
        "groupId": named(service, "mirror"),
        **topics,
        "config": copies,
    }


def _end(service: Service, region: Region, address: str) -> Object:
    trusted = [{"secretName": f"{name(service)}-cluster-ca-cert", "pattern": "*.crt"}]
    who = {"secretName": named(service, "queue-mirror"), "certificate": "user.crt",
           "key": "user.key"}  # fmt: skip
    return {
        "alias": region.name,
        "bootstrapServers": address,
        "tls": {"trustedCertificates": trusted},
        "authentication": {"type": "tls", "certificateAndKey": who},
    }


def _mirror(service: Service, source: Region) -> Object:
    """Topics arrive as ``region.topic``: a record is never mirrored back to where it came from."""
    host = names.regional_host(service, source, "queue")
    settings = {
        "replication.factor": COPIES,
        "offset-syncs.topic.replication.factor": COPIES,
        "sync.topic.acls.enabled": "false",
        "refresh.topics.interval.seconds": 60,
    }
    followed = {
        "checkpoints.topic.replication.factor": COPIES,
        "sync.group.offsets.enabled": "true",
        "sync.group.offsets.interval.seconds": 30,
    }
    return {
        "source": _end(service, source, f"{host}:{_ABROAD}"),
        "sourceConnector": {"tasksMax": BROKERS, "config": settings},
        "checkpointConnector": {"tasksMax": 1, "config": followed},
        "topicsPattern": service.service,
        "groupsPattern": f"{service.service}.*",
    }


def _shared_authorities(service: Service) -> Object:
    if len(service.regions) == 1:
        return {}
    given = {"generateCertificateAuthority": False}
    return {"clusterCa": given, "clientsCa": given}


def _authorities(service: Service) -> Iterator[Object]:
    """Strimzi wants the certificate and the key of each in a Secret of its own."""
    for authority in ("cluster-ca", "clients-ca"):
        for suffix, key in (("-cert", "ca.crt"), ("", "ca.key")):
            yield _authority(service, f"{name(service)}-{authority}{suffix}", authority, key)


def _authority(service: Service, secret: str, authority: str, key: str) -> Object:
    generation = "ca-cert" if key == "ca.crt" else "ca-key"
    metadata = {
        "labels": {_CLUSTER: name(service), "strimzi.io/kind": "Kafka"},
        "annotations": {f"strimzi.io/{generation}-generation": "0"},
    }
    found = secrets.secret(
        service, secret, names.namespace(service), secrets.path(service, "queue"), ()
    )
    field = f"{authority}.{key.removeprefix('ca.')}"
    remote = {"key": secrets.path(service, "queue"), "property": field}
    found["spec"]["target"]["template"] = {
        "engineVersion": "v2", "mergePolicy": "Merge", "metadata": metadata,
    }  # fmt: skip
    found["spec"]["data"] = [{"secretKey": key, "remoteRef": remote}]
    return found
