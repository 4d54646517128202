"""The door of a region: a network load balancer with fixed addresses, looked at from outside.

It passes TLS through to the gateway of the cluster, which holds the certificate. Behind CloudFront
only CloudFront and the checkers of Route 53 may knock. Sources: Elastic Load Balancing, Network
Load Balancers; Amazon Route 53, health checks; AWS Shield Advanced, health-based detection.
"""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.resilience.aws import cluster, foundation, network, storage
from holdfast.artifacts.resilience.aws.template import (
    AWS,
    att,
    exported,
    imported,
    limited,
    on,
    parameter,
    ref,
    resource,
    sub,
    switch,
    tags,
    template,
)
from holdfast.spec.model import Service
from holdfast.spec.production.regions import Region

STACK = "entrance"
_OPEN = "0.0.0.0/0"
#: The port of the gateway's pods for TLS.
_PORTS = {"gateway": 443, "nginx": 443, "traefik": 8443}
_KEYS = (
    "service",
    "regions",
    "kubernetes.host",
    "kubernetes.ingress",
    "traffic.protocol",
    "probes.ready",
    "resilience.cdn",
    "resilience.waf",
)


def render(service: Service) -> Iterator[Artifact]:
    for region in service.regions:
        yield Artifact(
            f"{AWS}/{region.name}/{STACK}.yaml",
            stack(service, region),
            f"The load balancer of {region.name}, its health checks and alarms.",
            _KEYS,
            ("T116", "T117", "T118", "T120", "T137"),
        )


def fronted(service: Service) -> bool:
    """Whether CloudFront stands before the load balancers."""
    asked = service.resilience.cdn or service.resilience.waf
    return asked and service.traffic.protocol != "tcp"


def stack(service: Service, region: Region) -> Object:
    resources = {
        **{f"Address{i}": _address(service, region) for i in range(region.zones)},
        **_groups(service, region),
        **_balancer(service, region),
        **_checks(service, region),
        **_alarms(service),
        **_protections(region),
    }
    parameters = {"Shield": SHIELD}
    if fronted(service):
        parameters |= {
            name: parameter(f"The id of {each} in this region.", "^pl-[0-9a-f]+$")
            for name, each in prefix_lists(region).items()
        }
    outputs = exported(
        service,
        STACK,
        LoadBalancer=ref("LoadBalancer"),
        TargetGroup=ref("TargetGroup"),
        Dns=att("LoadBalancer", "DNSName"),
        Zone=att("LoadBalancer", "CanonicalHostedZoneID"),
        Health=ref("Health"),
    )
    about = f"Entrance of {service.service} in {region.name}"
    return template(about, resources, outputs, parameters, {"Shielded": on("Shield")})


def prefix_lists(region: Region) -> dict[str, str]:
    """The lists of networks that may knock, by the parameter that holds their id."""
    return {
        "CloudFrontPrefixList": "com.amazonaws.global.cloudfront.origin-facing",
        "HealthCheckPrefixList": f"com.amazonaws.{region.cloud}.route53-healthchecks",
    }


def _address(service: Service, region: Region) -> Object:
    return resource("EC2::EIP", {"Domain": "vpc", "Tags": tags(f"{service.service}-{region.name}")})


# ---- who may knock -------------------------------------------------------------------------------


def _groups(service: Service, region: Region) -> Object:
    port = _PORTS[service.kubernetes.ingress]
    inward = {
        "IpProtocol": "tcp",
        "FromPort": port,
        "ToPort": port,
        "SourceSecurityGroupId": ref("Door"),
        "Description": "From the load balancer",
        "GroupId": imported(service, cluster.STACK, "Group"),
    }
    found = {"Door": _group(service, region, _from_users(service))}
    if fronted(service):  # two groups: each list counts as many rules as it has networks
        checkers = _tls("Health checks", SourcePrefixListId=ref("HealthCheckPrefixList"))
        found["CheckersDoor"] = _group(service, region, checkers)
    return {**found, "ToGateway": resource("EC2::SecurityGroupIngress", inward)}


