"""``observability``: what is watched, who is called, how long it is kept."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from holdfast.spec.kinds import Count, Duration, Number, Text
from holdfast.spec.section import Section


class BusinessMetric(Section):
    """A metric of the program itself, shown on its dashboard."""

    name: Text = Field(description="as the program exports it, such as decisions_total")
    kind: Literal["counter", "gauge", "histogram"] = Field(
        default="counter", description="its Prometheus type"
    )
    title: Text = Field(default="", description="what people call it; empty: its name")
    unit: Text = Field(default="short", description="a Grafana unit, such as ops, s, currencyUSD")


class Observability(Section):
    """What is watched, who is called, how long it is kept."""

    metrics_path: Text = Field(default="/metrics", description="where the program is scraped")
    metrics: tuple[BusinessMetric, ...] = Field(default=(), description="business metrics")
    scrape: Duration = Field(default=15.0, description="time between two scrapes")
    keep_metrics: Duration = Field(default=15 * 86400.0, description="then they are dropped")
    keep_logs: Duration = Field(default=30 * 86400.0, description="then they are deleted")
    keep_traces: Duration = Field(default=7 * 86400.0, description="then they are deleted")
    sampling: Number = Field(default=1.0, ge=0, le=100, description="percent of requests traced")
    slack: Text = Field(default="#alerts", description="the channel for tickets")
    escalate_after: Duration = Field(
        default=900.0, description="a page nobody acknowledged goes to the next"
    )
    replicas: Count = Field(default=2, ge=1, le=10, description="of Prometheus and Alertmanager")
