"""In which order the regions get a release.

The region with the fewest instances goes first: it is the canary, and the least is lost there. The
primary goes last: writes go there, and every other region has shown by then that it can take over.
"""

from __future__ import annotations

from holdfast.artifacts import names
from holdfast.spec.model import Service
from holdfast.spec.production.regions import Region

KEYS = ("regions", "replicas")


def waves(service: Service) -> list[Region]:
    """One region at a time; of equally many instances the order of the spec."""
    last = names.primary(service)
    others = [region for region in service.regions if region is not last]
    return [*sorted(others, key=lambda region: names.replicas(service, region)), last]
