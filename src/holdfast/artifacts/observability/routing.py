"""Who hears of which alert, when, and what is not said twice: one tree, written two ways.

A page goes to PagerDuty at once and to Slack; a ticket to Slack alone; ``info`` calls nobody. A
page that is still firing after ``observability.escalate_after`` and that nobody acknowledged by a
silence goes to the second line: that route waits so long before its first notification.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from holdfast.artifacts.artifact import Object
from holdfast.artifacts.names import duration
from holdfast.spec.model import Service

PAGE, TICKET, ESCALATION, NOBODY = "page", "ticket", "escalation", "nobody"
_GROUPED: Final = ("service", "region", "severity")
#: source -> what it silences, and by which labels the two must be equal.
INHIBITIONS: Final = (
    ({"severity": "page", "slo": "availability"}, {"severity": "ticket", "slo": "availability"},
     ("service", "region", "slo")),
    ({"severity": "page", "slo": "latency"}, {"severity": "ticket", "slo": "latency"},
     ("service", "region", "slo")),
    ({"alertname": "MostRequestsFail"}, {"alertname": "LatencyBurnsFast"}, ("service", "region")),
    ({"alertname": "SignalsAbsent"}, {"alertname": "NoTraffic"}, ("service",)),
    ({"alertname": "QueueOffline"}, {"alertname": "QueueUnderReplicated"}, ("service", "region")),
    ({"alertname": "NodeNotReady"}, {"alertname": "TargetDown"}, ("region",)),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Route:
    """Alerts of a severity, to one receiver; ``on``: the next route hears of them too."""

    severity: str
    receiver: str
    wait: str
    repeat: str
    on: bool = False


def routes(service: Service) -> tuple[Route, ...]:
    late = duration(max(1.0, service.observability.escalate_after))
    return (
        Route("page", PAGE, "10s", "4h", on=True),
        Route("page", ESCALATION, late, "1h"),
        Route("ticket", TICKET, "1m", "24h"),
        Route("info", NOBODY, "1m", "24h"),
    )


def tree(service: Service, matcher: Callable[[str, str], Any], names: dict[str, str]) -> Object:
    """The tree of routes; ``names`` are the words for its fields."""
    by, repeat = names["group_by"], names["repeat_interval"]
    wait, interval = names["group_wait"], names["group_interval"]

    def branch(route: Route) -> Object:
        found: Object = {
            "receiver": route.receiver,
            "matchers": [matcher("severity", route.severity)],
            wait: route.wait, repeat: route.repeat,
        }  # fmt: skip
        if route.receiver == ESCALATION:  # each alert waits for itself
            found[by] = [*_GROUPED, "alertname"]
        return {**found, "continue": True} if route.on else found

    return {
        "receiver": TICKET,
        by: list(_GROUPED),
        wait: "30s", interval: "1m", repeat: "12h",
        "routes": [branch(route) for route in routes(service)],
    }  # fmt: skip


#: What a notification says; Alertmanager's templates.
TITLE: Final = (
    '[{{ .Status | toUpper }}{{ if eq .Status "firing" }}: {{ .Alerts.Firing | len }}{{ end }}] '
    "{{ .CommonLabels.service }} in {{ .CommonLabels.region }}: {{ .GroupLabels.severity }}"
)
TEXT: Final = (
    "{{ range .Alerts }}*{{ .Labels.alertname }}* {{ .Annotations.summary }}\n"
    "{{ .Annotations.description }}\n<{{ .Annotations.runbook_url }}|Runbook>\n{{ end }}"
)
SUMMARY: Final = (
    "{{ .CommonLabels.service }} in {{ .CommonLabels.region }}: "
    "{{ range .Alerts.Firing }}{{ .Labels.alertname }} {{ end }}"
)
RUNBOOK: Final = "{{ (index .Alerts 0).Annotations.runbook_url }}"
