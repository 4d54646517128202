"""The pods of the gateway as targets of the region's load balancer.

The stack ``entrance`` makes load balancer and target group before there is a cluster; the AWS Load
Balancer Controller keeps the addresses of pods in it. The door of the load balancer is known to
the nodes' security group already, so the binding asks for no rules. Source: AWS Load Balancer
Controller, TargetGroupBinding.
"""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.resilience.aws import entrance
from holdfast.artifacts.resilience.objects import EXTERNAL, annotated, overlay, placed
from holdfast.spec.model import Service
from holdfast.spec.production.regions import Region

#: Namespace and name of the gateway's Service; the Gateway API's is named after the service.
_GATEWAYS = {"nginx": ("ingress-nginx", "ingress-nginx-controller"), "traefik": ("traefik",) * 2}


def render(service: Service) -> Iterator[Artifact]:
    for region in service.regions:
        yield Artifact(
            f"{overlay(region)}/entrance.yaml",
            _binding(service, region),
            f"The gateway's pods behind the load balancer of {region.name}.",
            ("service", "regions", "kubernetes.namespace", "kubernetes.ingress"),
            ("T111", "T113", "T114", "T118"),
        )


def _binding(service: Service, region: Region) -> Object:
    space, gateway = _GATEWAYS.get(
        service.kubernetes.ingress, (names.namespace(service), f"{service.service}-istio")
    )
    spec = {
        "targetGroupName": entrance.target_group(service, region),
        "targetType": "ip",
        "serviceRef": {"name": gateway, "port": 443},
    }
    kind = "elbv2.k8s.aws/v1beta1/TargetGroupBinding"
    found = placed(service, kind, service.service, space, spec, "edge")
    return annotated(found, **{EXTERNAL: f"Service/{gateway}"})
