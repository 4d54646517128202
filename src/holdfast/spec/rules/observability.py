"""Rules about what is watched."""

from __future__ import annotations

import re
from collections.abc import Iterator

from holdfast.spec.model import Service
from holdfast.spec.problem import one_line
from holdfast.spec.rules import prometheus
from holdfast.spec.rules.finding import Finding

_METRIC = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")  # colons belong to recording rules
_UNIT = re.compile(r"[\w.:%/ °^-]*")
_URL_PATH = re.compile(r"/[!-~]*")
_SLACK = re.compile(r"[#@]?[\w.-]+")


def check(service: Service) -> Iterator[Finding]:
    observability = service.observability
    yield from _metrics(service)
    yield from prometheus.check(service)
    path = ("observability", "metrics_path")
    if not _URL_PATH.fullmatch(observability.metrics_path):
        yield Finding(path, repr(one_line(observability.metrics_path)), "a path such as /metrics")
    if not _SLACK.fullmatch(observability.slack):
        said = repr(one_line(observability.slack))
        yield Finding(("observability", "slack"), said, "a channel such as #alerts")
    for name, least in (("scrape", 1.0), ("escalate_after", 1.0)):
        if getattr(observability, name) < least:
            yield Finding(("observability", name), "less than 1s", "1s or more")
    for name in ("keep_metrics", "keep_logs", "keep_traces"):
        if getattr(observability, name) < 3600:
            yield Finding(("observability", name), "less than an hour", "1h or more")


def _metrics(service: Service) -> Iterator[Finding]:
    seen: set[str] = set()
    for index, metric in enumerate(service.observability.metrics):
        path = ("observability", "metrics", index, "name")
        if not _METRIC.fullmatch(metric.name):
            wanted = "a metric's name: letters, digits and underscores"
            yield Finding(path, repr(one_line(metric.name)), wanted, "such as decisions_total")
        if metric.name in seen:
            yield Finding(path, f"{metric.name} twice", "each metric once")
        seen.add(metric.name)
        if not _UNIT.fullmatch(metric.unit):
            said = repr(one_line(metric.unit))
            unit = ("observability", "metrics", index, "unit")
            yield Finding(unit, said, "a unit of Grafana", "such as short, ops, s, percentunit")
