"""The cluster of a region: a private control plane, nodes for the platform and for the service.

Nodes have encrypted disks, no SSH and no metadata without a session; people reach them through
Session Manager. Sources: Amazon EKS, Best Practices (Security, Reliability), Launch templates.
"""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.artifacts import machines, names, nodes, versions
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.resilience.aws import foundation, network, policy
from holdfast.artifacts.resilience.aws.template import (
    ARN,
    AWS,
    att,
    cluster_name,
    exported,
    imported,
    log_days,
    parameter,
    ref,
    resource,
    tags,
    template,
)
from holdfast.spec.model import Service
from holdfast.spec.production.regions import Region

STACK = "cluster"
_DISK_GIB = 100
_ADDONS = ("vpc-cni", "kube-proxy", "coredns", "eks-pod-identity-agent", "metrics-server")
_KEYS = ("service", "regions", "replicas", "autoscaling.max", "resources", "image.platforms",
         "observability.keep_logs", *nodes.TUNING_KEYS)  # fmt: skip


def render(service: Service) -> Iterator[Artifact]:
    for region in service.regions:
        yield Artifact(
            f"{AWS}/{region.name}/{STACK}.yaml", stack(service, region),
            f"The cluster of {region.name}, with nodes of its own for the service.", _KEYS,
            ("T32", "T48", "T111", "T113", "T114"),
        )  # fmt: skip


def stack(service: Service, region: Region) -> Object:
    resources = {
        **_control(service, region),
        **_group_of_nodes(service, region),
        **_nodes(service, region),
        **{f"Addon{''.join(p.capitalize() for p in a.split('-'))}": _addon(a) for a in _ADDONS},
        **_disks(service),
    }
    parameters = {
        "KubernetesVersion": parameter(
            "A version that EKS has.", r"^1\.[0-9]+$", versions.EKS
        ),
        "AdministratorRole": parameter("The role that may do everything in the cluster.", ARN),
        "NodeRole": parameter("The role of nodes, which all regions share.", ARN),
    }  # fmt: skip
    outputs = exported(
        service, STACK, Name=ref("Cluster"), Group=ref("NodeGroup"),
        Issuer=att("Cluster", "OpenIdConnectIssuerUrl"), Provider=att("Provider", "Arn"),
        NodeRole=ref("NodeRole"),
    )  # fmt: skip
    about = f"Cluster of {service.service} in {region.name}"
    return template(about, resources, outputs, parameters)


# ---- control plane -------------------------------------------------------------------------------


def _control(service: Service, region: Region) -> Object:
    name = cluster_name(service, region)
    control_role = policy.role(policy.trust("eks"), [], ("AmazonEKSClusterPolicy",))
    return {
        "ControlLogs": foundation.log_group(service, f"/aws/eks/{name}/cluster", log_days(service)),
        "ControlRole": control_role,
        "Cluster": resource("EKS::Cluster", _cluster(service, region), DependsOn="ControlLogs"),
        "Provider": resource(
            "IAM::OIDCProvider",
            {
                "Url": att("Cluster", "OpenIdConnectIssuerUrl"),
                "ClientIdList": ["sts.amazonaws.com"],
            },
        ),
        "Administrator": resource("EKS::AccessEntry", _administrator()),
    }


def _cluster(service: Service, region: Region) -> Object:
    kinds = ["api", "audit", "authenticator", "controllerManager", "scheduler"]
    subnets = [
        imported(service, network.STACK, f"PrivateSubnet{index}") for index in range(region.zones)
    ]
    return {
        "Name": cluster_name(service, region),
        "Version": ref("KubernetesVersion"),
        "RoleArn": att("ControlRole", "Arn"),
        "AccessConfig": {
            "AuthenticationMode": "API",
            "BootstrapClusterCreatorAdminPermissions": False,
        },
        "EncryptionConfig": [
            {
                "Provider": {"KeyArn": imported(service, foundation.STACK, "ClusterKey")},
                "Resources": ["secrets"],
            }
        ],
        "Logging": {"ClusterLogging": {"EnabledTypes": [{"Type": each} for each in kinds]}},
        "ResourcesVpcConfig": {
            "SubnetIds": subnets,
            "SecurityGroupIds": [ref("NodeGroup")],
            "EndpointPrivateAccess": True,
            "EndpointPublicAccess": False,
        },
        "UpgradePolicy": {"SupportType": "STANDARD"},
        "ZonalShiftConfig": {"Enabled": True},
        "DeletionProtection": True,
    }


