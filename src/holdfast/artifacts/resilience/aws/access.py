"""What pods may do in AWS: a role for each that needs one, bound to its ServiceAccount.

EKS Pod Identity binds namespace and ServiceAccount to the role; a cluster's own name is in the
session, so conditions can tell clusters apart. Sources: Amazon EKS, Pod Identity; the documented
policies of Velero, ExternalDNS, cert-manager, External Secrets, the AWS Load Balancer Controller.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.resilience.aws import cluster, foundation, policy, provisioning, storage
from holdfast.artifacts.resilience.aws.template import (
    AWS,
    HOSTED_ZONE,
    att,
    camel,
    imported,
    resource,
    sub,
    template,
)
from holdfast.spec.model import Service
from holdfast.spec.production.regions import Region

STACK = "access"
_READ: Final = ["s3:GetObject", "s3:GetObjectVersion"]
_WRITE: Final = ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload",
                 "s3:ListMultipartUploadParts"]  # fmt: skip
_ZONE: Final = sub("arn:${AWS::Partition}:route53:::hostedzone/${HostedZone}")
_KEYS = ("service", "regions", "kubernetes.namespace", "kubernetes.host", "resilience.database",
         "resilience.objects")  # fmt: skip


def render(service: Service) -> Iterator[Artifact]:
    for region in service.regions:
        yield Artifact(
            f"{AWS}/{region.name}/{STACK}.yaml", stack(service, region),
            f"Roles of pods in {region.name}: the least each of them needs.", _KEYS,
            ("T123", "T124", "T138"),
        )  # fmt: skip


def accounts(service: Service, region: Region) -> dict[tuple[str, str], list[Object]]:
    """The statements of each ServiceAccount, by namespace and name."""
    space = names.namespace(service)
    found = {
        ("velero", "velero"): _backups(service, region),
        ("vault", "vault"): _unsealing(service),
        ("external-secrets", "external-secrets"): _secrets(service),
        ("external-dns", "external-dns"): _records(service),
        ("cert-manager", "cert-manager"): _challenges(service),
        ("kube-system", "aws-load-balancer-controller"): _balancers(),
        ("kube-system", "karpenter"): provisioning.statements(service, region),
    }
    if service.resilience.database != "none":
        found[space, f"{service.service}-db"] = _backups(service, region)
    if service.resilience.database == "postgres":  # the database into which backups are restored
        found[space, f"{service.service}-db-check"] = _restores(service, region)
    if service.resilience.objects == "s3":
        found[space, service.service] = _objects(service)
    return found


def stack(service: Service, region: Region) -> Object:
    resources: Object = {}
    for (space, account), statements in accounts(service, region).items():
        name = _logical(service, account)
        resources[f"{name}Role"] = policy.role(policy.pods(), statements)
        association = {
            "ClusterName": imported(service, cluster.STACK, "Name"),
            "Namespace": space,
            "ServiceAccount": account,
            "RoleArn": att(f"{name}Role", "Arn"),
        }
        resources[name] = resource("EKS::PodIdentityAssociation", association)
    about = f"Roles of pods of {service.service} in {region.name}"
    return template(about, resources, parameters={"HostedZone": HOSTED_ZONE})


def _logical(service: Service, account: str) -> str:
    """Names of resources that do not change with the service's."""
    suffix = account.removeprefix(service.service)
    return {"": "Service", "-db": "Database", "-db-check": "Restore"}.get(suffix) or camel(account)


def _key(service: Service, name: str, *actions: str) -> Object:
    return policy.allow(
        [f"kms:{each}" for each in actions], imported(service, foundation.STACK, name)
    )


def _inside(bucket: Object) -> Object:
    return {"Fn::Sub": ["${Bucket}/*", {"Bucket": bucket}]}


def _restores(service: Service, region: Region) -> list[Object]:
    """Backups of every region are read."""
    others = names.others(service, region)
    read = [
        imported(service, storage.STACK, "BackupBucket"),
        *(sub("arn:${AWS::Partition}:s3:::" + names.bucket(service, each)) for each in others),
    ]
    keys = [storage.key_in(service, each) for each in others]
    found = [
        policy.allow(["s3:ListBucket", "s3:GetBucketLocation"], read),
        policy.allow(_READ, [_inside(each) for each in read]),
        _key(service, "BackupKey", "Decrypt"),
    ]
    return [*found, policy.allow(["kms:Decrypt"], keys)] if keys else found


def _backups(service: Service, region: Region) -> list[Object]:
    """Those of its own region are written, too."""
    return [
        *_restores(service, region),
        policy.allow(_WRITE, _inside(imported(service, storage.STACK, "BackupBucket"))),
        _key(service, "BackupKey", "Encrypt", "GenerateDataKey"),
    ]


