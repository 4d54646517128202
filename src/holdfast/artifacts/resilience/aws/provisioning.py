"""What Karpenter may do: make machines that carry the cluster's mark, and end only those.

Scoped as the documented policy of its controller is, without the rights to make instance profiles:
nodes have the one of the stack ``identity``. Source: Karpenter v1, CloudFormation reference.
"""

from __future__ import annotations

from holdfast.artifacts import nodes
from holdfast.artifacts.artifact import Object
from holdfast.artifacts.resilience.aws import cluster, foundation, policy
from holdfast.artifacts.resilience.aws.template import cluster_name, imported, sub
from holdfast.spec.model import Service
from holdfast.spec.production.regions import Region

_POOL = "karpenter.sh/nodepool"
_LOOK = ["AvailabilityZones", "CapacityReservations", "Images", "InstanceStatus",
         "InstanceTypeOfferings", "InstanceTypes", "Instances", "LaunchTemplates",
         "SecurityGroups", "SpotPriceHistory", "Subnets"]  # fmt: skip
_MAKE = ["ec2:RunInstances", "ec2:CreateFleet"]
_PARTS = ("image", "snapshot", "security-group", "subnet", "capacity-reservation")
_MADE = ("fleet", "instance", "volume", "network-interface", "launch-template",
         "spot-instances-request")  # fmt: skip


def statements(service: Service, region: Region) -> list[Object]:
    """The tag of the cluster is asked of what is made, and is on what is changed or ended."""
    mark = f"kubernetes.io/cluster/{cluster_name(service, region)}"
    asked = {
        "StringEquals": {f"aws:RequestTag/{mark}": "owned"},
        "StringLike": {f"aws:RequestTag/{_POOL}": "*"},
    }
    owned = {
        "StringEquals": {f"aws:ResourceTag/{mark}": "owned"},
        "StringLike": {f"aws:ResourceTag/{_POOL}": "*"},
    }
    made = [_ec2(each) for each in _MADE]
    creates = {"ec2:CreateAction": ["RunInstances", "CreateFleet", "CreateLaunchTemplate"]}
    tagged = {**asked, "StringEquals": {**asked["StringEquals"], **creates}}
    names = {"ForAllValues:StringEquals": {"aws:TagKeys": ["Name", "karpenter.sh/nodeclaim"]}}
    return [
        policy.allow(_MAKE, [_ec2(each) for each in _PARTS]),
        policy.allow(_MAKE, _ec2("launch-template"), owned),
        policy.allow([*_MAKE, "ec2:CreateLaunchTemplate"], made, asked),
        policy.allow(["ec2:CreateTags"], made, tagged),
        policy.allow(["ec2:CreateTags"], _ec2("instance"), {**owned, **names}),
        policy.allow(
            ["ec2:TerminateInstances", "ec2:DeleteLaunchTemplate"],
            [_ec2("instance"), _ec2("launch-template")],
            owned,
        ),
        policy.allow([f"ec2:Describe{each}" for each in _LOOK], "*"),
        *_knowing(service, region),
        *_handing(service),
    ]


def _ec2(kind: str) -> Object:
    """Images, snapshots and reservations may belong to other accounts."""
    return sub("arn:${AWS::Partition}:ec2:${AWS::Region}:*:" + kind + "/*")


def _knowing(service: Service, region: Region) -> list[Object]:
    """Images by release, prices, and where the API server is."""
    here = "arn:${AWS::Partition}:eks:${AWS::Region}:${AWS::AccountId}:cluster/"
    return [
        policy.allow(
            ["ssm:GetParameter"],
            sub("arn:${AWS::Partition}:ssm:${AWS::Region}::parameter/aws/service/*"),
        ),
        policy.allow(["pricing:GetProducts"], "*"),
        policy.allow(["eks:DescribeCluster"], sub(here + cluster_name(service, region))),
    ]


def _handing(service: Service) -> list[Object]:
    """The role of nodes, to machines alone; and disks that the cluster's key encrypts."""
    machines = {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}
    profile = "arn:${AWS::Partition}:iam::${AWS::AccountId}:instance-profile/"
    key = imported(service, foundation.STACK, "ClusterKey")
    use = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext"]
    grants = {"Bool": {"kms:GrantIsForAWSResource": "true"}}
    return [
        policy.allow(["iam:PassRole"], imported(service, cluster.STACK, "NodeRole"), machines),
        policy.allow(["iam:GetInstanceProfile"], sub(profile + nodes.profile(service))),
        policy.allow(use, key),
        policy.allow(["kms:CreateGrant"], key, grants),
    ]
