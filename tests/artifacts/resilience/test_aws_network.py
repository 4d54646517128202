"""Networks of regions: disjoint, closed but for TLS, each able to stand alone."""

from __future__ import annotations

from ipaddress import ip_network

import aws_templates as aws
import pytest
from family import spec

SMALL = spec("regions: [{name: us-east, primary: true, cidr: 10.1.0.0/24, zones: 6}, "
             "{name: eu-west, cidr: 10.2.0.0/16, zones: 1}]")  # fmt: skip


def networks(body):
    found = [each["CidrBlock"] for each in aws.resources(body, "EC2::Subnet").values()]
    return [ip_network(each) for each in found]


@pytest.mark.req("T111", "T112", "T113", "T114")
@pytest.mark.parametrize("other", [None, SMALL], ids=["examples", "small"])
def test_subnets_are_inside_their_region_and_touch_no_other(service, other):
    given = other or service
    every = []
    for region in given.regions:
        body = aws.template(given, region.name, "network")
        (vpc,) = aws.resources(body, "EC2::VPC").values()
        assert vpc["CidrBlock"] == region.cidr
        subnets = networks(body)
        assert len(subnets) == 2 * region.zones
        assert all(each.subnet_of(ip_network(region.cidr)) for each in subnets)
        assert all(each.prefixlen <= 28 for each in subnets), "smaller than AWS takes"
        every += subnets
    assert not [(a, b) for a in every for b in every if a is not b and a.overlaps(b)]


@pytest.mark.req("T113")
def test_each_zone_has_its_own_way_out(reference):
    for region in reference.regions:
        body = aws.template(reference, region.name, "network")
        ways = [
            each["NatGatewayId"]["Ref"]
            for each in aws.resources(body, "EC2::Route").values()
            if "NatGatewayId" in each
        ]
        assert len(set(ways)) == region.zones == len(aws.resources(body, "EC2::NatGateway"))
        zones = {
            str(each["AvailabilityZone"]) for each in aws.resources(body, "EC2::Subnet").values()
        }
        assert len(zones) == region.zones


@pytest.mark.req("T113", "T120")
def test_no_address_is_public_by_itself_and_all_traffic_is_logged(service):
    for path, name, each in aws.everywhere(service, "EC2::Subnet"):
        assert each["Properties"]["MapPublicIpOnLaunch"] is False, (path, name)
    logs = aws.everywhere(service, "EC2::FlowLog")
    assert len(logs) == len(service.regions)
    assert {each["Properties"]["TrafficType"] for _, _, each in logs} == {"ALL"}


def ingress(service):
    for path, name, each in aws.everywhere(service, "EC2::SecurityGroup"):
        for rule in each["Properties"].get("SecurityGroupIngress", ()):
            yield path, name, rule
    for path, name, each in aws.everywhere(service, "EC2::SecurityGroupIngress"):
        yield path, name, each["Properties"]


@pytest.mark.req("T120", "T137")
def test_only_tls_comes_in_and_only_the_front_door_takes_it_from_outside(service):
    outside = []
    for path, name, rule in ingress(service):
        if "GroupId" in rule and rule["GroupId"] == rule["SourceSecurityGroupId"]:
            continue  # nodes and their control plane among themselves
        assert rule["IpProtocol"] == "tcp"
        inner = "SourceSecurityGroupId" in rule
        assert rule["FromPort"] == rule["ToPort"]
        assert inner or rule["ToPort"] == 443, (path, name)
        assert "::/0" not in str(rule)
        if rule.get("CidrIp") == "0.0.0.0/0":
            outside.append((path.rpartition("/")[2], name))
    fronted = service.resilience.cdn or service.resilience.waf
    expected = set() if fronted else {("entrance.yaml", "Door")}
    assert set(outside) == expected


@pytest.mark.req("T112")
def test_every_region_has_a_way_to_every_other_and_both_ends_agree(service):
    peerings = [
        (path.partition("/")[0], each["Properties"]["PeerRegion"])
        for path, _, each in aws.everywhere(service, "EC2::TransitGatewayPeeringAttachment")
    ]
    clouds = {region.name: region.cloud for region in service.regions}
    pairs = {frozenset((clouds[name], peer)) for name, peer in peerings}
    count = len(service.regions)
    assert len(pairs) == len(peerings) == count * (count - 1) // 2
    for region in service.regions:
        body = aws.template(service, region.name, "routes")
        others = {each.cidr for each in service.regions if each.name != region.name}
        across = aws.resources(body, "EC2::TransitGatewayRoute").values()
        assert {each["DestinationCidrBlock"] for each in across} == others
        local = [
            (each["RouteTableId"]["Fn::ImportValue"], each["DestinationCidrBlock"])
            for each in aws.resources(body, "EC2::Route").values()
        ]
        assert len(set(local)) == region.zones * len(others)


def test_a_single_region_needs_no_way_to_others():
    alone = spec("regions: [{name: us-east, primary: true}]")
    assert not [path for path in aws.templates(alone) if "transit" in path or "routes" in path]
    assert not aws.everywhere(alone, "EC2::TransitGateway")