def _administrator() -> Object:
    arn = "arn:${AWS::Partition}:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
    grant = {"AccessScope": {"Type": "cluster"}, "PolicyArn": {"Fn::Sub": arn}}
    return {
        "ClusterName": ref("Cluster"),
        "PrincipalArn": ref("AdministratorRole"),
        "AccessPolicies": [grant],
    }


# ---- nodes ---------------------------------------------------------------------------------------


def _nodes(service: Service, region: Region) -> Object:
    """The entry stays when node groups go: Karpenter's nodes join by it, too."""
    joins = {
        "ClusterName": ref("Cluster"),
        "PrincipalArn": ref("NodeRole"),
        "Type": "EC2_LINUX",
    }
    after = ["AddonVpcCni", "NodeEntry"]
    count = machines.count(service, region)
    platform = {
        **_group(service, region, "platform"),
        "AmiType": "AL2023_x86_64_STANDARD",
        "InstanceTypes": ["m7i.xlarge", "m6i.xlarge"],
        "ScalingConfig": _scaling(region.zones, 3 * region.zones),
        "Labels": {names.POOL_LABEL: "platform"},
    }
    own = {
        **_group(service, region, "own"),
        "AmiType": _ami(service),
        "InstanceTypes": [machines.machine(service).kind],
        "ScalingConfig": _scaling(count.least, count.most),
        "Labels": {names.POOL_LABEL: names.pool(service)},
        "Taints": [
            {"Key": names.POOL_LABEL, "Value": names.pool(service), "Effect": "NO_SCHEDULE"}
        ],
    }
    return {
        "NodeEntry": resource("EKS::AccessEntry", joins),
        "NodeTemplate": resource("EC2::LaunchTemplate", _launch(service, region)),
        "OwnTemplate": resource("EC2::LaunchTemplate", _launch(service, region, _told(service))),
        "PlatformNodes": resource("EKS::Nodegroup", platform, DependsOn=after),
        "ServiceNodes": resource("EKS::Nodegroup", own, DependsOn=after),
    }


def _told(service: Service) -> Object:
    """What nodes of Karpenter are told, too: pages, cores and kernel parameters are the same."""
    return {"UserData": {"Fn::Base64": nodes.user_data(service)}}


def _group_of_nodes(service: Service, region: Region) -> Object:
    """The one security group of the control plane's interfaces and of every node, whoever makes it:
    node pools find it by its tag, which the group that EKS makes by itself cannot carry."""
    found = {nodes.DISCOVERY: service.service}
    settings = {
        "GroupDescription": "Control plane and nodes among themselves",
        "VpcId": imported(service, network.STACK, "Vpc"),
        "SecurityGroupEgress": [
            {"IpProtocol": "-1", "CidrIp": "0.0.0.0/0", "Description": "Images, and what pods ask"}
        ],
        "Tags": tags(f"{cluster_name(service, region)}-nodes", **found),
    }
    inside = {
        "GroupId": ref("NodeGroup"),
        "SourceSecurityGroupId": ref("NodeGroup"),
        "IpProtocol": "-1",
        "Description": "Nodes, pods and the control plane",
    }
    return {
        "NodeGroup": resource("EC2::SecurityGroup", settings),
        "AmongNodes": resource("EC2::SecurityGroupIngress", inside),
    }


