"""What no alert asks for by itself: a lost region, failover and failback, restores, rotation."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.artifacts import names
from holdfast.artifacts.names import duration
from holdfast.artifacts.resilience.data import postgres
from holdfast.artifacts.resilience.runbooks.page import Page
from holdfast.artifacts.resilience.runbooks.words import Words
from holdfast.artifacts.signals import RECORDED

_SECOND = "'2026-01-31 13:59:59+00'"


def pages(words: Words) -> dict[str, Page]:
    """File name without its ending -> the page."""
    found = {
        "region-loss": _region_loss(words),
        "failover": _failover(words),
        "failback": _failback(words),
        "rollback": _rollback(words),
        "secret-rotation": _rotation(words),
        "restore-cluster": _restore_cluster(words),
    }
    if words.service.resilience.database == "postgres":
        found["restore-to-a-second"] = _restore(words)
    if words.service.resilience.database == "cockroach":
        found["restore-to-a-second"] = _restore_cockroach(words)
    return found


def _target(words: Words) -> str:
    others = names.others(words.service, names.primary(words.service))
    return others[0].name if others else words.primary


def _ends(words: Words) -> list[str]:
    """From where to where; both are contexts of kubectl."""
    known = ", ".join(region.name for region in words.service.regions)
    return [
        f"$ REGION={words.primary}  # the one to leave: {known}",
        f"$ TARGET={_target(words)}  # the one to go to",
    ]


def _region_loss(words: Words) -> Page:
    backup = words.service.resilience.backup
    ask = f"$ curl -sS -o /dev/null -m 5 -w '%{{http_code}}\\n' {words.url}"
    return Page(
        title=f"Region loss: {words.name}",
        means=f"A region answers nobody. Promised: serving again within {duration(backup.rto)}, at "
        f"most {duration(backup.rpo)} of history lost. The clock runs since the first failure.",
        look=[
            *_ends(words),
            "Ask from two places that are not in that region, and ask the cluster itself:",
            ask,
            f"$ {words.cluster} get nodes --request-timeout=5s",
        ],
        act=[
            "Users are moved by health checks within a minute; nothing is to be done for that.",
            "The region was not primary: you are done; watch the capacity of the others.",
            "The region was primary: do [failover](failover.md) now, in its way without the old "
            "primary.",
        ],
        verify=[ask, "200, and the write path: a user can log in and change something."],
        call="Always the second line. The owner of the data decides when the old region may "
        "return; until then nobody starts its database.",
    )


def _failover(words: Words) -> Page:
    rpo = duration(words.service.resilience.backup.rpo)
    return Page(
        title=f"Failover: {words.name}",
        means="Writes move to another region, as planned or because the primary is gone.",
        look=[
            *_ends(words),
            f"How far is the target behind? More than {rpo} must be said to the owner of the data.",
            *_behind(words),
        ],
        act=list(_moving(words)),
        verify=[
            f'$ kubectl --context "$TARGET" -n {words.space} get pods -l {words.selector}',
            f"$ curl -sS -o /dev/null -w '%{{http_code}}\\n' {words.url}",
            *_writes(words, "$TARGET"),
        ],
        call="Say before and after in Slack that writes move. The owner of the data is called when "
        "the old primary did not answer.",
    )


def _behind(words: Words) -> Iterator[str]:
    if words.service.resilience.database == "postgres":
        yield f'$ kubectl cnpg --context "$TARGET" -n {words.space} status {words.db}'
    else:
        yield f'$ kubectl --context "$TARGET" -n {words.space} get pods'


def _moving(words: Words) -> Iterator[str]:
    yield "1. In holdfast.yaml set `primary: true` at the target and remove it from the old region."
    if words.service.resilience.database == "postgres":
        yield from _planned(words)
        yield from _unplanned(words)
    yield "3. Merge: delivery, DNS and dashboards follow the spec."
    yield "$ holdfast render -o out && git commit -am 'primary region moved' && git push"


def _planned(words: Words) -> Iterator[str]:
    """CloudNativePG gives a token when a primary steps down: whoever has it lost nothing."""
    yield (
        "2a. Both regions answer: the old primary steps down and hands over a token, by which the "
        "new one knows that nothing is missing."
    )
    demote = f'"{{\\"spec\\":{{\\"replica\\":{{\\"primary\\":\\"{words.name}-db-$TARGET\\"}}}}}}"'
    yield f"$ {words.k} patch cluster {words.db} --type=merge -p {demote}"
    yield (f"$ TOKEN=$({words.k} get cluster {words.db} -o jsonpath='{{.status.demotionToken}}')")
    token = (
        f'"{{\\"spec\\":{{\\"replica\\":{{\\"primary\\":\\"{words.name}-db-$TARGET\\",'
        '\\"promotionToken\\":\\"$TOKEN\\"}}}"'
    )
    patch = f'kubectl --context "$TARGET" -n {words.space} patch cluster {words.db} --type=merge'
    yield f"$ {patch} -p {token}"


def _unplanned(words: Words) -> Iterator[str]:
    yield (
        "2b. The old primary does not answer: first make sure that it can not come back and write "
        "(its network is cut, or its account may not start instances). Then:"
    )
    alone = f'"{{\\"spec\\":{{\\"replica\\":{{\\"primary\\":\\"{words.name}-db-$TARGET\\"}}}}}}"'
    patch = f'kubectl --context "$TARGET" -n {words.space} patch cluster {words.db} --type=merge'
    yield f"$ {patch} -p {alone}"


def _writes(words: Words, region: str) -> Iterator[str]:
    if words.service.resilience.database == "postgres":
        pod = f'kubectl --context "{region}" -n {words.space}'
        chosen = f"cnpg.io/cluster={words.db},cnpg.io/instanceRole=primary"
        ask = '-c postgres -- psql -Atc "SELECT pg_is_in_recovery()"'
        yield f'$ {pod} exec "$({pod} get pod -l {chosen} -o name)" {ask}'
        yield "f: it writes."


def _failback(words: Words) -> Page:
    postgresql = words.service.resilience.database == "postgres"
    again = [
        "1. The old region's database may hold writes that nobody else has. Keep them before they "
        "are discarded: a backup of what is there.",
        f"$ {words.cnpg} backup {words.db} --method=plugin --plugin-name={postgres.PLUGIN}",
        "2. Let it follow: its Cluster already names the new primary. It does not follow because "
        "its history differs: delete it with its volumes, it comes back as a copy.",
        f"$ {words.k} delete cluster {words.db}",
    ]
    return Page(
        title=f"Failback: {words.name}",
        means="A region that was lost is back and becomes a follower, later perhaps primary again.",
        look=[*_ends(words), f"$ {words.cluster} get nodes", *_behind(words)],
        act=[
            *(again if postgresql else []),
            "Wait until it has caught up and a day has passed quietly, then do "
            "[failover](failover.md) as planned, back to it. Never by itself, never at night.",
        ],
        verify=[
            *([f"$ {words.cnpg} status {words.db}"] if postgresql else []),
            f"$ {words.k} rollout status {words.workload}",
        ],
        call="The owner of the data, before anything is deleted.",
        severity="ticket",
    )


def _rollback(words: Words) -> Page:
    hold = "argocd.argoproj.io/skip-reconcile"
    application = f"{words.elsewhere('argocd')} annotate application {words.application}"
    now = [
        "Fast, by hand, region by region; Argo CD is told to keep still meanwhile:",
        f"$ {application} {hold}=true --overwrite",
        f"$ {words.k} rollout undo {words.workload}",
        f"$ {words.k} rollout status {words.workload} --timeout=2m",
        "Then in the repository, so that it stays so:",
        "$ git revert --no-edit HEAD && git push",
        f"$ {application} {hold}- --overwrite",
    ]
    running = (
        "A rollout is running: do nothing, Flagger takes it back when its analysis fails. To "
        "force it, revert the commit: Flagger goes back to the release that serves."
    )
    errors = f'{RECORDED.error_ratio}5m{{service="{words.name}"}}'
    return Page(
        title=f"Rollback: {words.name}",
        means=f"Users go back to the release before, within "
        f"{duration(words.service.promises.rollback)} of the decision.",
        look=[words.region, f"$ {words.k} rollout history {words.workload}",
              f"$ argocd app history {words.application}"],
        act=[*([running] if words.canaried else []), *now],
        verify=[f"$ {words.prom(errors)}", "It falls at once."],
        call="A migration of the database went with the release: call its author before you go "
        "back.",
    )  # fmt: skip


def _restore(words: Words) -> Page:
    """A second cluster beside the first: nothing that is there is touched."""
    backup = words.service.resilience.backup
    scratch = f"{words.db}-restored"
    source = f"{words.db}-$REGION"
    sql = f'{words.k} exec "$({words.k} get pod -l cnpg.io/cluster={scratch} -o name | head -1)"'
    manifest = [
        f"$ {words.k} get cluster {words.db} -o json | jq \\",
        f'$   --arg name {scratch} --arg source "{source}" --arg second "$SECOND" \\',
        "$   '{apiVersion, kind, metadata: {name: $name}, spec: (.spec | {imageName, instances: 1,"
        " storage, walStorage, postgresql: {parameters: .postgresql.parameters}, resources,"
        " externalClusters, bootstrap: {recovery: {source: $source,"
        f" recoveryTarget: {{targetTime: $second}}}}}}}})' | {words.k} create -f -",
    ]
    return Page(
        title=f"Restore to a second: {words.name}",
        means=f"Data was changed by mistake. Any second of the last {duration(backup.keep)} can be "
        f"had, up to {duration(backup.rpo)} ago.",
        look=[
            words.region,
            "Which second was the last good one? Take the one before, in UTC:",
            f"$ SECOND={_SECOND}",
            f"$ {words.k} get backup -l cnpg.io/cluster={words.db}",
        ],
        act=[
            "A second cluster is made beside the first; nothing that is there is touched.",
            *manifest,
            f"$ {words.k} wait --for=condition=Ready cluster/{scratch} --timeout=1h",
            "Copy what is missing back, table by table; whole only if the owner says so.",
            "$ TABLE=public.orders  # one after the other",
            f"$ DATABASE={postgres.database(words.service)}",
            f'$ {sql} -c postgres -- pg_dump -Fc -t "$TABLE" "$DATABASE" > table.dump',
        ],
        verify=[
            f'$ {sql} -c postgres -- psql -Atc "SELECT pg_is_in_recovery(), '
            '(pg_last_committed_xact()).timestamp"',
            "f, and a moment before the second you asked for.",
            f"$ {words.k} delete cluster {scratch}",
        ],
        call="The owner of the data decides which second and which tables.",
    )


def _restore_cockroach(words: Words) -> Page:
    bucket = names.bucket(words.service, names.primary(words.service))
    database = words.service.service.replace("-", "_")
    chosen = "app.kubernetes.io/component=cockroachdb"
    run = f'{words.k} exec "$({words.k} get pod -l {chosen} -o name | head -1)" -c db --'
    sql = f"{run} ./cockroach sql --certs-dir=/cockroach/cockroach-certs -e"
    where = f"'s3://{bucket}/cockroach?AUTH=implicit'"
    restore = (
        f'"RESTORE DATABASE {database} FROM LATEST IN {where} AS OF SYSTEM TIME $SECOND '
        f"WITH new_db_name = '{database}_restored'\""
    )
    return Page(
        title=f"Restore to a second: {words.name}",
        means="Data was changed by mistake; a copy as of a second is made beside what is there.",
        look=[words.region, f"$ SECOND={_SECOND}", f'$ {sql} "SHOW BACKUPS IN {where}"'],
        act=[f"$ {sql} {restore}", "Copy what is missing back, table by table."],
        verify=[f'$ {sql} "SHOW TABLES FROM {database}_restored"'],
        call="The owner of the data decides which second and which tables.",
    )


def _restore_cluster(words: Words) -> Page:
    backup = words.service.resilience.backup
    return Page(
        title=f"Restore the objects of the cluster: {words.name}",
        means=f"Objects or volumes of {words.space} are gone. A backup is at most "
        f"{duration(backup.every)} old; what is in the repository comes back from there.",
        look=[words.region, f"$ {words.velero} backup get",
              f"$ BACKUP=$({words.elsewhere('velero')} get backups.velero.io "
              "--sort-by=.metadata.creationTimestamp -o jsonpath='{.items[-1:].metadata.name}')",
              f'$ {words.velero} backup describe "$BACKUP" --details'],
        act=[
            "Into a namespace beside the first; what is there is not touched.",
            f'$ {words.velero} restore create --from-backup "$BACKUP" --namespace-mappings '
            f"{words.space}:{words.space}-restored --wait",
        ],
        verify=[f"$ {words.cluster} -n {words.space}-restored get all,pvc"],
        call="A volume of the database is gone: do [restore-to-a-second](restore-to-a-second.md).",
    )  # fmt: skip


def _rotation(words: Words) -> Page:
    keys = sorted(words.service.run.secrets)
    path = f"{words.space}/{words.name}"
    own = [
        f"1. Put the new value of one key into Vault ({', '.join(keys)}); the old value must "
        "stay valid until the end.",
        f"$ KEY={keys[0] if keys else ''}",
        f'$ vault kv patch -mount=secret {path} "$KEY"=- < ./new-value',
        f"$ {words.k} annotate externalsecret {words.name}-secrets "
        'force-sync="$(date +%s)" --overwrite',
        f"$ {words.k} rollout restart {words.workload}",
        f"$ {words.k} rollout status {words.workload} --timeout=10m",
    ]
    none = ["1. The service has no secrets of its own; those of its data services are below."]
    return Page(
        title=f"Secret rotation: {words.name}",
        means="A secret is replaced because its time has come or because somebody has seen it.",
        look=[words.region, f"$ {words.k} get externalsecret",
              f"$ vault kv metadata get -mount=secret {path}"],
        act=[
            *(own if keys else none),
            "2. Certificates and their keys renew themselves; at once, if one was seen:",
            f'$ cmctl --context "$REGION" -n {words.space} renew --all',
            "3. Revoke the old value where it is accepted. Only now the rotation is done.",
        ],
        verify=[f"$ {words.k} get externalsecret", "READY is True, and no request failed."],
        call="It was seen by somebody outside: call security first, rotate at once.",
        severity="ticket",
    )  # fmt: skip
