"""Names: of each region with the next as its stand-in, of the nearest that is well, of them all.

Sources: Amazon Route 53, Routing policies (failover, latency), alias records.
"""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.resilience.aws import foundation, notices
from holdfast.artifacts.resilience.aws.entrance import SHIELD, fronted, protection
from holdfast.artifacts.resilience.aws.template import (
    AWS,
    HOSTED_ZONE,
    ZONE_ID,
    camel,
    imported,
    on,
    parameter,
    ref,
    resource,
    sub,
    template,
)
from holdfast.spec.model import Service
from holdfast.spec.production.regions import Region

STACK = "records"
#: Zones of the names that AWS gives, the same for everybody.
ACCELERATOR_ZONE = "Z2BJ6XQ5FK7U4H"
CLOUDFRONT_ZONE = "Z2FDTNDATAQYW2"
_DNS = r"^[a-zA-Z0-9.-]+$"


def render(service: Service) -> Iterator[Artifact]:
    yield Artifact(
        f"{AWS}/global/{STACK}.yaml",
        stack(service),
        "Names that lead to regions that are well, and alarms for those that are not.",
        (
            "service",
            "regions",
            "kubernetes.host",
            "traffic.protocol",
            "resilience.cdn",
            "resilience.waf",
        ),
        ("T116", "T117", "T118", "T119"),
    )


def anycast(service: Service) -> str:
    """The name of the accelerator's addresses."""
    return f"anycast.{names.host(service)}"


def nearest(service: Service) -> str:
    """The name of the nearest region that is well, by DNS alone."""
    return f"nearest.{names.host(service)}"


def asked(region: Region) -> dict[str, str]:
    """The parameters of a region, each with the output of its entrance that fills it."""
    return {f"{camel(region.name)}{output}": output for output in ("Dns", "Zone", "Health")}


def stack(service: Service) -> Object:
    accelerator = ref("AcceleratorDns")
    resources: Object = {"Anycast": alias(anycast(service), accelerator, ACCELERATOR_ZONE)}
    if not fronted(service):
        resources["Public"] = alias(names.host(service), accelerator, ACCELERATOR_ZONE)
    for index, region in enumerate(service.regions):
        stand_in = service.regions[(index + 1) % len(service.regions)]
        resources |= _region(service, region, stand_in)
    zone = sub("arn:${AWS::Partition}:route53:::hostedzone/${HostedZone}")
    resources["Protection"] = protection(STACK, zone)
    about = f"Names of {service.service}"
    conditions = {"Shielded": on("Shield")}
    return template(about, resources, None, _parameters(service), conditions)


def _parameters(service: Service) -> Object:
    found: Object = {
        "HostedZone": HOSTED_ZONE,
        "AcceleratorDns": parameter("The accelerator's name.", _DNS),
        "Shield": SHIELD,
    }
    patterns = {"Dns": _DNS, "Zone": ZONE_ID, "Health": "^[0-9a-f-]{36}$"}
    for region in service.regions:
        for name, output in asked(region).items():
            about = f"The output {output} of the entrance of {region.name}."
            found[name] = parameter(about, patterns[output])
    return found


def alias(name: str, target: object, zone: object, **routing: object) -> Object:
    """A name for another name that costs no further question."""
    settings = {
        "HostedZoneId": ref("HostedZone"),
        "Name": name,
        "Type": "A",
        "AliasTarget": {"DNSName": target, "HostedZoneId": zone, "EvaluateTargetHealth": False},
        **routing,
    }
    return resource("Route53::RecordSet", settings)


def _region(service: Service, region: Region, stand_in: Region) -> Object:
    name = camel(region.name)
    nearest_here = {"SetIdentifier": region.name, "Region": region.cloud}
    found = {
        f"{name}First": _to(
            names.regional_host(service, region),
            region,
            SetIdentifier="first",
            Failover="PRIMARY",
        ),
        f"{name}Nearest": _to(nearest(service), region, **nearest_here),
        f"{name}Sick": _sick(service, region),
    }
    if stand_in.name != region.name:
        found[f"{name}StandIn"] = _to(
            names.regional_host(service, region),
            stand_in,
            SetIdentifier="stand-in",
            Failover="SECONDARY",
        )
    return found


def _to(name: str, region: Region, **routing: object) -> Object:
    target, zone, health = asked(region)
    return alias(name, ref(target), ref(zone), HealthCheckId=ref(health), **routing)


def _sick(service: Service, region: Region) -> Object:
    _, _, health = asked(region)
    return foundation.alarm(
        f"{region.name} does not answer from outside",
        "AWS/Route53 HealthCheckStatus",
        1,
        to=imported(service, notices.STACK, "Notices"),
        Statistic="Minimum",
        ComparisonOperator="LessThanThreshold",
        TreatMissingData="breaching",
        Dimensions=[{"Name": "HealthCheckId", "Value": ref(health)}],
    )
