"""Buckets of a region: backups that nobody can delete early, objects, and who read them.

A bucket can only replicate to one that is there, so the stack is deployed twice: buckets first, in
all regions, then with ``Replicate=true``. Backups go to the next region, so that each exists in
two; objects to all others, so that each region can serve them. Sources: Amazon S3, Replication
configuration, Object Lock, Lifecycle configuration.
"""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.resilience.aws import foundation, policy
from holdfast.artifacts.resilience.aws.template import (
    AWS,
    att,
    camel,
    days,
    exported,
    imported,
    kept,
    log_days,
    on,
    ref,
    resource,
    sub,
    switch,
    template,
)
from holdfast.spec.model import Service
from holdfast.spec.production.regions import Region

STACK = "storage"
_MULTIPART_DAYS = 7
_OLD_VERSIONS_DAYS = 30
_MINUTES = 15  # what S3 Replication Time Control promises
_KEYS = ("service", "regions", "resilience.objects", "resilience.backup", "observability.keep_logs")


def render(service: Service) -> Iterator[Artifact]:
    for region in service.regions:
        yield Artifact(
            f"{AWS}/{region.name}/{STACK}.yaml", stack(service, region),
            f"Backups and objects of {region.name}: encrypted, versioned, copied elsewhere.",
            _KEYS, ("T115", "T121", "T123", "T124", "T134"),
        )  # fmt: skip


def replicas(service: Service, region: Region, purpose: str) -> list[Region]:
    """The regions to which a bucket is copied."""
    if purpose != "backup":
        return [each for each in service.regions if each.name != region.name]
    place = [each.name for each in service.regions].index(region.name)
    after = service.regions[(place + 1) % len(service.regions)]
    return [after] if after.name != region.name else []


def purposes(service: Service) -> tuple[str, ...]:
    """What buckets are for, besides logs."""
    return ("backup", "objects") if service.resilience.objects == "s3" else ("backup",)


def stack(service: Service, region: Region) -> Object:
    resources: Object = {}
    for purpose in purposes(service):
        resources |= _bucket(service, region, purpose)
    resources |= _logs(service, region)
    parameters, conditions = None, None
    if len(service.regions) > 1:
        resources["ReplicationRole"] = _role(service, region)
        parameters = {"Replicate": switch("Copy to other regions; their buckets must exist.")}
        conditions = {"Replicating": on("Replicate")}
    arns = {
        f"{p.capitalize()}Bucket": att(f"{p.capitalize()}Bucket", "Arn") for p in purposes(service)
    }
    return template(
        f"Buckets of {service.service} in {region.name}", resources,
        exported(service, STACK, **arns, LogBucket=ref("LogBucket")), parameters, conditions,
    )  # fmt: skip


# ---- buckets -------------------------------------------------------------------------------------

_CLOSED = {
    "BlockPublicAcls": True,
    "BlockPublicPolicy": True,
    "IgnorePublicAcls": True,
    "RestrictPublicBuckets": True,
}


def closed(name: str, encryption: Object, rules: list[Object]) -> Object:
    """What every bucket is: private, encrypted, versioned."""
    return {
        "BucketName": name,
        "PublicAccessBlockConfiguration": dict(_CLOSED),
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        "BucketEncryption": {"ServerSideEncryptionConfiguration": [encryption]},
        "VersioningConfiguration": {"Status": "Enabled"},
        "LifecycleConfiguration": {"Rules": rules},
    }


def plain() -> Object:
    """Encryption by S3's own key: log deliveries can use no other."""
    return {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}


