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
    cloud: Text = Field(default="us-east-1", description="the cloud provider's name of it")
    primary: Switch = Field(default=False, description="where writes go first")
    replicas: Count | None = Field(
        default=None, ge=0, le=10_000, description="instances there; empty: replicas"
    )
    cidr: Text = Field(default="10.0.0.0/16", description="its addresses, disjoint from the others")
    zones: Count = Field(default=3, ge=1, le=6, description="availability zones used")


#: US-East is primary, EU-West and Asia-Pacific take over.
REGIONS = (
    Region(name="us-east", cloud="us-east-1", primary=True, cidr="10.10.0.0/16"),
    Region(name="eu-west", cloud="eu-west-1", cidr="10.20.0.0/16"),
    Region(name="asia-pacific", cloud="ap-southeast-1", cidr="10.30.0.0/16"),
)
