"""A backup counts when it was restored: every night into a scratch database, and held against it.

Three programs in one pod, one after the other: the first makes the scratch database out of the
archive, the second reads every page and index of it and compares how old it is with what may be
lost, the third removes it whatever happened. The Job fails when the second said no, which the
alert ``RestoreUnproven`` sees. The live database is asked as a copy of it would: by certificate.
Sources: CloudNativePG v1.30 (Recovery), pg_amcheck.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.resilience import thirdparty
from holdfast.artifacts.resilience.data import postgres
from holdfast.artifacts.resilience.objects import (
    BACKUP,
    EXTERNAL,
    annotated,
    container_security,
    named,
    overlay,
    owned,
    pod_security,
    resources,
)
from holdfast.spec.model import Service
from holdfast.spec.production.regions import Region

_USER = 65532
_SUFFIX = "restore-check"
_KEYS = ("service", "kubernetes.namespace", "regions", "resilience")
_SLOW = 12  # how much longer than the promise a scratch database of one instance may take

_MAKE = """\
set -u
kubectl delete "$KIND" "$SCRATCH" --ignore-not-found --wait=true
date +%s > /result/begun
kubectl create -f /manifest/cluster.json &&
  kubectl wait --for=condition=Ready "$KIND/$SCRATCH" --timeout="${LONGEST}s"
echo $? > /result/restored
date +%s > /result/ready
"""
#: Both databases are asked for the moment of their last commit; what is missing is the difference.
_CHECK = """\
set -u
lost() { echo "$1" >&2; echo 1 > /result/code; exit 0; }
[ "$(cat /result/restored)" = 0 ] || lost "the scratch database did not become ready"
took=$(( $(cat /result/ready) - $(cat /result/begun) ))
[ "$took" -le "$LONGEST" ] || lost "restored in $took s, at most $LONGEST s"
last="SELECT coalesce(floor(extract(epoch FROM (pg_last_committed_xact()).timestamp)), 0)"
have=$(psql -Atc "$last") || lost "the scratch database does not answer"
want=$(psql "$LIVE" -Atc "$last") || lost "the live database does not answer"
begun=$(cat /result/begun)
[ "$want" -le "$begun" ] || want=$begun
[ $(( want - have )) -le "$RPO" ] || lost "$(( want - have )) s are missing, at most $RPO s"
pg_amcheck --all --install-missing --heapallindexed --jobs=2 || lost "a page or an index is broken"
echo "restored in $took s; $(( want - have )) s of history missing; every page and index is whole"
echo 0 > /result/code
"""
_CLEAN = """\
kubectl delete "$KIND" "$SCRATCH" --ignore-not-found --wait=true
exit "$(cat /result/code)"
"""


def render(service: Service) -> Iterator[Artifact]:
    if service.resilience.database != "postgres":
        return
    for region in service.regions:
        yield Artifact(
            f"{overlay(region)}/restore-check.yaml", _manifest(service, region),
            f"The scratch database that {region.name} restores every night.", _KEYS,
            ("T122", "T125"),
        )  # fmt: skip
    yield Artifact(
        f"{BACKUP}/restore-check.yaml", [*_identity(service), _cron(service)],
        "Restores the database every night and proves that nothing is missing or broken.",
        ("service", "kubernetes.namespace", "resilience.database", "resilience.backup"),
        ("T125", "T126", "T127", "T129"),
    )  # fmt: skip


def scratch(service: Service) -> str:
    return named(service, "db", "check")


def _manifest(service: Service, region: Region) -> Object:
    """One instance, out of this region's own archive, that archives nothing itself."""
    whole = postgres.cluster(service, region)["spec"]
    own = postgres.replica_name(service, region)
    spec = {
        "instances": 1,
        "imageName": whole["imageName"],
        "enableSuperuserAccess": True,
        "bootstrap": {"recovery": {"source": own}},
        "externalClusters": [_archive(whole["externalClusters"], own)],
        "postgresql": {"parameters": whole["postgresql"]["parameters"]},
        "storage": whole["storage"],
        "walStorage": whole["walStorage"],
        "resources": whole["resources"],
    }
    cluster = owned(service, "postgresql.cnpg.io/v1/Cluster", scratch(service), spec, _SUFFIX)
    found = owned(service, "v1/ConfigMap", named(service, _SUFFIX), {}, _SUFFIX)
    return {**found, "data": {"cluster.json": json.dumps(cluster, indent=2) + "\n"}}


def _archive(known: list[Object], name: str) -> Object:
    """Only the archive: a check that follows the live database would prove nothing."""
    (own,) = (each for each in known if each["name"] == name)
    return {"name": name, "plugin": own["plugin"]}


# ---- who does it ---------------------------------------------------------------------------------


def _identity(service: Service) -> Iterator[Object]:
    """May make and remove the one scratch database. A name cannot bound ``create``."""
    name, rbac = named(service, _SUFFIX), "rbac.authorization.k8s.io"
    clusters = {"apiGroups": ["postgresql.cnpg.io"], "resources": ["clusters"]}
    rules = [
        {**clusters, "verbs": ["create"]},
        {
            **clusters,
            "resourceNames": [scratch(service)],
            "verbs": ["get", "list", "watch", "delete"],
        },
    ]
    account = owned(service, "v1/ServiceAccount", name, {}, _SUFFIX)
    yield {**account, "automountServiceAccountToken": False}
    yield {**owned(service, f"{rbac}/v1/Role", name, {}, _SUFFIX), "rules": rules}
    subject = {
        "kind": "ServiceAccount",
        "name": name,
        "namespace": names.namespace(service),
    }
    binding = owned(service, f"{rbac}/v1/RoleBinding", name, {}, _SUFFIX)
    binding["roleRef"] = {"apiGroup": rbac, "kind": "Role", "name": name}
    yield {**binding, "subjects": [subject]}