def _bucket(service: Service, region: Region, purpose: str) -> Object:
    logical = f"{purpose.capitalize()}Bucket"
    by_key = {
        "ServerSideEncryptionByDefault": {
            "SSEAlgorithm": "aws:kms",
            "KMSMasterKeyID": imported(service, foundation.STACK, "BackupKey"),
        },
        "BucketKeyEnabled": True,
    }
    settings = {
        **closed(names.bucket(service, region, purpose), by_key, _lifecycle(service, purpose)),
        **_lock(service, purpose),
        "LoggingConfiguration": {
            "DestinationBucketName": ref("LogBucket"), "LogFilePrefix": f"{purpose}/",
        },
    }  # fmt: skip
    found = {}
    if copies := replicas(service, region, purpose):
        rules = [_copy(service, each, purpose, rank) for rank, each in enumerate(copies, 1)]
        replication = {"Role": att("ReplicationRole", "Arn"), "Rules": rules}
        settings["ReplicationConfiguration"] = foundation.only("Replicating", replication)
        found = _watched(service, region, purpose, copies)
    return {
        logical: kept("S3::Bucket", settings),
        f"{logical}Policy": secured(logical, [_encrypted(logical)]),
        **found,
    }


def _lock(service: Service, purpose: str) -> Object:
    """Backups are kept against everybody, the account's owner too; objects as programs say."""
    found: Object = {"ObjectLockEnabled": True}
    if purpose == "backup":
        keep = {"Mode": "COMPLIANCE", "Days": days(service.resilience.backup.keep)}
        lock = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": keep}}
        found["ObjectLockConfiguration"] = lock
    return found


def expires(service: Service) -> int:
    """Days after which a backup goes. The oldest second that can be restored needs the full backup
    before it, so files live for one interval longer than they are promised."""
    backup = service.resilience.backup
    return days(backup.keep + backup.every)


def _lifecycle(service: Service, purpose: str) -> list[Object]:
    rules: list[Object] = [
        _rule("parts", AbortIncompleteMultipartUpload={"DaysAfterInitiation": _MULTIPART_DAYS})
    ]
    if purpose == "backup":
        gone = {"NoncurrentDays": 1}
        rules.append(
            _rule("backups", ExpirationInDays=expires(service), NoncurrentVersionExpiration=gone)
        )
    else:
        old = {"NoncurrentDays": _OLD_VERSIONS_DAYS}
        cheaper = [{"StorageClass": "INTELLIGENT_TIERING", "TransitionInDays": 1}]
        rules.append(_rule("objects", Transitions=cheaper, NoncurrentVersionExpiration=old))
    return rules


def _rule(name: str, **settings: object) -> Object:
    return {"Id": name, "Status": "Enabled", **settings}


def secured(bucket: str, statements: list[Object]) -> Object:
    """Only over TLS; what else a bucket forbids or grants comes before."""
    everything = [att(bucket, "Arn"), sub("${" + bucket + ".Arn}/*")]
    plain_text = {"Bool": {"aws:SecureTransport": "false"}}
    only_tls = policy.denied(["s3:*"], everything, plain_text)
    document = policy.document(*statements, only_tls)
    return resource("S3::BucketPolicy", {"Bucket": ref(bucket), "PolicyDocument": document})


def _encrypted(bucket: str) -> Object:
    """Nobody chooses a weaker encryption; who chooses none gets the bucket's."""
    header = "s3:x-amz-server-side-encryption"
    other = {"StringNotEquals": {header: "aws:kms"}, "Null": {header: "false"}}
    return policy.denied(["s3:PutObject"], sub("${" + bucket + ".Arn}/*"), other)


# ---- copies --------------------------------------------------------------------------------------


def key_in(service: Service, region: Region, key: str = "BackupKeyId") -> Object:
    """The same key in another region: multi-region keys have one id everywhere."""
    arn = "arn:${AWS::Partition}:kms:" + region.cloud + ":${AWS::AccountId}:key/${Key}"
    return {"Fn::Sub": [arn, {"Key": imported(service, foundation.STACK, key)}]}