def _group(service: Service, region: Region, name: str) -> Object:
    subnets = [
        imported(service, network.STACK, f"PrivateSubnet{index}") for index in range(region.zones)
    ]
    launched = "OwnTemplate" if name == "own" else "NodeTemplate"
    return {
        "ClusterName": ref("Cluster"),
        "NodeRole": ref("NodeRole"),
        "Subnets": subnets,
        "CapacityType": "ON_DEMAND",
        "LaunchTemplate": {"Id": ref(launched), "Version": att(launched, "LatestVersionNumber")},
        "UpdateConfig": {"MaxUnavailablePercentage": 33},
        "NodeRepairConfig": {"Enabled": True},
        "Tags": {"Name": f"{cluster_name(service, region)}-{name}"},
    }  # fmt: skip


def _scaling(least: int, most: int) -> Object:
    return {"MinSize": least, "DesiredSize": least, "MaxSize": most}


def _ami(service: Service) -> str:
    if service.resources.gpus:
        return "AL2023_x86_64_NVIDIA"
    return "AL2023_ARM_64_STANDARD" if machines.arm(service) else "AL2023_x86_64_STANDARD"


def _launch(service: Service, region: Region, told: Object | None = None) -> Object:
    """One hop: a pod without the host's network cannot ask for the node's credentials."""
    disk = {
        "DeviceName": "/dev/xvda",
        "Ebs": {
            "VolumeSize": _DISK_GIB,
            "VolumeType": "gp3",
            "Encrypted": True,
            "KmsKeyId": imported(service, foundation.STACK, "ClusterKey"),
            "DeleteOnTermination": True,
        },
    }
    metadata = {"HttpTokens": "required", "HttpPutResponseHopLimit": 1, "HttpEndpoint": "enabled"}
    marked = tags(cluster_name(service, region))
    data = {
        "BlockDeviceMappings": [disk],
        "MetadataOptions": metadata,
        "Monitoring": {"Enabled": True},
        "SecurityGroupIds": [ref("NodeGroup")],
        **(told or {}),
        "TagSpecifications": [
            {"ResourceType": kind, "Tags": marked} for kind in ("instance", "volume")
        ],
    }
    return {"LaunchTemplateData": data}


# ---- what runs on every cluster ------------------------------------------------------------------


def _addon(name: str) -> Object:
    """Network policies are the network add-on's; core DNS needs nodes, which need the network."""
    found: Object = {
        "AddonName": name,
        "ClusterName": ref("Cluster"),
        "ResolveConflicts": "OVERWRITE",
    }
    if name == "vpc-cni":
        found["ConfigurationValues"] = '{"enableNetworkPolicy": "true"}'
        found["PodIdentityAssociations"] = [_identity("aws-node", "NetworkRole")]
    after = {"DependsOn": "PlatformNodes"} if name in ("coredns", "metrics-server") else {}
    return resource("EKS::Addon", found, **after)


def _identity(account: str, role: str) -> Object:
    return {"ServiceAccount": account, "RoleArn": att(role, "Arn")}


def _disks(service: Service) -> Object:
    """Volumes of pods, encrypted by the cluster's key."""
    driver = {
        "AddonName": "aws-ebs-csi-driver",
        "ClusterName": ref("Cluster"),
        "ResolveConflicts": "OVERWRITE",
        "PodIdentityAssociations": [_identity("ebs-csi-controller-sa", "DiskRole")],
    }
    key = imported(service, foundation.STACK, "ClusterKey")
    use = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKeyWithoutPlaintext",
           "kms:ReEncryptFrom", "kms:ReEncryptTo"]  # fmt: skip
    grants = {"Bool": {"kms:GrantIsForAWSResource": "true"}}
    statements = [policy.allow(use, key), policy.allow(["kms:CreateGrant"], key, grants)]
    pods = policy.pods()
    return {
        "NetworkRole": policy.role(pods, [], ("AmazonEKS_CNI_Policy",)),
        "DiskRole": policy.role(pods, statements, ("service-role/AmazonEBSCSIDriverPolicy",)),
        "AddonDisks": resource("EKS::Addon", driver, DependsOn="PlatformNodes"),
    }
