"""The order in which stacks are deployed, and what each is told that nothing here can know."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from holdfast.artifacts import names
from holdfast.artifacts.resilience.aws import (
    accelerator,
    access,
    cdn,
    cluster,
    entrance,
    firewall,
    foundation,
    identity,
    network,
    notices,
    records,
    registry,
    storage,
    transit,
)
from holdfast.artifacts.resilience.aws.template import GLOBAL, stack
from holdfast.spec.model import Service
from holdfast.spec.production.regions import Region


@dataclass(frozen=True, slots=True)
class Given:
    """What people say through an environment variable; empty where it may be left out."""

    variable: str
    needed: bool = True


@dataclass(frozen=True, slots=True)
class Output:
    """The output of a stack that is deployed by then, perhaps in another region."""

    place: str
    stack: str
    name: str


@dataclass(frozen=True, slots=True)
class PrefixList:
    """The id of a list of networks that AWS keeps in each region."""

    place: str
    name: str


Source = Given | Output | PrefixList | str


@dataclass(frozen=True, slots=True)
class Deploy:
    """One stack in one region. Parameters that are left out keep what they were."""

    place: str  # as the cloud calls the region
    stack: str
    file: str  # relative to the directory of the templates
    parameters: tuple[tuple[str, Source], ...] = ()


@dataclass(frozen=True, slots=True)
class Accept:
    """The other side of a peering agrees."""

    place: str
    peering: Output


Step = Deploy | Accept
ZONE, SHIELD = Given("HOSTED_ZONE"), Given("SHIELD", needed=False)
NOTICE = Given("NOTICE_URL", needed=False)
ADMINISTRATOR, CERTIFICATE = Given("ADMINISTRATOR_ROLE"), Given("CERTIFICATE")


def steps(service: Service) -> Iterator[Step]:
    """Every stack, after those whose outputs it needs."""
    ordered = [names.primary(service), *names.others(service, names.primary(service))]
    yield from (_foundation(service, each) for each in ordered)
    yield from _everywhere(service, ordered, network.STACK)
    # the primary's registry copies to the others, whose repositories are there by then
    yield from _everywhere(service, reversed(ordered), registry.STACK)
    for region in ordered:
        yield Deploy(region.cloud, registry.SHARED, f"{region.name}/{registry.ACCOUNT}.yaml")
    yield from _storage(service, ordered)
    yield from _between(service) if len(ordered) > 1 else ()
    yield _global(service, ordered[0].cloud, identity.STACK)
    nodes = Output(ordered[0].cloud, stack(service, identity.STACK), "NodeRole")
    known: tuple[tuple[str, Source], ...] = (
        ("AdministratorRole", ADMINISTRATOR),
        ("NodeRole", nodes),
    )
    yield from _everywhere(service, ordered, cluster.STACK, known)
    yield from _everywhere(service, ordered, access.STACK, (("HostedZone", ZONE),))
    yield _global(service, ordered[0].cloud, notices.RECOVERY)
    yield from (_entrance(service, each) for each in ordered)
    yield from _before(service)


def _everywhere(
    service: Service,
    regions: Iterable[Region],
    name: str,
    parameters: tuple[tuple[str, Source], ...] = (),
) -> Iterator[Deploy]:
    for region in regions:
        yield _regional(service, region, name, *parameters)


def _regional(
    service: Service, region: Region, name: str, *parameters: tuple[str, Source]
) -> Deploy:
    file = f"{region.name}/{name}.yaml"
    return Deploy(region.cloud, stack(service, name), file, parameters)


def _global(service: Service, place: str, name: str, *parameters: tuple[str, Source]) -> Deploy:
    return Deploy(place, stack(service, name), f"global/{name}.yaml", parameters)


def _foundation(service: Service, region: Region) -> Deploy:
    primary = names.primary(service)
    keys: list[tuple[str, Source]] = []
    if region.name != primary.name:
        made = stack(service, foundation.STACK)
        keys = [
            (f"{name}KeyArn", Output(primary.cloud, made, f"{name}Key"))
            for name in foundation.SHARED
        ]
    return _regional(service, region, foundation.STACK, *keys, ("NoticeUrl", NOTICE))


def _storage(service: Service, regions: list[Region]) -> Iterator[Deploy]:
    yield from _everywhere(service, regions, storage.STACK)
    if len(regions) > 1:
        yield from _everywhere(service, regions, storage.STACK, (("Replicate", "true"),))


# ---- between regions -----------------------------------------------------------------------------


def _between(service: Service) -> Iterator[Step]:
    made = stack(service, transit.STACK)
    yield from _everywhere(service, service.regions, transit.STACK)
    for region in service.regions:
        peers = transit.asked(service, region)
        gateways = [
            (transit.gateway_parameter(each), Output(each.cloud, made, "Gateway")) for each in peers
        ]
        if peers:
            yield _regional(service, region, transit.STACK, *gateways)
    for region in service.regions:
        for peer in transit.asked(service, region):
            yield Accept(peer.cloud, _peering(service, region, peer))
    for region in service.regions:
        ways = [
            (transit.peering_parameter(peer), _peering(service, region, peer))
            for peer in transit.others(service, region)
        ]
        yield _regional(service, region, transit.ROUTES, *ways)


def _peering(service: Service, one: Region, other: Region) -> Output:
    """The one that asked has it among its outputs."""
    asker, asked = (one, other) if other in transit.asked(service, one) else (other, one)
    name = transit.peering_parameter(asked)
    return Output(asker.cloud, stack(service, transit.STACK), name)


# ---- before all regions --------------------------------------------------------------------------


def _entrance(service: Service, region: Region) -> Deploy:
    lists: list[tuple[str, Source]] = []
    if entrance.fronted(service):
        lists = [
            (parameter, PrefixList(region.cloud, name))
            for parameter, name in entrance.prefix_lists(region).items()
        ]
    return _regional(service, region, entrance.STACK, *lists, ("Shield", SHIELD))


def _before(service: Service) -> Iterator[Deploy]:
    yield _global(service, GLOBAL, notices.STACK, ("NoticeUrl", NOTICE))
    doors = [
        (accelerator.balancer(each), _door(service, each, "LoadBalancer"))
        for each in service.regions
    ]
    told: tuple[tuple[str, Source], ...] = (("NoticeUrl", NOTICE), ("Shield", SHIELD))
    yield _global(service, accelerator.PLACE, accelerator.STACK, *doors, *told)
    yield _records(service)
    if entrance.fronted(service):
        if service.resilience.waf:
            yield _global(service, GLOBAL, firewall.STACK)
        front: tuple[tuple[str, Source], ...] = (
            ("HostedZone", ZONE),
            ("Certificate", CERTIFICATE),
            ("Shield", SHIELD),
        )
        yield _global(service, GLOBAL, cdn.STACK, *front)


def _door(service: Service, region: Region, output: str) -> Output:
    return Output(region.cloud, stack(service, entrance.STACK), output)


def _records(service: Service) -> Deploy:
    made = stack(service, accelerator.STACK)
    regional = [
        (name, _door(service, region, output))
        for region in service.regions
        for name, output in records.asked(region).items()
    ]
    return _global(
        service,
        GLOBAL,
        records.STACK,
        ("HostedZone", ZONE),
        ("AcceleratorDns", Output(accelerator.PLACE, made, "Dns")),
        *regional,
        ("Shield", SHIELD),
    )
