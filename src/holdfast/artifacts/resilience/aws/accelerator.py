"""One pair of addresses for all regions: who dies is left within seconds, without DNS.

The stack lives where Global Accelerator's metrics are. Sources: AWS Global Accelerator, Endpoint
groups, Monitoring.
"""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.resilience.aws import foundation
from holdfast.artifacts.resilience.aws.entrance import SHIELD, attacked, protection
from holdfast.artifacts.resilience.aws.template import (
    ARN,
    AWS,
    att,
    camel,
    exported,
    limited,
    on,
    parameter,
    ref,
    resource,
    template,
)
from holdfast.spec.model import Service
from holdfast.spec.production.regions import Region

STACK = "accelerator"
PLACE = "us-west-2"
_WEIGHT = 128


def render(service: Service) -> Iterator[Artifact]:
    yield Artifact(
        f"{AWS}/global/{STACK}.yaml",
        stack(service),
        "Two fixed addresses that lead to the nearest region that is well.",
        ("service", "regions", "traffic.balance"),
        ("T116", "T118", "T119", "T120", "T137"),
    )


def balancer(region: Region) -> str:
    """The parameter with the load balancer of a region."""
    return f"{camel(region.name)}LoadBalancer"


def stack(service: Service) -> Object:
    resources = {
        "Accelerator": resource("GlobalAccelerator::Accelerator", _accelerator(service)),
        "Listener": resource("GlobalAccelerator::Listener", _listener(service)),
        **{f"{camel(r.name)}Group": _group(r) for r in service.regions},
        **foundation.notices(service),
        "Sick": _sick(),
        "Protection": protection(STACK, ref("Accelerator")),
        "Attacked": attacked(ref("Accelerator"), ref("Notices")),
    }
    parameters = {
        **{balancer(r): parameter(f"The load balancer of {r.name}.", ARN) for r in service.regions},
        **foundation.NOTICE_PARAMETERS,
        "Shield": SHIELD,
    }
    outputs = exported(
        service, STACK, Dns=att("Accelerator", "DnsName"), Accelerator=ref("Accelerator")
    )
    conditions = {**foundation.NOTICE_CONDITIONS, "Shielded": on("Shield")}
    about = f"Global addresses of {service.service}"
    return template(about, resources, outputs, parameters, conditions)


def _accelerator(service: Service) -> Object:
    return {"Name": limited(service.service, 64), "Enabled": True, "IpAddressType": "IPV4"}


def _listener(service: Service) -> Object:
    """A user stays with a region where the service tells users apart by a hash."""
    keeps = service.traffic.balance == "ring-hash"
    return {
        "AcceleratorArn": ref("Accelerator"),
        "Protocol": "TCP",
        "PortRanges": [{"FromPort": 443, "ToPort": 443}],
        "ClientAffinity": "SOURCE_IP" if keeps else "NONE",
    }


def _group(region: Region) -> Object:
    endpoint = {
        "EndpointId": ref(balancer(region)),
        "Weight": _WEIGHT,
        "ClientIPPreservationEnabled": True,
    }
    settings = {
        "ListenerArn": ref("Listener"),
        "EndpointGroupRegion": region.cloud,
        "TrafficDialPercentage": 100,
        "HealthCheckProtocol": "TCP",
        "HealthCheckPort": 443,
        "HealthCheckIntervalSeconds": 10,
        "ThresholdCount": 2,
        "EndpointConfigurations": [endpoint],
    }
    return resource("GlobalAccelerator::EndpointGroup", settings)


def _sick() -> Object:
    """Metrics name an accelerator by the last part of its ARN."""
    name = {"Fn::Select": [1, {"Fn::Split": ["/", ref("Accelerator")]}]}
    return foundation.alarm(
        "A region is left out: its load balancer is not well",
        "AWS/GlobalAccelerator UnhealthyEndpointCount",
        0,
        to=ref("Notices"),
        Statistic="Maximum",
        Dimensions=[{"Name": "Accelerator", "Value": name}],
    )
