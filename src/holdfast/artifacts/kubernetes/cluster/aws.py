"""The machines and networks of Cluster API's clusters at Amazon.

Source: cluster-api-provider-aws v2 (infrastructure.cluster.x-k8s.io/v1beta2).
"""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.artifacts import machines, names, nodes
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.kubernetes.cluster import namespaces
from holdfast.artifacts.kubernetes.objects import CLUSTER
from holdfast.spec.model import Service
from holdfast.spec.production.regions import Region

GROUP = "infrastructure.cluster.x-k8s.io"
_VERSION = f"{GROUP}/v1beta2"
OWN, GENERAL = "own", "general"
POOLS = (OWN, GENERAL)  # the service's nodes, and those of everything else


def render(service: Service) -> Iterable[Artifact]:
    kinds = {OWN: machines.machine(service).kind, GENERAL: "m7i.2xlarge"}
    for region in service.regions:
        yield Artifact(
            f"{CLUSTER}/{region.name}/cluster-api-aws.yaml",
            [_cluster(service, region), *_machines(service, region, kinds)],
            f"The network and the machines of {region.name}.",
            ("service", "regions", *nodes.SIZE_KEYS),
            ("T31", "T32"),
        )


def _object(service: Service, kind: str, name: str) -> Object:
    labels = {"app.kubernetes.io/managed-by": names.MANAGER}
    metadata = {"name": name, "namespace": namespaces.clusters(service), "labels": labels}
    return {"apiVersion": _VERSION, "kind": kind, "metadata": metadata}


def _cluster(service: Service, region: Region) -> Object:
    """The API server is reached inside the network only."""
    found = _object(service, "AWSCluster", region.name)
    found["spec"] = {
        "region": region.cloud,
        "controlPlaneLoadBalancer": {"scheme": "internal", "loadBalancerType": "nlb"},
        "network": {
            "vpc": {
                "cidrBlock": region.cidr,
                "availabilityZoneUsageLimit": region.zones,
                "availabilityZoneSelection": "Ordered",
            }
        },
        "bastion": {"enabled": False},
    }
    return found


def _machines(service: Service, region: Region, kinds: dict[str, str]) -> Iterable[Object]:
    found = _object(service, "AWSMachineTemplate", region.name)
    yield {**found, "spec": _machine(machines.CONTROL.kind, "control-plane")}
    for pool, kind in kinds.items():
        found = _object(service, "AWSMachineTemplate", f"{region.name}-{pool}")
        yield {**found, "spec": _machine(kind, "nodes")}


def _machine(kind: str, role: str) -> Object:
    spec = {
        "instanceType": kind,
        "iamInstanceProfile": f"{role}.cluster-api-provider-aws.sigs.k8s.io",
        "publicIP": False,
        "rootVolume": {"size": 100, "type": "gp3", "encrypted": True},
        "instanceMetadataOptions": {
            "httpEndpoint": "enabled",
            "httpPutResponseHopLimit": 1,
            "httpTokens": "required",
        },
        "cloudInit": {"secureSecretsBackend": "secrets-manager"},
    }
    return {"template": {"spec": spec}}
