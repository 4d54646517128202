"""PostgreSQL over all regions: a cluster of three in each, one of them where writes go.

The primary region writes, the others follow it twice: by streaming, and by the archive, which
also reaches them when the primary's network is gone. ``resilience.backup.rpo`` is how old the
archive may get; within a region a commit waits for one copy. Sources: CloudNativePG v1.30
(Replica clusters, Replication, Connection pooling), plugin barman-cloud; postgresql.org, Server
Configuration.
"""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.resilience import thirdparty
from holdfast.artifacts.resilience.objects import (
    DATA,
    ZONE,
    named,
    overlay,
    owned,
    resources,
    within_regions,
)
from holdfast.spec.model import Service
from holdfast.spec.production.regions import Region

_API = "postgresql.cnpg.io/v1"
PLUGIN = "barman-cloud.cloudnative-pg.io"
INSTANCES = 3  # one can be lost while another is being replaced
MEMORY = 8 * 2**30  # of each instance
CONNECTIONS = 200
_POOLERS = 3
_KEYS = ("service", "kubernetes.namespace", "kubernetes.host", "regions", "resilience")


def render(service: Service) -> Iterator[Artifact]:
    if service.resilience.database != "postgres":
        return
    for region in service.regions:
        yield Artifact(
            f"{overlay(region)}/database.yaml", cluster(service, region),
            f"The database in {region.name}: three instances, one a zone.", _KEYS,
            ("T115", "T121", "T122", "T131", "T142"),
        )  # fmt: skip
    yield Artifact(
        f"{DATA}/pooler.yaml", _pooler(service),
        "PgBouncer before the database: many clients, few connections.",
        ("service", "kubernetes.namespace", "resilience.database", "replicas", "regions",
         "autoscaling.max"),
        ("T144", "T145"),
    )  # fmt: skip


def name(service: Service) -> str:
    return named(service, "db")


def replica_name(service: Service, region: Region) -> str:
    """What the database of a region is called by those of the others, and in its archive."""
    return named(service, "db", region.name)


def database(service: Service) -> str:
    """A name that needs no quotes in SQL."""
    return service.service.replace("-", "_")


def cluster(service: Service, region: Region) -> Object:
    spec: Object = {
        "description": f"The database of {service.service} in {region.name}",
        "imageName": thirdparty.POSTGRES.reference,
        "instances": INSTANCES,
        "bootstrap": _bootstrap(service, region),
        "postgresql": _postgresql(service),
        "storage": {"size": names.memory(service.resilience.database_size), **_DISK},
        "walStorage": {"size": names.memory(max(2**30, _wal_size(service))), **_DISK},
        "resources": _resources(),
        "affinity": {"topologyKey": ZONE, "podAntiAffinityType": "required"},
        "certificates": _certificates(service),
        "plugins": [_archiver(service, region)],
        **_ways(service, region),
        **_replica(service, region),
        **_patience(service),
    }
    return owned(service, f"{_API}/Cluster", name(service), spec, "database")


_DISK = {"storageClass": names.storage_class("ssd")}


def _resources() -> Object:
    """Requests are the limits: the kernel takes memory from others first."""
    amount = {"cpu": "2", "memory": names.memory(MEMORY)}
    return {"requests": amount, "limits": amount}


def _bootstrap(service: Service, region: Region) -> Object:
    if region.name == names.primary(service).name:
        made = {"database": database(service), "owner": database(service), "dataChecksums": True}
        return {"initdb": made}
    return {"recovery": {"source": replica_name(service, names.primary(service))}}


# ---- how PostgreSQL is set -----------------------------------------------------------------------


def _postgresql(service: Service) -> Object:
    """A commit is on two machines before it counts. Only a promise to lose nothing makes writes
    wait when no copy is there."""
    never = service.resilience.backup.rpo == 0
    return {
        "parameters": parameters(service),
        "synchronous": {
            "method": "any",
            "number": 1,
            "dataDurability": "required" if never else "preferred",
            "failoverQuorum": True,
        },
    }


def parameters(service: Service) -> dict[str, str]:
    """Memory by the usual shares, planner for flash disks, and what slow queries leave behind."""
    return {
        **_memory(),
        **_disks(service),
        **_watching(),
        "archive_timeout": f"{archive_timeout(service)}s",
        "track_commit_timestamp": "on",  # a restore proves by it how old the data is
        "idle_in_transaction_session_timeout": "60s",
        "lock_timeout": "10s",
        "statement_timeout": "60s",
    }


def archive_timeout(service: Service) -> int:
    """Half of what may be lost, in seconds: the other half is for the way to the archive."""
    return max(1, int(service.resilience.backup.rpo / 2))


def _memory() -> dict[str, str]:
    mib = MEMORY // 2**20
    return {
        "max_connections": str(CONNECTIONS),
        "shared_buffers": f"{mib // 4}MB",
        "effective_cache_size": f"{mib * 3 // 4}MB",
        "maintenance_work_mem": f"{mib // 16}MB",
        "work_mem": f"{max(4, mib // 4 // CONNECTIONS)}MB",
        "hash_mem_multiplier": "2.0",
    }


def _disks(service: Service) -> dict[str, str]:
    return {
        "random_page_cost": "1.1",
        "effective_io_concurrency": "200",
        "checkpoint_timeout": "5min",
        "checkpoint_completion_target": "0.9",
        "max_wal_size": f"{_wal_size(service) // 2 // 2**20}MB",
        "wal_compression": "lz4",
        "wal_keep_size": "1GB",
        "max_slot_wal_keep_size": f"{_wal_size(service) // 4 // 2**20}MB",
    }


