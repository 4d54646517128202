"""``regions``: where the service runs."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from holdfast.spec.kinds import Count, Name, Switch, Text
from holdfast.spec.section import Section


class Region(Section):
    """One region. Exactly one of them is primary."""

    _short: ClassVar[str | None] = "name"
    name: Name = Field(description="what people call it, such as us-east")
    cloud: Text = Field(
        default="", description="the cloud provider's name of it; empty: the usual one, or name"
    )
    primary: Switch = Field(default=False, description="where writes go first")
    replicas: Count | None = Field(
        default=None, ge=0, le=10_000, description="instances there; empty: replicas"
    )
    cidr: Text = Field(
        default="", description="its addresses, disjoint from the others; empty: 10.10.0.0/16 on"
    )
    zones: Count = Field(default=3, ge=1, le=6, description="availability zones used")


#: US-East is primary, EU-West and Asia-Pacific take over.
REGIONS = (
    Region(name="us-east", primary=True),
    Region(name="eu-west"),
    Region(name="asia-pacific"),
)
_CLOUDS = {"us-east": "us-east-1", "eu-west": "eu-west-1", "asia-pacific": "ap-southeast-1"}


def settled(regions: tuple[Region, ...]) -> tuple[Region, ...]:
    """With what was left out: the cloud's name by the region's, the addresses by its place."""
    return tuple(
        region.model_copy(
            update={
                "cloud": region.cloud or _CLOUDS.get(region.name, region.name),
                "cidr": region.cidr or f"10.{10 * (place + 1) % 250}.0.0/16",
            }
        )
        for place, region in enumerate(regions)
    )
