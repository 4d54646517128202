"""The network of a region: nodes without public addresses, a way out in each zone, flow logs.

Public subnets hold only load balancers and NAT gateways. What nodes need of AWS they reach
inside the network. Sources: Amazon VPC, Subnet sizing, VPC endpoints; Amazon EKS, Private clusters.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from holdfast.artifacts import nodes
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.resilience.aws import foundation, policy
from holdfast.artifacts.resilience.aws.template import (
    AWS,
    att,
    cluster_name,
    exported,
    log_days,
    ref,
    resource,
    sub,
    tags,
    template,
)
from holdfast.spec.model import Service
from holdfast.spec.production.regions import Region

STACK = "network"
#: What nodes and pods ask of AWS; each is an interface in every private subnet.
_ENDPOINTS = ("ec2", "ecr.api", "ecr.dkr", "eks", "eks-auth", "elasticloadbalancing", "kms",
              "logs", "secretsmanager", "ssm", "ssmmessages", "ec2messages", "sts")  # fmt: skip


def render(service: Service) -> Iterator[Artifact]:
    for region in service.regions:
        yield Artifact(
            f"{AWS}/{region.name}/{STACK}.yaml", stack(service, region),
            f"The network of {region.name}: {region.cidr} over {region.zones} zones.",
            ("service", "regions", "observability.keep_logs"), ("T111", "T112", "T113", "T114"),
        )  # fmt: skip


def private(region: Region) -> list[str]:
    """The subnets of nodes and pods, one for each zone: the lower half of the region's network."""
    return _split(region, 0)


def public(region: Region) -> list[str]:
    """The subnets of load balancers, one for each zone: the upper half."""
    return _split(region, 1)


def _split(region: Region, half: int) -> list[str]:
    part = list(ipaddress.IPv4Network(region.cidr).subnets(1))[half]
    bits = (region.zones - 1).bit_length()  # three zones need four parts
    return [str(each) for each in part.subnets(bits)][: region.zones]


def stack(service: Service, region: Region) -> Object:
    resources: Object = {
        "Vpc": _vpc(service, region),
        "Gateway": resource("EC2::InternetGateway", {"Tags": tags(service.service)}),
        "GatewayAttachment": resource(
            "EC2::VPCGatewayAttachment", {"VpcId": ref("Vpc"), "InternetGatewayId": ref("Gateway")}
        ),
        "PublicTable": _table(service),
        "PublicRoute": _way_out("PublicTable", GatewayId=ref("Gateway")),
    }
    for index in range(region.zones):
        resources |= _zone(service, region, index)
    resources |= _flow_logs(service) | _endpoints(service, region)
    return template(
        f"Network of {service.service} in {region.name}", resources, _outputs(service, region)
    )


def _outputs(service: Service, region: Region) -> Object:
    values: dict[str, object] = {"Vpc": ref("Vpc")}
    for index in range(region.zones):
        for name in ("PrivateSubnet", "PublicSubnet", "PrivateTable"):
            values[f"{name}{index}"] = ref(f"{name}{index}")
    return exported(service, STACK, **values)


def _vpc(service: Service, region: Region) -> Object:
    settings = {
        "CidrBlock": region.cidr,
        "EnableDnsSupport": True,
        "EnableDnsHostnames": True,
        "Tags": tags(cluster_name(service, region)),
    }
    return resource("EC2::VPC", settings)


def _table(service: Service) -> Object:
    return resource("EC2::RouteTable", {"VpcId": ref("Vpc"), "Tags": tags(service.service)})


def _way_out(table: str, **target: object) -> Object:
    settings = {"RouteTableId": ref(table), "DestinationCidrBlock": "0.0.0.0/0", **target}
    return resource("EC2::Route", settings, DependsOn="GatewayAttachment")


