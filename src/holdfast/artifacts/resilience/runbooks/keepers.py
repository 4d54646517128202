"""Runbooks of what changes the service and of what watches it."""

from __future__ import annotations

from holdfast.artifacts.resilience.runbooks.page import Steps
from holdfast.artifacts.resilience.runbooks.words import Words


def steps(words: Words) -> dict[str, Steps]:
    return {
        **_deliveries(words),
        **_conductor(words),
        **_prometheus(words),
        **_notifications(words),
        **_telemetry(words),
    }


def _deliveries(words: Words) -> dict[str, Steps]:
    name = words.application
    look = [words.region, f"$ argocd app get {name}", f"$ argocd app diff {name}"]
    fine = [f"$ argocd app wait {name} --sync --health --timeout 600"]
    return {
        "ApplicationOutOfSync": Steps(
            look=look,
            act=["Somebody changed the cluster by hand, or a sync fails. What is in the repository "
                 "is right: sync; what was changed by hand and is needed goes into holdfast.yaml.",
                 f"$ argocd app sync {name}"],
            verify=fine,
        ),
        "ApplicationDegraded": Steps(
            look=[*look, f"$ {words.k} get events --sort-by=.lastTimestamp | tail -20"],
            act=["It began with a merge: see [rollback](rollback.md). Else go to the alert of the "
                 "part that is degraded."],
            verify=fine,
        ),
        "CanaryTakenBack": _canary(words),
    }  # fmt: skip


def _canary(words: Words) -> Steps:
    safe = "Users are on the old release and safe. The events say which metric refused the new one."
    flagger = f"$ {words.elsewhere('flagger-system')} logs deployment/flagger --tail=100"
    if not words.canaried:
        about = "Flagger does not run this service's rollouts; somebody else's canary has its name."
        return Steps(look=[words.region, flagger], act=[about], verify=[flagger])
    return Steps(
        look=[words.region, f"$ {words.k} describe canary {words.name}", flagger],
        act=[safe, "Mend it and release again; nothing else is to be done."],
        verify=[f"$ {words.k} get canary {words.name}", "Succeeded after the next release."],
    )


def _conductor(words: Words) -> dict[str, Steps]:
    look = [f"$ holdfast status {words.name}", f"$ holdfast history {words.name}"]
    return {
        "RolloutHeld": Steps(
            look=look,
            act=["The status says what it waits for. Approve it, or take it back:",
                 f"$ holdfast approve {words.name}", f"$ holdfast abort {words.name}"],
            verify=look[:1],
        ),
        "ReleaseTakenBack": Steps(
            look=look,
            act=["Users are on the old release and safe. The history says why. Mend the release."],
            verify=look[:1],
        ),
        "ConductorTrouble": Steps(
            look=[*look, "$ holdfast doctor"],
            act=["`holdfast doctor` names the repair. Replicas serve on without the conductor."],
            verify=look[:1],
        ),
        "ConductorAbsent": Steps(
            look=["$ holdfast doctor"],
            act=["It takes over what runs; nothing restarts.", "$ holdfast up"],
            verify=[f"$ holdfast status {words.name}"],
        ),
    }  # fmt: skip


_WATCHDOG = 'ALERTS{alertname="Watchdog"}'


def _prometheus(words: Words) -> dict[str, Steps]:
    space = words.elsewhere("monitoring")
    look = [
        words.region,
        f"$ {space} get pods,prometheusrules,servicemonitors,podmonitors",
        f"$ {space} logs statefulset/prometheus-holdfast -c prometheus --tail=100",
    ]
    down = f"$ {words.prom('up == 0')}"
    restart = f"$ {space} rollout restart statefulset/prometheus-holdfast"
    return {
        "Watchdog": Steps(
            look=[words.region, f"$ {words.prom(_WATCHDOG)}"],
            act=["It must always fire. You were called because it does not arrive: alerts do not "
                 "reach people. See [notifications-fail](notifications-fail.md)."],
            verify=[f"$ {space} logs statefulset/alertmanager-holdfast -c alertmanager --tail=50"],
        ),
        "TargetDown": Steps(
            look=[words.region, down, *look[1:2]],
            act=["The program is gone (its own alert fires too), its label or port changed, or a "
                 "network policy keeps Prometheus out."],
            verify=[down, "Nothing."],
        ),
        "RulesFail": Steps(
            look=look,
            act=["The log names the rule. Short of memory: raise it. A wrong rule: take the change "
                 "back, see [rollback](rollback.md).", restart],
            verify=[f"$ {words.prom('increase(prometheus_rule_evaluation_failures_total[5m])')}"],
        ),
        "ConfigurationRejected": Steps(
            look=look,
            act=["The log names the line. The old configuration goes on working: take the change "
                 "back in the repository."],
            verify=[f"$ {words.prom('prometheus_config_last_reload_successful')}", "1."],
        ),
    }  # fmt: skip


def _notifications(words: Words) -> dict[str, Steps]:
    space = words.elsewhere("monitoring")
    secret = f"{words.name}-alerting"
    return {
        "NotificationsFail": Steps(
            look=[
                words.region,
                f"$ {space} logs statefulset/alertmanager-holdfast -c alertmanager --tail=100",
                f"$ {space} get externalsecret {secret}",
            ],
            act=[
                "The key was revoked or changed: put the new one into Vault; it is in the cluster "
                "within five minutes, or at once:",
                f"$ vault kv patch -mount=secret monitoring/{secret} pagerduty-key=- "
                "< ./new-key",
                f"$ {space} annotate externalsecret {secret} force-sync=\"$(date +%s)\" "
                "--overwrite",
            ],
            verify=[f"$ {space} exec statefulset/alertmanager-holdfast -c alertmanager -- amtool "
                    "alert query --alertmanager.url=http://localhost:9093"],
            call="Nobody is called while this fires: watch the dashboards until it is over.",
        )
    }  # fmt: skip


def _telemetry(words: Words) -> dict[str, Steps]:
    spans, lines = words.elsewhere("tracing"), words.elsewhere("logging")
    return {
        "TelemetryLost": Steps(
            look=[words.region, f"$ {spans} get opentelemetrycollectors,pods",
                  f"$ {spans} logs -l app.kubernetes.io/component=opentelemetry-collector "
                  "--tail=100"],
            act=["Its store is slow or full: see the log. Until then sample less "
                 "(observability.sampling); users are not affected."],
            verify=[f"$ {words.prom('rate(otelcol_exporter_send_failed_spans[5m])')}", "0."],
        ),
        "LogsLost": Steps(
            look=[words.region, f"$ {lines} get elasticsearch,fluentbit,pods",
                  f"$ {lines} logs -l app.kubernetes.io/name=fluent-bit --tail=100"],
            act=["Elasticsearch is full or away: shorten observability.keep_logs, or give it room. "
                 "Lines wait on the nodes until their buffer is full."],
            verify=[f"$ {words.prom('rate(fluentbit_output_dropped_records_total[5m])')}", "0."],
        ),
    }  # fmt: skip
