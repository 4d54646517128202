"""An Alertmanager without an operator, and the routes a test of ``amtool`` expects."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.observability import routing
from holdfast.artifacts.observability.routing import ESCALATION, NOBODY, PAGE, TICKET
from holdfast.artifacts.observability.rule import literal
from holdfast.spec.model import Service

_SECRETS = "/etc/alertmanager/secrets"  # where the keys of the alerting secret are mounted
_NAMES = {name: name for name in ("group_by", "group_wait", "group_interval", "repeat_interval")}


def render(service: Service) -> Iterator[Artifact]:
    yield Artifact(
        "observability/alertmanager/alertmanager.yml",
        configuration(service),
        "Who hears of which alert: PagerDuty, Slack, and the second line when nobody answers.",
        ("observability.slack", "observability.escalate_after"),
        ("T106", "T107", "T108", "T109", "T110"),
    )


def configuration(service: Service) -> Object:
    return {
        "global": {"resolve_timeout": "5m"},
        "route": routing.tree(service, lambda name, value: f'{name}="{value}"', _NAMES),
        "inhibit_rules": [_inhibition(*each) for each in routing.INHIBITIONS],
        "receivers": _receivers(service),
    }


def _inhibition(source: dict[str, str], target: dict[str, str], equal: tuple[str, ...]) -> Object:
    return {
        "source_matchers": [f'{name}="{value}"' for name, value in source.items()],
        "target_matchers": [f'{name}="{value}"' for name, value in target.items()],
        "equal": list(equal),
    }


def _receivers(service: Service) -> list[Object]:
    slack = _slack(service)
    return [
        {"name": PAGE, "pagerduty_configs": [_pagerduty("critical")], "slack_configs": [slack]},
        {
            "name": ESCALATION,
            "pagerduty_configs": [_pagerduty("critical", "escalation")],
            "slack_configs": [{**slack, "text": f"<!channel> Nobody answered.\n{routing.TEXT}"}],
        },
        {"name": TICKET, "slack_configs": [slack]},
        {"name": NOBODY},
    ]


def _pagerduty(severity: str, group: str = "first line") -> Object:
    return {
        "routing_key_file": f"{_SECRETS}/pagerduty-key",
        "severity": severity,
        "class": "{{ .CommonLabels.alertname }}",
        "group": group,
        "description": routing.SUMMARY,
        "links": [{"href": routing.RUNBOOK, "text": "Runbook"}],
    }


def _slack(service: Service) -> Object:
    return {
        "api_url_file": f"{_SECRETS}/slack-url",
        "channel": literal(service.observability.slack),
        "send_resolved": True,
        "title": routing.TITLE,
        "text": routing.TEXT,
    }
