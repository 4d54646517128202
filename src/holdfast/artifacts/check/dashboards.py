"""Panels of dashboards are of kinds that Grafana has, and ask data sources that it has."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.artifacts.check.whole import Whole, at
from holdfast.artifacts.check.written import walk
from holdfast.supply.finding import Finding

#: Grafana's own panels and data sources (grafana/grafana, public/app/plugins).
_PANELS = frozenset(
    [
        "alertlist",
        "annolist",
        "barchart",
        "bargauge",
        "candlestick",
        "canvas",
        "dashlist",
        "datagrid",
        "debug",
        "flamegraph",
        "gauge",
        "geomap",
        "gettingstarted",
        "heatmap",
        "histogram",
        "logs",
        "news",
        "nodeGraph",
        "piechart",
        "row",
        "stat",
        "state-timeline",
        "status-history",
        "table",
        "text",
        "timeseries",
        "traces",
        "trend",
        "xychart",
    ]
)
_SOURCES = frozenset(
    [
        "alertmanager",
        "cloudwatch",
        "dashboard",
        "datasource",
        "elasticsearch",
        "grafana",
        "graphite",
        "influxdb",
        "jaeger",
        "loki",
        "mixed",
        "mysql",
        "opentsdb",
        "parca",
        "postgres",
        "prometheus",
        "pyroscope",
        "tempo",
        "testdata",
        "zipkin",
    ]
)


def check(whole: Whole) -> Iterator[Finding]:
    for file in whole.files:
        for index, document in enumerate(file.objects):
            is_source = at(document, "kind") == "GrafanaDatasource"
            if at(document, "panels") is None and not is_source:
                continue
            for place, value in walk(document):
                known = _known(place)
                if known and (not isinstance(value, str) or value not in known):
                    line = file.line(index, place)
                    where = (file.path, f"the type {value}", "one that Grafana has", line, file.key)
                    yield Finding("holdfast/dashboard", *where)


def _known(place: tuple[str | int, ...]) -> frozenset[str] | None:
    if place[-2:] == ("datasource", "type"):
        return _SOURCES
    return _PANELS if place[-1:] == ("type",) and place[-3:-2] == ("panels",) else None
