"""Expressions read what is exported, alerts reach a receiver, runbooks exist."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from holdfast.artifacts.check.structure import Place
from holdfast.artifacts.check.whole import Whole, at, items
from holdfast.artifacts.check.written import Written, walk
from holdfast.artifacts.metrics import exporter
from holdfast.artifacts.promql import metrics
from holdfast.spec.model import Service
from holdfast.supply.finding import Finding

#: Variables of dashboards and templates, and what stands for them while an expression is read.
_STAND_INS = (
    (re.compile(r"\$\{?__(rate_interval|interval|range)\w*\}?"), "5m"),
    (re.compile(r"\{\{[^{}]*\}\}"), "x"),
    (re.compile(r"\$\{?\w+(:\w+)?\}?"), "5"),
)
_RUNBOOKS = "resilience/runbooks/"


@dataclass(frozen=True, slots=True)
class Expression:
    """PromQL in a file, with stand-ins for variables."""

    file: Written
    document: int
    place: Place
    text: str

    @property
    def line(self) -> int:
        return self.file.line(self.document, self.place)

    def finding(self, rule: str, found: str, wanted: str = "") -> Finding:
        where = (self.file.path, found, wanted, self.line, self.file.key)
        return Finding(f"holdfast/{rule}", *where)


def expressions(whole: Whole) -> Iterator[Expression]:
    """Every PromQL expression of rules, dashboards, scalers and analyses."""
    for file in whole.files:
        for index, document in enumerate(file.objects):
            for place, value in walk(document):
                if isinstance(value, str) and _is_expression(document, place):
                    yield Expression(file, index, place, _plain(value))


def _is_expression(document: Any, place: Place) -> bool:
    if not place:
        return False
    if place[-1] == "expr":
        return True
    kind = at(document, "kind")
    if kind == "ScaledObject":
        return place[-2:] == ("metadata", "query")
    return kind in ("MetricTemplate", "AnalysisTemplate") and place[-1] == "query"


def _plain(text: str) -> str:
    for pattern, stand_in in _STAND_INS:
        text = pattern.sub(stand_in, text)
    return text


def check(whole: Whole) -> Iterator[Finding]:
    if whole.service is not None:
        found = list(expressions(whole))
        yield from _metrics(whole, whole.service, found)
        yield from _series(whole, whole.service, found)
    yield from _receivers(whole)
    yield from _runbooks(whole)


def _metrics(whole: Whole, service: Service, found: Sequence[Expression]) -> Iterator[Finding]:
    recorded = {
        str(value)
        for file in whole.files
        for document in file.objects
        for place, value in walk(document)
        if place and place[-1] == "record"
    }
    for expression in found:
        for name in sorted(metrics(expression.text)):
            if ":" in name and name not in recorded:
                yield expression.finding("metric", f"{name}, which no rule records", "a record")
            elif exporter(name, service) is None:
                wanted = "a metric of observability.metrics or of an exporter"
                yield expression.finding("metric", f"{name}, which nobody exports", wanted)


def _series(whole: Whole, service: Service, found: Sequence[Expression]) -> Iterator[Finding]:
    """A matcher of a namespace, service or job names one that the set knows."""
    known = _known(whole) | {service.service, "holdfast"}
    for expression in found:
        for label, value in _MATCHER.findall(expression.text):
            if value not in known:
                wanted = f"a {label} of the set"
                yield expression.finding("series", f'{label}="{value}", which nothing is', wanted)


def _known(whole: Whole) -> set[str]:
    """Names of objects, namespaces and jobs; of jobs of others those of their charts."""
    known = {*whole.known_namespaces, *_JOBS}
    for item in whole.items:
        known |= {item.name, item.namespace, str(at(item.body, "spec", "jobName"))}
    for document in whole.documents:
        for each in items(document.body, "scrape_configs"):
            known.add(str(at(each, "job_name")))
    return known


#: Jobs that the kubelet and Prometheus itself are scraped as.
_JOBS = frozenset({"apiserver", "kubelet", "node", "prometheus"})
_MATCHER = re.compile(r'\b(namespace|service|job)="([^"$]+)"')


def _receivers(whole: Whole) -> Iterator[Finding]:
    for file in whole.files:
        for index, document in enumerate(file.objects):
            spec = (
                at(document, "spec") if at(document, "kind") == "AlertmanagerConfig" else document
            )
            if at(spec, "route") is not None and at(spec, "receivers") is not None:
                yield from _routes(file, index, document, spec)


def _routes(file: Written, index: int, document: Any, spec: Any) -> Iterator[Finding]:
    known = [at(each, "name") for each in items(spec, "receivers")]
    for place, value in walk(document):
        in_route = any(part in ("route", "routes") for part in place)
        if in_route and place[-1] == "receiver" and value not in known:
            line = file.line(index, place)
            wanted = f"one of {', '.join(sorted(map(str, known)))}"
            found = f"the receiver {value}"
            yield Finding("holdfast/receiver", file.path, found, wanted, line, file.key)


def _runbooks(whole: Whole) -> Iterator[Finding]:
    if not any(path.startswith(_RUNBOOKS) for path in whole.paths):
        return
    for file in whole.files:
        for index, document in enumerate(file.objects):
            for place, value in walk(document):
                if place and place[-1] == "runbook_url" and isinstance(value, str):
                    page = _RUNBOOKS + value.partition(_RUNBOOKS)[2].partition("#")[0]
                    if page not in whole.paths:
                        line = file.line(index, place)
                        where = (file.path, value, "a rendered runbook", line, file.key)
                        yield Finding("holdfast/runbook", *where)
