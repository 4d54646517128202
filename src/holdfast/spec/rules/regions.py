"""Rules about regions: one leads, their names and networks do not overlap."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from holdfast.spec.model import Service
from holdfast.spec.problem import one_line
from holdfast.spec.production.regions import Region
from holdfast.spec.rules.finding import Finding

_CLOUD = re.compile(r"[a-z]([a-z0-9-]{0,30}[a-z0-9])?")
_LARGEST, _SMALLEST = 16, 24  # prefix lengths: what a cloud network may have, what zones need


def check(service: Service) -> Iterator[Finding]:
    if not service.regions:
        yield Finding(("regions",), "an empty list", "at least one region")
        return
    yield from _leader(service.regions)
    yield from _names(service.regions)
    yield from _networks(service.regions)


def _leader(regions: tuple[Region, ...]) -> Iterator[Finding]:
    leaders = [index for index, region in enumerate(regions) if region.primary]
    if not leaders:
        wanted = "one of them with primary: true"
        yield Finding(("regions",), "no primary region", wanted, "writes go there first")
    for index in leaders[1:]:
        first = regions[leaders[0]].name
        found, wanted = f"a second primary region beside {first}", "exactly one"
        yield Finding(("regions", index, "primary"), found, wanted)


def _names(regions: tuple[Region, ...]) -> Iterator[Finding]:
    seen: set[str] = set()
    for index, region in enumerate(regions):
        if region.name in seen:
            yield Finding(("regions", index, "name"), f"{region.name} twice", "each name once")
        seen.add(region.name)
        if not _CLOUD.fullmatch(region.cloud):
            wanted = "the cloud's name of a region, such as us-east-1"
            yield Finding(("regions", index, "cloud"), repr(one_line(region.cloud)), wanted)


def _networks(regions: tuple[Region, ...]) -> Iterator[Finding]:
    seen: list[tuple[str, ipaddress.IPv4Network]] = []
    for index, region in enumerate(regions):
        path = ("regions", index, "cidr")
        try:
            network = ipaddress.IPv4Network(region.cidr)
        except ValueError:
            wanted = "a network such as 10.10.0.0/16"
            yield Finding(path, repr(one_line(region.cidr)), wanted)
            continue
        if not (network.is_private and _LARGEST <= network.prefixlen <= _SMALLEST):
            wanted = f"a private network between /{_LARGEST} and /{_SMALLEST}"
            yield Finding(path, region.cidr, wanted)
        for name, other in seen:
            if network.overlaps(other):
                found = f"{region.cidr}, which overlaps that of {name}"
                yield Finding(
                    path, found, "networks of their own", "traffic between them is routed"
                )
        seen.append((region.name, network))