def _cron(service: Service) -> Object:
    spec = {
        "schedule": "40 3 * * *",
        "timeZone": "Etc/UTC",
        "concurrencyPolicy": "Forbid",
        "startingDeadlineSeconds": 3600,
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 3,
        "jobTemplate": {"spec": _job(service)},
    }
    name = named(service, _SUFFIX)
    found = owned(service, "batch/v1/CronJob", name, spec, _SUFFIX)
    secrets = f"Secret/{scratch(service)}-superuser"  # made with the scratch database
    why = "the secret is made while the pod runs, and a volume must be there before"
    return annotated(found, **{EXTERNAL: secrets, "checkov.io/skip1": f"CKV_K8S_35={why}"})


def longest(service: Service) -> int:
    """Seconds: the promise is for a failover; a restore reads the whole archive."""
    return names.seconds(service.resilience.backup.rto * _SLOW)


def _job(service: Service) -> Object:
    return {
        "backoffLimit": 0,
        "activeDeadlineSeconds": 2 * longest(service) + 3600,
        "template": {
            "metadata": {"labels": names.beside(service, _SUFFIX)},
            "spec": _pod(service),
        },
    }


def _pod(service: Service) -> Object:
    shared = {"name": "result", "mountPath": "/result"}
    manifest = {"name": "manifest", "mountPath": "/manifest", "readOnly": True}
    return {
        "serviceAccountName": named(service, _SUFFIX),
        "automountServiceAccountToken": False,
        "restartPolicy": "Never",
        "securityContext": pod_security(_USER),
        "initContainers": [
            _kubectl(service, "make", _MAKE, [shared, manifest, _TOKEN]),
            _psql(service, [shared]),
        ],
        "containers": [_kubectl(service, "clean", _CLEAN, [shared, _TOKEN])],
        "volumes": [
            {"name": "result", "emptyDir": {"sizeLimit": "1Mi"}},
            {"name": "manifest", "configMap": {"name": named(service, _SUFFIX)}},
            {
                "name": "copies",
                "secret": {"secretName": named(service, "db-replication"), "defaultMode": 0o440},
            },
            _token(),
        ],
    }


_TOKEN = {
    "name": "token",
    "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
    "readOnly": True,
}


def _token() -> Object:
    """Only kubectl sees the token; what reads the data does not."""
    sources = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}},
        {
            "configMap": {
                "name": "kube-root-ca.crt",
                "optional": True,
                "items": [{"key": "ca.crt", "path": "ca.crt"}],
            }
        },
        {
            "downwardAPI": {
                "items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]
            }
        },
    ]
    return {"name": "token", "projected": {"sources": sources}}


def _kubectl(service: Service, name: str, script: str, mounts: list[Object]) -> Object:
    env = {
        "KIND": "clusters.postgresql.cnpg.io",
        "SCRATCH": scratch(service),
        "LONGEST": str(longest(service)),
        "HOME": "/result",
    }
    return {
        **_container(name, thirdparty.KUBECTL.reference, script, mounts),
        "env": [{"name": key, "value": value} for key, value in env.items()],
    }


def _psql(service: Service, mounts: list[Object]) -> Object:
    made = f"{scratch(service)}-superuser"
    said = {
        "PGHOST": f"{scratch(service)}-rw",
        "PGDATABASE": "postgres",
        "LIVE": _live(service),
        "RPO": str(names.seconds(service.resilience.backup.rpo)),
        "LONGEST": str(longest(service)),
    }
    secret = {"PGUSER": "username", "PGPASSWORD": "password"}
    refs = [
        {"name": key, "valueFrom": {"secretKeyRef": {"name": made, "key": field}}}
        for key, field in secret.items()
    ]
    copies = {"name": "copies", "mountPath": "/copies", "readOnly": True}
    env = [{"name": key, "value": value} for key, value in said.items()]
    return {
        **_container("check", thirdparty.POSTGRES.reference, _CHECK, [*mounts, copies]),
        "env": [*env, *refs],
    }


def _live(service: Service) -> str:
    """How libpq reaches any instance of the live database."""
    said = {
        "host": f"{postgres.name(service)}-r",
        "user": "streaming_replica",
        "dbname": "postgres",
        "sslmode": "verify-ca",
        "sslrootcert": "/copies/ca.crt",
        "sslcert": "/copies/tls.crt",
        "sslkey": "/copies/tls.key",
    }
    return " ".join(f"{key}={value}" for key, value in said.items())


def _container(name: str, image: str, script: str, mounts: list[Object]) -> Object:
    amount = resources("100m", "128Mi", "256Mi")
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", script],
        "resources": {**amount, "limits": {"cpu": "1", **amount["limits"]}},
        "securityContext": container_security(),
        "volumeMounts": mounts,
    }
