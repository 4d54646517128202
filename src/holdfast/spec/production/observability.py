"""``observability``: what is watched, who is called, how long it is kept."""

from __future__ import annotations

from typing import ClassVar, Literal

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


class Prometheus(Section):
    """Where verdicts read what users got, on targets that do not count requests themselves.

    Prometheus, Mimir, Thanos and VictoriaMetrics answer alike. Paths are relative to the spec.
    """

    _short: ClassVar[str | None] = "url"
    url: Text = Field(
        default="",
        description="the API's address without /api/v1, such as http://prometheus.monitoring:9090; "
        "empty: there is none",
    )
    tenant: Text = Field(default="", description="X-Scope-OrgID, for Mimir and others with tenants")
    token_file: Text = Field(default="", description="a file with a bearer token")
    username: Text = Field(default="", description="of basic authentication")
    password_file: Text = Field(default="", description="a file with the password of username")
    ca_file: Text = Field(default="", description="who signs the server; empty: the system's own")
    cert_file: Text = Field(default="", description="our certificate, where the server wants one")
    key_file: Text = Field(default="", description="the key of cert_file")
    timeout: Duration = Field(default=1.5, description="an answer later than this is none")
    stale_after: Duration = Field(
        default=45.0, description="a newest sample older than this means the source is down"
    )
    release_label: Text = Field(
        default="", description="the label by which releases differ; empty: by who counts"
    )
    requests: Text = Field(
        default="",
        description="selector of a counter of all requests; empty: of the mesh or the ingress",
    )
    errors: Text = Field(default="", description="selector of a counter of failed requests")
    timed: Text = Field(default="", description="selector of a counter of requests with a latency")
    within: Text = Field(default="", description="selector of those faster than promises.p99")


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
    prometheus: Prometheus = Field(
        default=Prometheus(), description="where verdicts read requests and errors"
    )
    replicas: Count = Field(default=2, ge=1, le=10, description="of Prometheus and Alertmanager")