def _zone(service: Service, region: Region, index: int) -> Object:
    """A zone that goes takes no other zone's way out with it."""
    nat: Object = {"AllocationId": att(f"Address{index}", "AllocationId")}
    nat |= {"SubnetId": ref(f"PublicSubnet{index}"), "Tags": tags(service.service)}
    return {
        f"PrivateSubnet{index}": _subnet(service, region, index, "internal-elb"),
        f"PublicSubnet{index}": _subnet(service, region, index, "elb"),
        f"PrivateTable{index}": _table(service),
        f"PrivateAssociation{index}": _associated(f"PrivateSubnet{index}", f"PrivateTable{index}"),
        f"PublicAssociation{index}": _associated(f"PublicSubnet{index}", "PublicTable"),
        f"Address{index}": resource(
            "EC2::EIP",
            {"Domain": "vpc", "Tags": tags(service.service)},
            DependsOn="GatewayAttachment",
        ),
        f"Nat{index}": resource("EC2::NatGateway", nat),
        f"PrivateRoute{index}": _way_out(f"PrivateTable{index}", NatGatewayId=ref(f"Nat{index}")),
    }


def _subnet(service: Service, region: Region, index: int, role: str) -> Object:
    """The tags by which the load balancer controller and Karpenter find their subnets."""
    cluster = cluster_name(service, region)
    inner = role == "internal-elb"
    found = {f"kubernetes.io/role/{role}": "1", f"kubernetes.io/cluster/{cluster}": "shared"}
    if inner:
        found[nodes.DISCOVERY] = service.service
    settings = {
        "VpcId": ref("Vpc"),
        "CidrBlock": (private(region) if inner else public(region))[index],
        "AvailabilityZone": {"Fn::Select": [index, {"Fn::GetAZs": ""}]},
        "MapPublicIpOnLaunch": False,
        "Tags": tags(f"{cluster}-{'private' if inner else 'public'}-{index}", **found),
    }
    return resource("EC2::Subnet", settings)


def _associated(subnet: str, table: str) -> Object:
    settings = {"SubnetId": ref(subnet), "RouteTableId": ref(table)}
    return resource("EC2::SubnetRouteTableAssociation", settings)


def _flow_logs(service: Service) -> Object:
    group = "FlowLogGroup"
    write = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]
    flow = {
        "ResourceId": ref("Vpc"),
        "ResourceType": "VPC",
        "TrafficType": "ALL",
        "LogDestinationType": "cloud-watch-logs",
        "LogGroupName": ref(group),
        "DeliverLogsPermissionArn": att("FlowLogRole", "Arn"),
        "MaxAggregationInterval": 60,
    }
    statement = policy.allow(write, att(group, "Arn"))
    name = f"/holdfast/{service.service}/flows"
    return {
        group: foundation.log_group(service, name, log_days(service)),
        "FlowLogRole": policy.role(policy.trust("vpc-flow-logs", policy.OWN), [statement]),
        "FlowLog": resource("EC2::FlowLog", flow),
    }


def _endpoints(service: Service, region: Region) -> Object:
    tables = ["PublicTable", *(f"PrivateTable{index}" for index in range(region.zones))]
    store = {**_endpoint("s3"), "VpcEndpointType": "Gateway", "RouteTableIds": [*map(ref, tables)]}
    found: Object = {
        "EndpointGroup": resource("EC2::SecurityGroup", _endpoint_group(region)),
        "EndpointS3": resource("EC2::VPCEndpoint", store),
    }
    for name in _ENDPOINTS:
        logical = "Endpoint" + "".join(
            part.capitalize() for part in name.replace("-", ".").split(".")
        )
        found[logical] = resource("EC2::VPCEndpoint", _interface(name, region))
    return found


def _endpoint(name: str) -> Object:
    return {"VpcId": ref("Vpc"), "ServiceName": sub("com.amazonaws.${AWS::Region}." + name)}


def _interface(name: str, region: Region) -> Object:
    return {
        **_endpoint(name),
        "VpcEndpointType": "Interface",
        "PrivateDnsEnabled": True,
        "SubnetIds": [ref(f"PrivateSubnet{index}") for index in range(region.zones)],
        "SecurityGroupIds": [ref("EndpointGroup")],
    }


def _endpoint_group(region: Region) -> Object:
    inside = {
        "IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": region.cidr,
        "Description": "AWS from inside the network",
    }  # fmt: skip
    return {
        "GroupDescription": "Who may ask the endpoints of AWS services",
        "VpcId": ref("Vpc"),
        "SecurityGroupIngress": [inside],
        "SecurityGroupEgress": [_no_egress()],
    }


def _no_egress() -> Object:
    """A rule to nowhere: without any rule, everything would be open."""
    return {
        "IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": "127.0.0.1/32",
        "Description": "Nothing: endpoints only answer",
    }  # fmt: skip
