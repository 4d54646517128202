"""CockroachDB as one cluster over all regions: a lost region loses no write.

The chart, not the operator's CrdbCluster: only the chart joins a region to a cluster that another
region began (``conf.join``). Pods of different regions find each other by name, which the mesh (or
a DNS that forwards) must bring; names differ by region for that. Sources: helm-charts
cockroachdb-v26.2.1; CockroachDB, Multi-Region Survival Goals, CREATE SCHEDULE FOR BACKUP.
"""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.resilience import thirdparty
from holdfast.artifacts.resilience.objects import (
    BACKUP,
    DATA,
    ZONE,
    container_security,
    named,
    owned,
    pod_security,
)
from holdfast.spec.model import Service
from holdfast.spec.production.regions import Region

NODES = 3
_SQL_PORT = 26257
_USER = 1000
_DAY = 86400
_KEYS = ("service", "regions", "resilience.database", "resilience.database_size")


def render(service: Service) -> Iterator[Artifact]:
    if service.resilience.database != "cockroach":
        return
    for region in service.regions:
        yield Artifact(
            f"{DATA}/helm/cockroach-{region.name}.yaml", values(service, region),
            _install(service, region), _values_keys(service, region),
            ("T115", "T131"),
        )  # fmt: skip
    yield Artifact(
        f"{DATA}/database.yaml", _door(service),
        "The database under the name and port that any PostgreSQL client expects.",
        ("service", "kubernetes.namespace", "resilience.database"), ("T131",),
    )  # fmt: skip
    yield Artifact(
        f"{BACKUP}/cockroach.sql", _sql(service),
        "Regions, what they survive, and backups; may run again at any time.",
        ("service", "regions", "resilience"),
        ("T115", "T121", "T122", "T123", "T124"),
    )  # fmt: skip


def release(service: Service, region: Region) -> str:
    return named(service, "db", region.name)


def _values_keys(service: Service, region: Region) -> tuple[str, ...]:
    """Only those who join say where the first ones are, which is in a namespace."""
    joins = region.name != names.primary(service).name
    return (*_KEYS, "kubernetes.namespace") if joins else _KEYS


def _install(service: Service, region: Region) -> str:
    """What the file is for; a chart is installed by Helm, which kustomize alone cannot run."""
    version = thirdparty.COCKROACH_CHART
    return (
        f"Values of the chart cockroachdb {version} of https://charts.cockroachdb.com for the"
        f" release {release(service, region)} in {region.name}."
    )


def values(service: Service, region: Region) -> Object:
    image, size = thirdparty.COCKROACH, service.resilience.database_size
    volume = {
        "enabled": True,
        "size": names.memory(size),
        "storageClass": names.storage_class("ssd"),
    }
    return {
        "fullnameOverride": release(service, region),
        "image": {"repository": image.repository, "tag": image.tag},
        "labels": names.family(service),
        "conf": _conf(service, region),
        "statefulset": _statefulset(),
        "storage": {"persistentVolume": volume},
        "tls": {"enabled": True, "certs": _certificates(service)},
        "init": {"provisioning": {"enabled": False}},
    }


def _conf(service: Service, region: Region) -> Object:
    """The primary region begins the cluster; whoever joins does not."""
    first = names.primary(service)
    joins = [] if region.name == first.name else [_address(service, first, n) for n in range(NODES)]
    return {
        "cluster-name": named(service, "db"),
        "locality": f"region={region.cloud}",
        "join": joins,
        "cache": "25%",
        "max-sql-memory": "25%",
    }


def _address(service: Service, region: Region, node: int) -> str:
    name = release(service, region)
    return f"{name}-{node}.{name}.{names.namespace(service)}.svc.cluster.local:{_SQL_PORT}"


def _statefulset() -> Object:
    amount = {"cpu": "4", "memory": "16Gi"}
    return {
        "replicas": NODES,
        "budget": {"maxUnavailable": 1},
        "resources": {"requests": amount, "limits": amount},
        "podAntiAffinity": {"topologyKey": ZONE, "type": "hard"},
        "securityContext": {"enabled": True, **pod_security(_USER)},
        "containerSecurityContext": container_security(),
    }


def _certificates(service: Service) -> Object:
    issuer = {
        "group": "cert-manager.io",
        "kind": "Issuer",
        "name": named(service, "issuer"),
        "nodeCertDuration": "2160h",
        "nodeCertExpiryWindow": "720h",
        "clientCertDuration": "2160h",
        "clientCertExpiryWindow": "720h",
    }
    return {"selfSigner": {"enabled": False}, "certManager": True, "certManagerIssuer": issuer}


def _door(service: Service) -> Object:
    port = {"name": "tcp-sql", "port": 5432, "targetPort": _SQL_PORT}
    spec = {
        "selector": {
            **names.family(service),
            "app.kubernetes.io/component": "cockroachdb",  # the chart's own label
        },
        "ports": [port],
    }
    return owned(service, "v1/Service", named(service, "db-rw"), spec, "database")


# ---- what SQL says -------------------------------------------------------------------------------


def _sql(service: Service) -> str:
    name = _quoted(service.service.replace("-", "_"))
    return (
        "\n".join(
            [
                f"CREATE DATABASE IF NOT EXISTS {name};",
                *_survival(service, name),
                "",
                *_schedule(service, name),
            ]
        )
        + "\n"
    )


def _survival(service: Service, name: str) -> Iterator[str]:
    """Three regions survive the loss of one; fewer survive the loss of a zone."""
    first, *rest = (names.primary(service), *names.others(service, names.primary(service)))
    yield f"ALTER DATABASE {name} SET PRIMARY REGION {_quoted(first.cloud)};"
    for region in rest:
        yield f"ALTER DATABASE {name} ADD REGION IF NOT EXISTS {_quoted(region.cloud)};"
    goal = "REGION" if len(service.regions) >= NODES else "ZONE"
    yield f"ALTER DATABASE {name} SURVIVE {goal} FAILURE;"


def _schedule(service: Service, name: str) -> Iterator[str]:
    """Each region gets its own part and the whole can be read with one region missing."""
    backup = service.resilience.backup
    label = _quoted(named(service, "backup"))
    places = ",\n  ".join(_place(service, region) for region in service.regions)
    keep = max(1, round(backup.keep))
    yield f"CREATE SCHEDULE IF NOT EXISTS {label} FOR BACKUP DATABASE {name} INTO (\n  {places}\n)"
    yield f"  WITH revision_history, kms = ({', '.join(map(_key, _keys(service)))})"
    yield "  RECURRING '*/5 * * * *' FULL BACKUP " + _full(backup.every)
    yield "  WITH SCHEDULE OPTIONS first_run = 'now', on_previous_running = 'wait';"
    yield f"ALTER DATABASE {name} CONFIGURE ZONE USING gc.ttlseconds = {min(keep, 90000)};"


def _full(every: float) -> str:
    return "'@daily'" if every >= _DAY else "'@hourly'"


def _place(service: Service, region: Region) -> str:
    """The primary region's part is where those of no region go."""
    default = region.name == names.primary(service).name
    where = "default" if default else f"region%3D{region.cloud}"
    path = f"{names.bucket(service, region)}/cockroach"
    return f"'s3://{path}?AUTH=implicit&AWS_REGION={region.cloud}&COCKROACH_LOCALITY={where}'"


def _keys(service: Service) -> list[str]:
    """One key of any region opens a backup."""
    key = named(service, "backup")
    return [f"aws-kms:///alias/{key}?AUTH=implicit&REGION={r.cloud}" for r in service.regions]


def _key(text: str) -> str:
    return f"'{text}'"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