def _wal_size(service: Service) -> int:
    """A fifth of the data, in whole GiB: an archive that is away for hours fills no disk."""
    return max(8, service.resilience.database_size // 5 // 2**30) * 2**30


def _watching() -> dict[str, str]:
    return {
        "pg_stat_statements.max": "10000",
        "pg_stat_statements.track": "all",
        "auto_explain.log_min_duration": "1s",
        "auto_explain.log_analyze": "off",
        "log_min_duration_statement": "1s",
        "log_lock_waits": "on",
        "log_temp_files": "10MB",
        "log_autovacuum_min_duration": "10s",
        "track_io_timing": "on",
        "autovacuum_vacuum_scale_factor": "0.05",
        "autovacuum_analyze_scale_factor": "0.02",
    }


# ---- between regions -----------------------------------------------------------------------------


def _archiver(service: Service, region: Region) -> Object:
    return {"name": PLUGIN, "isWALArchiver": True, "parameters": _archive(service, region)}


def _archive(service: Service, region: Region) -> Object:
    own = replica_name(service, region)
    return {"barmanObjectName": own, "serverName": own}


def _replica(service: Service, region: Region) -> Object:
    own = replica_name(service, region)
    if len(service.regions) == 1:  # its archive, by the name that a restore asks for
        plugin = {"name": PLUGIN, "parameters": _archive(service, region)}
        return {"externalClusters": [{"name": own, "plugin": plugin}]}
    primary = replica_name(service, names.primary(service))
    return {
        "replica": {"self": own, "primary": primary, "source": primary},
        "externalClusters": [_external(service, each) for each in service.regions],
    }


def _external(service: Service, region: Region) -> Object:
    copies = named(service, "db-replication")
    return {
        "name": replica_name(service, region),
        "connectionParameters": {
            "host": names.regional_host(service, region, "db"),
            "user": "streaming_replica",
            "dbname": "postgres",
            "sslmode": "verify-full",
        },
        "sslKey": {"name": copies, "key": "tls.key"},
        "sslCert": {"name": copies, "key": "tls.crt"},
        "sslRootCert": {"name": named(service, "db-server"), "key": "ca.crt"},
        "plugin": {"name": PLUGIN, "parameters": _archive(service, region)},
    }


def _ways(service: Service, region: Region) -> Object:
    """A door that only the networks of the regions can reach; ExternalDNS gives it its name."""
    if len(service.regions) == 1:
        return {}
    door = {
        "metadata": {
            "name": named(service, "db-regions"),
            "annotations": within_regions(names.regional_host(service, region, "db")),
        },
        "spec": {
            "type": "LoadBalancer",
            "loadBalancerClass": "service.k8s.aws/nlb",
            "loadBalancerSourceRanges": [each.cidr for each in service.regions],
        },
    }
    return {"managed": {"services": {"additional": [_additional(door)]}}}


def _additional(template: Object) -> Object:
    return {"selectorType": "rw", "updateStrategy": "patch", "serviceTemplate": template}


def _certificates(service: Service) -> Object:
    server, copies = named(service, "db-server"), named(service, "db-replication")
    return {
        "serverCASecret": server,
        "serverTLSSecret": server,
        "clientCASecret": copies,
        "replicationTLSSecret": copies,
    }


# ---- how long it may take ------------------------------------------------------------------------


def _patience(service: Service) -> Object:
    """No step of a failover may take longer than the whole of it is promised to take."""
    rto = names.seconds(service.resilience.backup.rto, 4)
    return {
        "failoverDelay": 0,
        "switchoverDelay": rto,
        "stopDelay": rto,
        "smartShutdownTimeout": rto // 4,
        "primaryUpdateStrategy": "unsupervised",
        "primaryUpdateMethod": "switchover",
        "enableSuperuserAccess": False,
        "enablePDB": True,
    }


# ---- the pooler ----------------------------------------------------------------------------------


def _pooler(service: Service) -> Object:
    spec = {
        "cluster": {"name": name(service)},
        "type": "rw",
        "instances": _POOLERS,
        "pgbouncer": {"poolMode": "transaction", "parameters": pooling(service)},
        "template": {"metadata": {"labels": {}}, "spec": _pooler_pod(service)},
    }
    return owned(service, f"{_API}/Pooler", named(service, "db-pooler"), spec, "pooler")


def pooling(service: Service) -> dict[str, str]:
    """All poolers together leave a fifth of the connections to people and to copies. Connections
    are open before the first request wants one."""
    each = CONNECTIONS * 4 // 5 // _POOLERS
    most = service.autoscaling.max or max(names.replicas(service, r) for r in service.regions)
    return {
        "default_pool_size": str(each - each // 5),
        "reserve_pool_size": str(each // 5),
        "min_pool_size": str(max(1, each // 4)),
        "max_client_conn": str(max(1000, 100 * most)),
        "max_prepared_statements": "200",
        "query_wait_timeout": "30",
        "server_idle_timeout": "600",
    }


def _pooler_pod(service: Service) -> Object:
    container = {
        "name": "pgbouncer",
        "image": thirdparty.PGBOUNCER.reference,
        "resources": resources("250m", "128Mi", "256Mi"),
    }
    constraint = {
        "maxSkew": 1,
        "topologyKey": ZONE,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": {"cnpg.io/poolerName": named(service, "db-pooler")}},
    }
    return {"containers": [container], "topologySpreadConstraints": [constraint]}