def _copy(service: Service, region: Region, purpose: str, rank: int) -> Object:
    minutes = {"Status": "Enabled", "Time": {"Minutes": _MINUTES}}
    measured = {"Status": "Enabled", "EventThreshold": {"Minutes": _MINUTES}}
    destination = {
        "Bucket": sub("arn:${AWS::Partition}:s3:::" + names.bucket(service, region, purpose)),
        "EncryptionConfiguration": {"ReplicaKmsKeyID": key_in(service, region)},
        "ReplicationTime": minutes,
        "Metrics": measured,
    }
    selection: Object = {"SseKmsEncryptedObjects": {"Status": "Enabled"}}
    if purpose != "backup":  # every region writes objects, and a copy may be changed
        selection["ReplicaModifications"] = {"Status": "Enabled"}
    return {
        "Id": region.name,
        "Priority": rank,
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "SourceSelectionCriteria": selection,
        "DeleteMarkerReplication": {"Status": "Disabled" if purpose == "backup" else "Enabled"},
        "Destination": destination,
    }


def _role(service: Service, region: Region) -> Object:
    own = [names.bucket(service, region, purpose) for purpose in purposes(service)]
    targets = [
        (copy, names.bucket(service, copy, purpose))
        for purpose in purposes(service)
        for copy in replicas(service, region, purpose)
    ]
    read = ["s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl",
            "s3:GetObjectVersionTagging", "s3:GetObjectRetention",
            "s3:GetObjectLegalHold"]  # fmt: skip
    write = ["s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags"]
    keys = {copy.cloud: key_in(service, copy) for copy, _ in targets}
    statements = [
        policy.allow(["s3:GetReplicationConfiguration", "s3:ListBucket"], [*map(_arn, own)]),
        policy.allow(read, [_arn(f"{each}/*") for each in own]),
        policy.allow(write, [_arn(f"{each}/*") for _, each in targets]),
        policy.allow(["kms:Decrypt"], imported(service, foundation.STACK, "BackupKey")),
        policy.allow(["kms:Encrypt", "kms:GenerateDataKey"], list(keys.values())),
    ]
    return policy.role(policy.trust("s3", policy.OWN), statements)


def _arn(path: str) -> Object:
    return sub("arn:${AWS::Partition}:s3:::" + path)


def _watched(service: Service, region: Region, purpose: str, copies: list[Region]) -> Object:
    """An alarm when copies are later than S3 promises, or fail."""
    to = imported(service, foundation.STACK, "Notices")
    found: Object = {}
    for copy in copies:
        where = {
            "SourceBucket": names.bucket(service, region, purpose),
            "DestinationBucket": names.bucket(service, copy, purpose),
            "RuleId": copy.name,
        }
        dimensions = [{"Name": key, "Value": value} for key, value in where.items()]
        logical = f"{purpose.capitalize()}To{camel(copy.name)}"
        found[f"{logical}Late"] = foundation.alarm(
            f"Copies of {purpose} reach {copy.name} later than {_MINUTES} minutes",
            "AWS/S3 ReplicationLatency", _MINUTES * 60, to=to, Statistic="Maximum",
            Dimensions=dimensions,
        )  # fmt: skip
        found[f"{logical}Failed"] = foundation.alarm(
            f"Copies of {purpose} to {copy.name} fail",
            "AWS/S3 OperationsFailedReplication", 0, to=to, Dimensions=dimensions,
        )  # fmt: skip
    return found


# ---- logs of access ------------------------------------------------------------------------------


def _logs(service: Service, region: Region) -> Object:
    """Written by S3 and load balancers alone, and of this account alone."""
    rule = _rule(
        "logs", ExpirationInDays=log_days(service),
        NoncurrentVersionExpiration={"NoncurrentDays": 1},
    )  # fmt: skip
    logs = closed(names.bucket(service, region, "logs"), plain(), [rule])
    writers = [policy.service("logging.s3"), policy.service("delivery.logs")]
    inside = sub("${LogBucket.Arn}/*")
    statements = [policy.granted(each, ["s3:PutObject"], inside, policy.OWN) for each in writers]
    acl = policy.granted(
        policy.service("delivery.logs"), ["s3:GetBucketAcl"], att("LogBucket", "Arn"), policy.OWN
    )
    return {
        "LogBucket": kept("S3::Bucket", logs),
        "LogBucketPolicy": secured("LogBucket", [*statements, acl]),
    }