def _from_users(service: Service) -> Object:
    if fronted(service):
        return _tls("CloudFront alone", SourcePrefixListId=ref("CloudFrontPrefixList"))
    return _tls("Everybody, by TLS", CidrIp=_OPEN)


def _tls(about: str, **source: object) -> Object:
    return {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "Description": about, **source}


def _group(service: Service, region: Region, ingress: Object) -> Object:
    port = _PORTS[service.kubernetes.ingress]
    egress = {
        "IpProtocol": "tcp",
        "FromPort": port,
        "ToPort": port,
        "CidrIp": region.cidr,
        "Description": "To the gateway",
    }
    settings = {
        "GroupDescription": "The load balancer of the region",
        "VpcId": imported(service, network.STACK, "Vpc"),
        "SecurityGroupIngress": [ingress],
        "SecurityGroupEgress": [egress],
    }
    return resource("EC2::SecurityGroup", settings)


# ---- load balancer -------------------------------------------------------------------------------


def _balancer(service: Service, region: Region) -> Object:
    forward = {"Type": "forward", "TargetGroupArn": ref("TargetGroup")}
    listener = {
        "LoadBalancerArn": ref("LoadBalancer"),
        "Protocol": "TCP",
        "Port": 443,
        "DefaultActions": [forward],
    }
    kind = "ElasticLoadBalancingV2::"
    return {
        "LoadBalancer": resource(f"{kind}LoadBalancer", _settings(service, region)),
        "TargetGroup": resource(f"{kind}TargetGroup", _targets(service, region)),
        "Listener": resource(f"{kind}Listener", listener),
    }


def _settings(service: Service, region: Region) -> Object:
    doors = ["Door", *(["CheckersDoor"] if fronted(service) else [])]
    places = [
        {
            "AllocationId": att(f"Address{index}", "AllocationId"),
            "SubnetId": imported(service, network.STACK, f"PublicSubnet{index}"),
        }
        for index in range(region.zones)
    ]
    attributes: dict[str, object] = {
        "deletion_protection.enabled": "true",
        "load_balancing.cross_zone.enabled": "true",
        "access_logs.s3.enabled": "true",
        "access_logs.s3.bucket": imported(service, storage.STACK, "LogBucket"),
        "access_logs.s3.prefix": STACK,
    }
    return {
        "Type": "network",
        "Scheme": "internet-facing",
        "IpAddressType": "ipv4",
        "SecurityGroups": [ref(door) for door in doors],
        "SubnetMappings": places,
        "LoadBalancerAttributes": _pairs(attributes),
    }


def _pairs(values: dict[str, object]) -> list[Object]:
    return [{"Key": key, "Value": value} for key, value in values.items()]


def target_group(service: Service, region: Region) -> str:
    """The name by which a TargetGroupBinding finds it."""
    return limited(f"{service.service}-{region.name}", 32)


def _targets(service: Service, region: Region) -> Object:
    """Pods themselves. A gateway that is gone gets nothing after ten seconds."""
    attributes: dict[str, object] = {
        "preserve_client_ip.enabled": "true",
        "deregistration_delay.timeout_seconds": "30",
        "deregistration_delay.connection_termination.enabled": "true",
        "target_health_state.unhealthy.connection_termination.enabled": "true",
    }
    return {
        "Name": target_group(service, region),
        "Protocol": "TCP",
        "Port": _PORTS[service.kubernetes.ingress],
        "TargetType": "ip",
        "VpcId": imported(service, network.STACK, "Vpc"),
        "HealthCheckEnabled": True,
        "HealthCheckProtocol": "TCP",
        "HealthCheckPort": "traffic-port",
        "HealthCheckIntervalSeconds": 5,
        "HealthCheckTimeoutSeconds": 3,
        "HealthyThresholdCount": 2,
        "UnhealthyThresholdCount": 2,
        "TargetGroupAttributes": _pairs(attributes),
    }


