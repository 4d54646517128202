"""Runbooks of what must not be lost."""

from __future__ import annotations

from holdfast.artifacts.names import duration
from holdfast.artifacts.resilience.runbooks.page import Steps
from holdfast.artifacts.resilience.runbooks.words import Words

_OWNER = "Not sure whether data is lost: stop, call the owner of the data, change nothing."


def steps(words: Words) -> dict[str, Steps]:
    return {
        **_backups(words),
        **_archive(words),
        **_copies(words),
        **_cockroach(words),
        **_cache(words),
        **_queue(words),
        **_objects(words),
    }


def _backups(words: Words) -> dict[str, Steps]:
    look = [
        words.region,
        f"$ {words.velero} backup get",
        f"$ {words.velero} backup-location get",
        f"$ BACKUP=$({words.elsewhere('velero')} get backups.velero.io "
        "--sort-by=.metadata.creationTimestamp -o jsonpath='{.items[-1:].metadata.name}')",
        f'$ {words.velero} backup logs "$BACKUP" | grep -i error',
    ]
    act = [
        "The location is unavailable: bucket, key or identity of Velero. Mend it, then take a "
        "backup now and do not wait for the schedule.",
        f"$ {words.velero} backup create --from-schedule {words.name} --wait",
    ]
    found = Steps(look=look, act=act, verify=[f"$ {words.velero} backup get", "Completed."])
    return {"BackupTooOld": found, "BackupFailed": found}


def _archive(words: Words) -> dict[str, Steps]:
    backup = words.service.resilience.backup
    look = [
        words.region,
        f"$ {words.cnpg} status {words.db}",
        f"$ {words.k} get backup,scheduledbackup,objectstore",
        f'$ {words.sql} -c "SELECT CURRENT_TIMESTAMP - last_archived_time AS age, last_failed_wal, '
        'failed_count FROM pg_stat_archiver"',
    ]
    again = f"$ {words.cnpg} backup {words.db} --method=plugin --plugin-name={_PLUGIN}"
    return {
        "DatabaseBackupTooOld": Steps(
            look=look,
            act=["With the cause gone, take one now.", again],
            verify=[f"$ {words.k} get backup", "PHASE is completed."],
            call=_OWNER,
        ),
        "RestoreUnproven": _unproven(words),
        "WalArchivingFails": Steps(
            look=[*look, f"$ {words.k} logs -l cnpg.io/cluster={words.db} "
                  "-c plugin-barman-cloud --tail=100"],
            act=["Bucket, key or identity. Until it works more than "
                 f"{duration(backup.rpo)} would be lost with the region: do no risky work. The log "
                 "waits on its volume; see that it does not fill.",
                 f"$ {words.k} get pvc -l cnpg.io/cluster={words.db}"],
            verify=[look[-1], f"age is below {duration(backup.rpo)}."],
            call=_OWNER,
        ),
    }  # fmt: skip


def _unproven(words: Words) -> Steps:
    name = f"{words.name}-restore-check"
    chosen = f"app.kubernetes.io/name={name}"
    log = f"$ {words.k} logs -l {chosen} --all-containers --prefix --tail=100"
    return Steps(
        look=[words.region, f"$ {words.k} get jobs,cronjobs", log],
        act=[
            "The log says which of three it is: nothing was restored (bucket, key, identity), too "
            "much is missing (see [wal-archiving-fails](wal-archiving-fails.md)), or a page is "
            "broken: then the backup before it, and the live database, must be looked at today.",
            f"$ {words.k} create job {name}-again --from=cronjob/{name}",
        ],
        verify=[
            f"$ {words.k} wait --for=condition=Complete job/{name}-again --timeout=2h",
            log,
        ],
        call=_OWNER,
    )


_PLUGIN = "barman-cloud.cloudnative-pg.io"


def _copies(words: Words) -> dict[str, Steps]:
    rpo = duration(words.service.resilience.backup.rpo)
    look = [
        words.region,
        f"$ {words.cnpg} status {words.db}",
        f'$ {words.sql} -c "SELECT application_name, state, sync_state, replay_lag '
        'FROM pg_stat_replication"',
    ]
    busy = (
        f'$ {words.sql} -c "SELECT pid, CURRENT_TIMESTAMP - xact_start AS age, left(query, 80) '
        'FROM pg_stat_activity WHERE xact_start IS NOT NULL ORDER BY age DESC LIMIT 10"'
    )
    clients = (
        f'$ {words.sql} -c "SELECT usename, state, count(*) FROM pg_stat_activity GROUP BY 1, 2"'
    )
    return {
        "DatabaseReplicationLags": Steps(
            look=[*look, busy],
            act=[
                "A long transaction or a bulk load: end it if it may be ended "
                "(SELECT pg_terminate_backend(PID)). A slow disk: replace that instance.",
            ],
            verify=[look[-1], f"replay_lag is below {rpo}."],
            call="A failover now would lose what is not replayed: no drain, no upgrade until then.",
        ),
        "DatabaseReplicaMissing": Steps(
            look=[*look, f"$ {words.k} get pods,pvc -l cnpg.io/cluster={words.db}"],
            act=[
                "The operator brings it back. If not, its volume is broken; give it a new one.",
                f"$ POD={words.db}-2  # the one that is missing",
                f'$ {words.cnpg} destroy {words.db} "${{POD##*-}}"',
            ],
            verify=[look[1], "Three instances, two streaming."],
            call=_OWNER,
        ),
        "DatabaseConnectionsShort": Steps(
            look=[*look, clients, busy],
            act=[
                f"Clients must come through {words.name}-db-pooler. Who does not: change it. "
                "Sleeping transactions: end them. Short of that, add a pooler.",
                f"$ {words.k} scale pooler/{words.name}-db-pooler --replicas=4",
                "Slow statements hold connections; the database says which, and what would help:",
                f"$ {words.advice}",
            ],
            verify=[clients],
        ),
    }  # fmt: skip


