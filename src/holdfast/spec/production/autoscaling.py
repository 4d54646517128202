"""``autoscaling``: how the number of replicas follows the load."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from holdfast.spec.kinds import Count, Duration, Name, Number, Percent, Text
from holdfast.spec.section import Section


class ScaleMetric(Section):
    """A Prometheus query whose value is divided over the replicas."""

    name: Name = Field(description="of the metric")
    query: Text = Field(description="PromQL that gives one number for the whole service")
    target: Number = Field(gt=0, le=10**12, description="what one replica carries of it")


class Autoscaling(Section):
    """How the number of replicas follows the load. ``replicas`` is where it starts."""

    _short: ClassVar[str | None] = "max"
    min: Count | None = Field(default=None, ge=1, le=10_000, description="empty: replicas")
    max: Count | None = Field(default=None, ge=1, le=10_000, description="empty: 3 x replicas")
    cpu: Percent = Field(default=65, description="of the requested cores, over all replicas")
    metrics: tuple[ScaleMetric, ...] = Field(default=(), description="further things to follow")
    by: Literal["keda", "adapter"] = Field(
        default="keda", description="who asks the queries: KEDA, or prometheus-adapter"
    )
    down_after: Duration = Field(
        default=300.0, description="shrink only by what was too much for this long"
    )
    vertical: Literal["off", "initial", "recreate"] = Field(
        default="off", description="whether requests follow use: advice only, at starts, always"
    )
