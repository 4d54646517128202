"""The network between regions: a transit gateway in each, a peering for each pair.

CloudFormation cannot accept a peering; ``deploy.sh`` does, between the stacks ``transit`` and
``routes``. Sources: Amazon VPC, Transit gateways, Transit gateway peering attachments.
"""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.resilience.aws import network
from holdfast.artifacts.resilience.aws.template import (
    AWS,
    camel,
    cluster_name,
    exported,
    given,
    imported,
    parameter,
    ref,
    resource,
    tags,
    template,
)
from holdfast.spec.model import Service
from holdfast.spec.production.regions import Region

STACK = "transit"
ROUTES = "routes"
_KEYS = ("service", "regions")


def render(service: Service) -> Iterator[Artifact]:
    if len(service.regions) == 1:
        return
    for region in service.regions:
        yield Artifact(
            f"{AWS}/{region.name}/{STACK}.yaml", stack(service, region),
            f"The transit gateway of {region.name}, and its peerings with other regions.", _KEYS,
            ("T112",),
        )  # fmt: skip
        yield Artifact(
            f"{AWS}/{region.name}/{ROUTES}.yaml", routes(service, region),
            f"Ways from {region.name} to the networks of the other regions.", _KEYS, ("T112",),
        )  # fmt: skip


def asked(service: Service, region: Region) -> list[Region]:
    """The regions that this one asks for a peering: those behind it in the spec."""
    place = [each.name for each in service.regions].index(region.name)
    return list(service.regions[place + 1 :])


def others(service: Service, region: Region) -> list[Region]:
    return [each for each in service.regions if each.name != region.name]


def gateway_parameter(region: Region) -> str:
    """The parameter with the transit gateway of another region."""
    return f"{camel(region.name)}Gateway"


def peering_parameter(region: Region) -> str:
    """The parameter, and the output, with the peering that leads to another region."""
    return f"{camel(region.name)}Peering"


def stack(service: Service, region: Region) -> Object:
    """Peers are unknown the first time: gateways come first, in all regions."""
    peers = asked(service, region)
    resources = _gateway(service, region)
    for peer in peers:
        resources[peering_parameter(peer)] = _peering(service, peer)
    outputs = exported(service, STACK, Gateway=ref("Gateway"), Table=ref("Table"))
    for peer in peers:
        output = {"Condition": camel(peer.name), "Value": ref(peering_parameter(peer))}
        outputs[peering_parameter(peer)] = output
    pattern = "^(tgw-[0-9a-f]+)?$"
    parameters = {
        gateway_parameter(p): parameter(f"Transit gateway of {p.name}; empty: later.", pattern, "")
        for p in peers
    }
    conditions = {camel(p.name): given(gateway_parameter(p)) for p in peers}
    about = f"Transit gateway of {service.service} in {region.name}"
    return template(about, resources, outputs, parameters, conditions)


def _gateway(service: Service, region: Region) -> Object:
    """Nothing is associated or propagated by itself: ways exist only where they are written."""
    settings = {
        "Description": f"Between the regions of {service.service}",
        "AutoAcceptSharedAttachments": "disable",
        "DefaultRouteTableAssociation": "disable",
        "DefaultRouteTablePropagation": "disable",
        "DnsSupport": "enable",
        "Tags": tags(cluster_name(service, region)),
    }
    table = {"TransitGatewayId": ref("Gateway"), "Tags": tags(cluster_name(service, region))}
    pair = {
        "TransitGatewayAttachmentId": ref("Attachment"),
        "TransitGatewayRouteTableId": ref("Table"),
    }
    return {
        "Gateway": resource("EC2::TransitGateway", settings),
        "Attachment": resource("EC2::TransitGatewayAttachment", _attachment(service, region)),
        "Table": resource("EC2::TransitGatewayRouteTable", table),
        "Association": resource("EC2::TransitGatewayRouteTableAssociation", pair),
        "Propagation": resource("EC2::TransitGatewayRouteTablePropagation", pair),
    }


def _attachment(service: Service, region: Region) -> Object:
    return {
        "TransitGatewayId": ref("Gateway"),
        "VpcId": imported(service, network.STACK, "Vpc"),
        "SubnetIds": [
            imported(service, network.STACK, f"PrivateSubnet{index}")
            for index in range(region.zones)
        ],
        "Tags": tags(cluster_name(service, region)),
    }


def _peering(service: Service, peer: Region) -> Object:
    settings = {
        "TransitGatewayId": ref("Gateway"),
        "PeerTransitGatewayId": ref(gateway_parameter(peer)),
        "PeerRegion": peer.cloud,
        "PeerAccountId": ref("AWS::AccountId"),
        "Tags": tags(cluster_name(service, peer)),
    }
    return resource("EC2::TransitGatewayPeeringAttachment", settings, Condition=camel(peer.name))


def routes(service: Service, region: Region) -> Object:
    peers = others(service, region)
    resources: Object = {}
    for peer in peers:
        resources |= _to(service, region, peer)
    pattern = "^tgw-attach-[0-9a-f]+$"
    parameters = {
        peering_parameter(peer): parameter(f"The accepted peering with {peer.name}.", pattern)
        for peer in peers
    }
    about = f"Ways of {service.service} from {region.name} to other regions"
    return template(about, resources, parameters=parameters)


def _to(service: Service, region: Region, peer: Region) -> Object:
    name, table = camel(peer.name), imported(service, STACK, "Table")
    pair = {
        "TransitGatewayAttachmentId": ref(peering_parameter(peer)),
        "TransitGatewayRouteTableId": table,
    }
    across = {**pair, "DestinationCidrBlock": peer.cidr}
    found = {
        f"{name}Association": resource("EC2::TransitGatewayRouteTableAssociation", pair),
        f"{name}Across": resource("EC2::TransitGatewayRoute", across),
    }
    for index in range(region.zones):
        local = {
            "RouteTableId": imported(service, network.STACK, f"PrivateTable{index}"),
            "DestinationCidrBlock": peer.cidr,
            "TransitGatewayId": imported(service, STACK, "Gateway"),
        }
        found[f"{name}From{index}"] = resource("EC2::Route", local)
    return found
