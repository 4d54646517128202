"""What Argo CD tells whom: Slack hears of every end of a sync, PagerDuty is called for an outage.

Addresses and keys are those of the alerts, by reference to Argo CD's own Secret.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.delivery.objects import FOLDER, shared
from holdfast.artifacts.format import yaml_text
from holdfast.spec.model import Service

PAGERDUTY, SLACK = "pagerduty-key", "slack-url"  # keys of the Secret
_SUBSCRIBE = "notifications.argoproj.io/subscribe"
_RUNNING = "app.status.operationState != nil and app.status.operationState.phase"
#: Trigger -> when, once for what, what is said.
_EVENTS = {
    "on-deployed": (
        f"{_RUNNING} in ['Succeeded'] and app.status.health.status == 'Healthy'",
        "app.status.operationState?.syncResult?.revision",
        "runs revision {{.app.status.sync.revision}}",
    ),
    "on-sync-failed": (
        f"{_RUNNING} in ['Error', 'Failed']",
        "app.status.operationState?.startedAt",
        "could not be synced: {{.app.status.operationState.message}}",
    ),
    "on-health-degraded": (
        "app.status.health.status == 'Degraded'",
        "",
        "is degraded",
    ),
}
_PAGED = "on-health-degraded"


def render(service: Service) -> Iterable[Artifact]:
    if not service.delivery.platform:
        return
    yield Artifact(
        f"{FOLDER}/argocd-notifications-cm.yaml",
        shared("v1/ConfigMap", "argocd-notifications-cm", data=_data(service)),
        "What is said about a sync, to whom; addresses are references to a Secret.",
        ("service", "delivery.platform"),
        ("T64",),
    )


def subscriptions(service: Service) -> dict[str, str]:
    """Annotations by which an Application is told about."""
    slack = {f"{_SUBSCRIBE}.{event}.{SLACK}": "" for event in _EVENTS}
    return {**slack, f"{_SUBSCRIBE}.{_PAGED}.pagerdutyv2": service.service}


def _data(service: Service) -> dict[str, str]:
    keys = {"serviceKeys": {service.service: f"${PAGERDUTY}"}}
    header = {"name": "Content-Type", "value": "application/json"}
    found = {
        f"service.webhook.{SLACK}": yaml_text(({"url": f"${SLACK}", "headers": [header]},)),
        "service.pagerdutyv2": yaml_text((keys,)),
    }
    for event, (when, once, words) in _EVENTS.items():
        found[f"trigger.{event}"] = _trigger(event, when, once)
        found[f"template.{event}"] = yaml_text((_template(event, words),))
    return found


def _trigger(event: str, when: str, once: str) -> str:
    per = {"oncePer": once} if once else {}
    return json.dumps([{"when": when, **per, "send": [event]}], indent=2) + "\n"  # JSON is YAML


def _template(event: str, words: str) -> Object:
    said = "{{.app.metadata.name}} " + words
    # The message may hold quotes: it is made JSON by the template itself.
    text = '{{ printf "%s %s" .app.metadata.name ' + _argument(words) + " | toJson }}"
    found: Object = {
        "message": said,
        "webhook": {SLACK: {"method": "POST", "body": f'{{"text": {text}}}'}},
    }
    if event == _PAGED:
        found["pagerdutyv2"] = {
            "summary": said,
            "severity": "critical",
            "source": "{{.app.metadata.name}}",
            "dedupKey": "{{.app.metadata.name}}-degraded",
        }
    return found


def _argument(words: str) -> str:
    """Words with one field at their end as an argument of a template's ``printf``."""
    before, _, field = words.partition("{{")
    quoted = json.dumps(before)
    return f'(printf "%s%v" {quoted} {field.rstrip("}")})' if field else quoted