def _cockroach(words: Words) -> dict[str, Steps]:
    chosen = "app.kubernetes.io/component=cockroachdb"
    pod = f'"$({words.k} get pod -l {chosen} -o name | head -1)"'
    run = f"{words.k} exec {pod} -c db -- ./cockroach"
    certs = "--certs-dir=/cockroach/cockroach-certs"
    look = [
        words.region,
        f"$ {words.k} get pods -l {chosen} -o wide",
        f"$ {run} node status --ranges {certs}",
    ]
    verify = [look[-1], "is_live is true everywhere, ranges_unavailable is 0."]
    act = [
        "Bring the nodes back that are gone: ranges are available again as soon as two of three "
        "copies are. Never remove the volume of a node while ranges are unavailable.",
        f"$ {words.k} get pvc -l {chosen}",
    ]
    return {
        "CockroachRangesUnavailable": Steps(look=look, act=act, verify=verify, call=_OWNER),
        "CockroachNodeMissing": Steps(look=look, act=act, verify=verify),
    }


def _cache(words: Words) -> dict[str, Steps]:
    name = f"{words.name}-cache"
    auth = 'REDISCLI_AUTH="$REDIS_PASSWORD" redis-cli'
    ask = f"{words.k} exec {name}-0 -- sh -c '{auth} %s'"
    look = [
        words.region,
        f"$ {words.k} get redisreplication/{name} redissentinel/{name}",
        f"$ {ask % 'info replication'}",
        f"$ {ask % 'info memory'}",
    ]
    return {
        "CacheReplicaMissing": Steps(
            look=look,
            act=[
                "Replace what does not follow; sentinels choose another primary by themselves.",
                f"$ {words.k} delete pod {name}-1",
            ],
            verify=[look[2], "connected_slaves is 2."],
        ),
        "CacheMemoryFull": Steps(
            look=[*look, f"$ {ask % '--bigkeys -i 0.01'}"],
            act=[
                "One key or one prefix grows without a time to live: give it one in the program. "
                "The cache may throw away what it holds: nothing is lost, only slower.",
            ],
            verify=[look[-1], "used_memory is below 90 percent of maxmemory."],
        ),
    }


def _queue(words: Words) -> dict[str, Steps]:
    name = f"{words.name}-queue"
    look = [
        words.region,
        f"$ {words.k} get kafka,kafkanodepool,kafkatopic",
        f"$ {words.k} get pods -l strimzi.io/cluster={name} -o wide",
        f"$ {words.k} get kafka {name} -o jsonpath='{{.status.conditions}}'",
    ]
    ready = [
        f"$ {words.k} wait --for=condition=Ready kafka/{name} --timeout=10m",
        f"$ {words.prom(_under(words))}",
        "0.",
    ]
    restart = [
        "The operator restarts one broker after the other and waits for copies in between:",
        f"$ {words.k} annotate strimzipodset -l strimzi.io/cluster={name} "
        "strimzi.io/manual-rolling-update=true",
    ]
    lag = f'kafka_consumergroup_lag{{namespace="{words.space}"}}'
    return {
        "QueueUnderReplicated": Steps(look=look, act=restart, verify=ready),
        "QueueOffline": Steps(
            look=look,
            act=[
                "No copy that is in sync is alive. Bring the brokers back. An election of a copy "
                "that is behind loses records: only the owner of the data may order it.",
                *restart,
            ],
            verify=ready,
            call=_OWNER,
        ),
        "ConsumersLag": Steps(
            look=[words.region, f"$ {words.prom(lag)}", f"$ {words.k} logs -l {words.selector} "
                  "--tail=100 --prefix"],
            act=["More instances help as long as there are more partitions than instances. A "
                 "record that always fails stops its partition: find it in the logs.",
                 f"$ {words.k} get kafkatopic {words.name} -o yaml"],
            verify=[f"$ {words.prom(lag)}", "It falls."],
        ),
    }  # fmt: skip


def _under(words: Words) -> str:
    metric = "kafka_server_replicamanager_underreplicatedpartitions"
    return f'sum({metric}{{namespace="{words.space}"}})'


def _objects(words: Words) -> dict[str, Steps]:
    name = f"{words.name}-objects"
    chosen = f"v1.min.io/tenant={name}"
    return {
        "ObjectStoreOffline": Steps(
            look=[
                words.region,
                f"$ {words.k} get tenant {name}",
                f"$ {words.k} get pods,pvc -l {chosen} -o wide",
                '$ mc admin info "$REGION"',
            ],
            act=[
                "Up to four of sixteen drives may be gone without harm; a fifth stops writes. "
                "Replace the pod, or its volume when the disk is broken; MinIO heals by itself.",
                f"$ {words.k} delete pod {name}-pool-0-0  # the one whose drives are offline",
                '$ mc admin heal "$REGION"',
            ],
            verify=['$ mc admin info "$REGION"', "0 drives offline."],
            call="More than three drives: call the owner of the data before anything else.",
        )
    }