def _objects(service: Service) -> list[Object]:
    bucket = imported(service, storage.STACK, "ObjectsBucket")
    return [
        policy.allow(["s3:ListBucket"], bucket),
        policy.allow([*_READ, *_WRITE], _inside(bucket)),
        _key(service, "BackupKey", "Decrypt", "GenerateDataKey"),
    ]


def _unsealing(service: Service) -> list[Object]:
    return [_key(service, "VaultKey", "Encrypt", "Decrypt", "DescribeKey")]


def _secrets(service: Service) -> list[Object]:
    """Only what is named after the service."""
    arn = "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:"
    read = ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"]
    return [
        policy.allow(read, sub(f"{arn}{service.service}/*")),
        _key(service, "VaultKey", "Decrypt"),
    ]


# ---- names ---------------------------------------------------------------------------------------

_LOOK = ["route53:ListHostedZones", "route53:ListHostedZonesByName", "route53:ListTagsForResources"]
_FORMS = "route53:ChangeResourceRecordSets"


def _changes(names_: list[str], kinds: list[str]) -> Object:
    condition = {
        f"{_FORMS}NormalizedRecordNames": names_,
        f"{_FORMS}RecordTypes": kinds,
    }
    return policy.allow([_FORMS], _ZONE, {"ForAllValues:StringLike": condition})


def _records(service: Service) -> list[Object]:
    """The service's names, and only those kinds that ExternalDNS writes."""
    host = normalized(service)
    return [
        _changes([host, f"*.{host}"], ["A", "AAAA", "CNAME", "TXT"]),
        policy.allow(["route53:ListResourceRecordSets"], _ZONE),
        policy.allow(_LOOK, "*"),
    ]


def _challenges(service: Service) -> list[Object]:
    """Proof that the name is ours, and nothing else of the zone."""
    host = normalized(service)
    proofs = [f"_acme-challenge.{host}", f"_acme-challenge.*.{host}"]
    change = sub("arn:${AWS::Partition}:route53:::change/*")
    return [
        _changes(proofs, ["TXT"]),
        policy.allow(["route53:ListResourceRecordSets"], _ZONE),
        policy.allow(["route53:GetChange"], change),
        policy.allow(["route53:ListHostedZonesByName"], "*"),
    ]


def normalized(service: Service) -> str:
    """A name as Route 53 compares it: lower case, no dot at the end."""
    return names.host(service).lower().rstrip(".")


# ---- load balancers ------------------------------------------------------------------------------

_MINE = "elbv2.k8s.aws/cluster"
_ELB = "elasticloadbalancing"


def _balancers() -> list[Object]:
    """It looks at everything, makes what carries its mark, and changes only that."""
    look = [f"{_ELB}:Describe*", "ec2:DescribeAvailabilityZones", "ec2:DescribeInstances",
            "ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets",
            "ec2:DescribeTags", "ec2:DescribeVpcs", "ec2:GetSecurityGroupsForVpc"]  # fmt: skip
    make = ["CreateLoadBalancer", "CreateTargetGroup"]
    change = ["ModifyLoadBalancerAttributes", "SetIpAddressType", "SetSecurityGroups",
              "SetSubnets", "DeleteLoadBalancer", "ModifyTargetGroup",
              "ModifyTargetGroupAttributes", "DeleteTargetGroup", "CreateListener",
              "DeleteListener", "ModifyListener"]  # fmt: skip
    asked = {"Null": {f"aws:RequestTag/{_MINE}": "false"}}
    owned = {"Null": {f"aws:ResourceTag/{_MINE}": "false"}}
    return [
        policy.allow(look, "*"),
        policy.allow([f"{_ELB}:{each}" for each in make], "*", asked),
        policy.allow([f"{_ELB}:{each}" for each in change], "*", owned),
        policy.allow([f"{_ELB}:AddTags"], _elb("*/*"), asked),
        policy.allow(
            [f"{_ELB}:RegisterTargets", f"{_ELB}:DeregisterTargets"], _elb("targetgroup/*/*")
        ),
        *_groups(),
    ]


def _elb(path: str) -> Object:
    arn = "arn:${AWS::Partition}:elasticloadbalancing:${AWS::Region}:${AWS::AccountId}:"
    return sub(arn + path)


def _groups() -> list[Object]:
    """Security groups of its load balancers, and the rules by which these reach pods."""
    group = sub("arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:security-group/*")
    vpc = sub("arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:vpc/*")
    mine = {"Null": {f"aws:ResourceTag/{_MINE}": "false"}}
    new = {"StringEquals": {"ec2:CreateAction": "CreateSecurityGroup"}}
    rules = ["ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"]
    return [
        policy.allow(["ec2:CreateSecurityGroup"], [group, vpc]),
        policy.allow(["ec2:CreateTags"], group, new),
        policy.allow([*rules, "ec2:DeleteSecurityGroup"], group, mine),
    ]