# ---- health --------------------------------------------------------------------------------------


def _checks(service: Service, region: Region) -> Object:
    """Each zone's address is looked at; the region is well as long as one of them answers."""
    zones = range(region.zones)
    whole = {
        "Type": "CALCULATED",
        "ChildHealthChecks": [ref(f"Health{index}") for index in zones],
        "HealthThreshold": 1,
    }
    found = {f"Health{i}": _check(_looked_at(service, i)) for i in zones}
    return {**found, "Health": _check(whole)}


def _check(config: Object) -> Object:
    return resource("Route53::HealthCheck", {"HealthCheckConfig": config})


def _looked_at(service: Service, index: int) -> Object:
    """As a user would ask, where Route 53 speaks what the service speaks."""
    found: Object = {
        "IPAddress": ref(f"Address{index}"),
        "Port": 443,
        "RequestInterval": 10,
        "FailureThreshold": 2,
        "MeasureLatency": True,
    }
    ready = service.probes.ready.path.replace("{", "%7B")  # two of them would be a reference
    if service.traffic.protocol in ("http1", "http2") and ready:
        asked = {"FullyQualifiedDomainName": names.host(service), "ResourcePath": ready}
        return {"Type": "HTTPS", **found, **asked, "EnableSNI": True}
    return {"Type": "TCP", **found}


# ---- alarms and protection -----------------------------------------------------------------------


def _alarms(service: Service) -> Object:
    to = imported(service, foundation.STACK, "Notices")
    where = [
        {"Name": "LoadBalancer", "Value": att("LoadBalancer", "LoadBalancerFullName")},
        {"Name": "TargetGroup", "Value": att("TargetGroup", "TargetGroupFullName")},
    ]
    return {
        "SomeSick": foundation.alarm(
            "A gateway behind the load balancer does not answer",
            "AWS/NetworkELB UnHealthyHostCount",
            0,
            to=to,
            Dimensions=where,
            Statistic="Maximum",
            EvaluationPeriods=5,
        ),
        "NoneWell": foundation.alarm(
            "No gateway answers: the region takes no traffic",
            "AWS/NetworkELB HealthyHostCount",
            1,
            to=to,
            Dimensions=where,
            Statistic="Maximum",
            ComparisonOperator="LessThanThreshold",
            TreatMissingData="breaching",
        ),
    }


SHIELD = switch("Protect by Shield Advanced; the account must have subscribed to it.")


def protection(name: str, arn: object, health: Object | None = None) -> Object:
    """Protection by Shield Advanced; with a health check it acts on smaller attacks."""
    settings: Object = {"Name": name, "ResourceArn": arn}
    if health is not None:
        check = {"Fn::Sub": ["arn:${AWS::Partition}:route53:::healthcheck/${Id}", {"Id": health}]}
        settings["HealthCheckArns"] = [check]
    return resource("Shield::Protection", settings, Condition="Shielded")


def attacked(arn: object, to: object) -> Object:
    """The alarm of an attack that Shield Advanced sees."""
    found = foundation.alarm(
        "Shield sees an attack",
        "AWS/DDoSProtection DDoSDetected",
        0,
        to=to,
        Dimensions=[{"Name": "ResourceArn", "Value": arn}],
        EvaluationPeriods=1,
    )
    return {**found, "Condition": "Shielded"}


def _protections(region: Region) -> Object:
    return {
        f"Protection{index}": protection(
            f"{region.name}-{index}", _address_arn(index), ref(f"Health{index}")
        )
        for index in range(region.zones)
    }


def _address_arn(index: int) -> Object:
    arn = "arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:eip-allocation/"
    return sub(f"{arn}${{Address{index}.AllocationId}}")
