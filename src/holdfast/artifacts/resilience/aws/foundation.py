"""Keys and notices of a region: everything else encrypts by the one and reports to the other.

Keys of data that other regions read are multi-region: the same key under the same id everywhere,
so a backup opens where its region is gone. Sources: AWS KMS, Multi-Region keys, key policies.
"""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.resilience.aws import policy
from holdfast.artifacts.resilience.aws.template import (
    ARN,
    AWS,
    NOTHING,
    att,
    exported,
    given,
    imported,
    kept,
    parameter,
    ref,
    resource,
    sub,
    template,
    when,
)
from holdfast.spec.model import Service
from holdfast.spec.production.regions import Region

STACK = "foundation"
#: Keys that every region has: of backups and objects, and of what unseals Vault.
SHARED = {"Backup": "backup", "Vault": "vault"}


def render(service: Service) -> Iterator[Artifact]:
    for region in service.regions:
        yield Artifact(
            f"{AWS}/{region.name}/{STACK}.yaml", stack(service, region),
            f"Keys of {region.name}, and where its alarms go.", ("service", "regions"),
            ("T115", "T123", "T124"),
        )  # fmt: skip


def stack(service: Service, region: Region) -> Object:
    """Aliases are what Vault and CockroachDB are told: ``alias/SERVICE-vault``."""
    leads = region.name == names.primary(service).name
    resources: Object = {}
    for name, alias in SHARED.items():
        resources[f"{name}Key"] = _shared(alias) if leads else _replica(name, alias)
        resources[f"{name}Alias"] = _alias(f"{name}Key", f"{service.service}-{alias}")
    resources["ClusterKey"] = _cluster_key(service)
    resources["ClusterAlias"] = _alias("ClusterKey", f"{service.service}-cluster")
    resources |= notices(service)
    parameters = (
        {} if leads else {f"{name}KeyArn": _source(alias) for name, alias in SHARED.items()}
    )
    values: dict[str, object] = {"Notices": ref("Notices"), "ClusterKey": att("ClusterKey", "Arn")}
    for name in SHARED:
        values |= {f"{name}Key": att(f"{name}Key", "Arn"), f"{name}KeyId": ref(f"{name}Key")}
    return template(
        f"Keys and notices of {service.service} in {region.name}", resources,
        exported(service, STACK, **values), {**parameters, **NOTICE_PARAMETERS}, NOTICE_CONDITIONS,
    )  # fmt: skip


def _source(alias: str) -> Object:
    return parameter(f"The {alias} key of the primary region, which this one is a copy of.", ARN)


# ---- keys ----------------------------------------------------------------------------------------


def _administered() -> Object:
    """Without it nobody could ever change the key again."""
    return policy.granted(policy.ACCOUNT, ["kms:*"], "*")


def _shared(alias: str) -> Object:
    properties = {
        "Description": f"Multi-region key: {alias}",
        "MultiRegion": True,
        "EnableKeyRotation": True,
        "PendingWindowInDays": 30,
        "KeyPolicy": policy.document(_administered()),
    }
    return kept("KMS::Key", properties)


def _replica(name: str, alias: str) -> Object:
    properties = {
        "Description": f"Copy of the multi-region key: {alias}",
        "PrimaryKeyArn": ref(f"{name}KeyArn"),
        "PendingWindowInDays": 30,
        "KeyPolicy": policy.document(_administered()),
    }
    return kept("KMS::ReplicaKey", properties)


def _alias(key: str, name: str) -> Object:
    return resource("KMS::Alias", {"AliasName": f"alias/{name}", "TargetKeyId": ref(key)})


def _cluster_key(service: Service) -> Object:
    """Disks of nodes, secrets of the cluster, images and logs: nothing another region reads."""
    properties = {
        "Description": f"Cluster, disks, images and logs of {service.service}",
        "EnableKeyRotation": True,
        "PendingWindowInDays": 30,
        "KeyPolicy": policy.document(_administered(), _logs(), *_disks()),
    }
    return kept("KMS::Key", properties)


_USE = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]


def _logs() -> Object:
    """CloudWatch Logs, for log groups of this account and region."""
    groups = sub("arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:*")
    condition = {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": groups}}
    principal = {"Service": sub("logs.${AWS::Region}.amazonaws.com")}
    return policy.granted(principal, _USE, "*", condition)


def _disks() -> list[Object]:
    """Auto Scaling starts nodes whose disks are encrypted by this key."""
    role = "aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
    principal = {"AWS": sub("arn:${AWS::Partition}:iam::${AWS::AccountId}:role/" + role)}
    grants = {"Bool": {"kms:GrantIsForAWSResource": "true"}}
    return [
        policy.granted(principal, _USE, "*"),
        policy.granted(principal, ["kms:CreateGrant"], "*", grants),
    ]


# ---- notices -------------------------------------------------------------------------------------

NOTICE_PARAMETERS = {
    "NoticeUrl": parameter(
        "An https address that is told of alarms; empty: nobody is.", r"^(https://.+)?$", ""
    )
    | {"NoEcho": True}
}
NOTICE_CONDITIONS = {"Noticed": given("NoticeUrl")}


def notices(service: Service) -> Object:
    """A topic that alarms may write to, encrypted by a key that lets them."""
    return {
        "NoticeKey": _notice_key(service),
        "Notices": resource(
            "SNS::Topic",
            {"DisplayName": f"{service.service} alarms"[:100], "KmsMasterKeyId": ref("NoticeKey")},
        ),
        "NoticePolicy": resource(
            "SNS::TopicPolicy",
            {"Topics": [ref("Notices")], "PolicyDocument": _notice_policy()},
        ),
        "NoticeSubscription": resource(
            "SNS::Subscription",
            {"TopicArn": ref("Notices"), "Protocol": "https", "Endpoint": ref("NoticeUrl")},
            Condition="Noticed",
        ),
    }  # fmt: skip


def _notice_key(service: Service) -> Object:
    alarms = policy.granted(
        policy.service("cloudwatch"), ["kms:Decrypt", "kms:GenerateDataKey*"], "*", policy.OWN
    )
    properties = {
        "Description": f"Alarms of {service.service} on their way",
        "EnableKeyRotation": True,
        "KeyPolicy": policy.document(_administered(), _logs(), alarms),
    }
    return resource("KMS::Key", properties)


def _notice_policy() -> Object:
    cloudwatch = policy.service("cloudwatch")
    return policy.document(policy.granted(cloudwatch, ["sns:Publish"], ref("Notices"), policy.OWN))


def log_group(service: Service, name: object, days: int) -> Object:
    """A log group that the region's cluster key encrypts."""
    key = imported(service, STACK, "ClusterKey")
    return kept("Logs::LogGroup", {"LogGroupName": name, "RetentionInDays": days, "KmsKeyId": key})


def alarm(about: str, metric: str, limit: float, *, to: object, **more: object) -> Object:
    """``metric``: ``AWS/S3 ReplicationLatency``. Silence is no alarm unless ``more`` says so."""
    space, _, name = metric.rpartition(" ")
    settings: Object = {
        "AlarmDescription": about,
        "Namespace": space,
        "MetricName": name,
        "Statistic": "Sum",
        "ComparisonOperator": "GreaterThanThreshold",
        "Threshold": limit,
        "Period": 60,
        "EvaluationPeriods": 3,
        "TreatMissingData": "notBreaching",
    }
    return resource(
        "CloudWatch::Alarm", {**settings, **more, "AlarmActions": [to], "OKActions": [to]}
    )


def only(condition: str, value: object) -> Object:
    """The value where the condition holds, else nothing at all."""
    return when(condition, value, NOTHING)
