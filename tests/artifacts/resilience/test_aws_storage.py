"""Buckets, keys, images and secrets: private, encrypted, kept as promised, elsewhere too."""

from __future__ import annotations

import json

import aws_templates as aws
import pytest
from family import spec

from holdfast.artifacts import names
from holdfast.artifacts.resilience.aws import storage
from holdfast.artifacts.resilience.aws.steps import Deploy, steps

CLOSED = {"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"}


def buckets(service):
    return aws.everywhere(service, "S3::Bucket")


def backup(service, region):
    return aws.resources(aws.template(service, region.name, "storage"), "S3::Bucket")[
        "BackupBucket"
    ]


@pytest.mark.req("T123", "T124", "T134")
def test_every_bucket_is_closed_to_the_public_encrypted_and_versioned(service):
    assert len(buckets(service)) >= 2 * len(service.regions)
    for path, name, each in buckets(service):
        given = each["Properties"]
        assert given["PublicAccessBlockConfiguration"] == dict.fromkeys(CLOSED, True), (path, name)
        assert given["VersioningConfiguration"] == {"Status": "Enabled"}
        (rule,) = given["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        kind = rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"]
        assert kind == ("AES256" if name.startswith("Log") else "aws:kms")


@pytest.mark.req("T124")
def test_no_bucket_is_read_or_written_without_tls(service):
    policies = aws.everywhere(service, "S3::BucketPolicy")
    assert len(policies) == len(buckets(service))
    for path, name, each in policies:
        refused = [
            statement
            for statement in aws.statements(each)
            if statement.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}
        ]
        assert [s["Effect"] for s in refused] == ["Deny"], (path, name)
        assert all(
            s["Effect"] == "Deny" for s in aws.statements(each) if s["Principal"] == {"AWS": "*"}
        )


@pytest.mark.req("T123")
def test_backups_are_copied_to_another_region_and_objects_to_all_others(service):
    for region in service.regions:
        found = aws.resources(aws.template(service, region.name, "storage"), "S3::Bucket")
        for purpose in ("backup", "objects"):
            if f"{purpose.capitalize()}Bucket" not in found:
                assert purpose == "objects" and service.resilience.objects != "s3"
                continue
            given = found[f"{purpose.capitalize()}Bucket"]["ReplicationConfiguration"]["Fn::If"][1]
            targets = {
                rule["Destination"]["Bucket"]["Fn::Sub"].rpartition(":")[2]
                for rule in given["Rules"]
            }
            others = {
                names.bucket(service, each, purpose) for each in names.others(service, region)
            }
            assert targets <= others and targets
            assert purpose == "backup" or targets == others
            for rule in given["Rules"]:
                key = rule["Destination"]["EncryptionConfiguration"]["ReplicaKmsKeyID"]["Fn::Sub"][
                    0
                ]
                cloud = key.split(":kms:")[1].split(":")[0]
                assert cloud != region.cloud and rule["Destination"]["Bucket"]["Fn::Sub"].endswith(
                    cloud
                )


@pytest.mark.req("T123")
def test_every_backup_bucket_is_some_other_ones_copy(reference):
    targets = [
        copy.name for r in reference.regions for copy in storage.replicas(reference, r, "backup")
    ]
    assert sorted(targets) == sorted(region.name for region in reference.regions)


@pytest.mark.req("T121", "T124")
@pytest.mark.parametrize(("keep", "every", "locked", "gone"), [
    ("30d", "1d", 30, 31), ("7d", "12h", 7, 8), ("36h", "1h", 2, 2), ("1h", "30m", 1, 1),
])  # fmt: skip
def test_backups_are_locked_for_as_long_as_is_promised_and_gone_soon_after(
    keep, every, locked, gone
):
    given = spec(f"resilience: {{backup: {{keep: {keep}, every: {every}}}}}")
    for region in given.regions:
        bucket = backup(given, region)
        lock = bucket["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]
        assert bucket["ObjectLockEnabled"] is True
        assert lock == {"Mode": "COMPLIANCE", "Days": locked}
        days = [r.get("ExpirationInDays") for r in bucket["LifecycleConfiguration"]["Rules"]]
        assert [each for each in days if each] == [gone]


@pytest.mark.req("T124")
def test_data_outlives_its_stack(service):
    kinds = ("S3::Bucket", "KMS::ReplicaKey", "ECR::Repository", "SecretsManager::Secret",
             "Logs::LogGroup")  # fmt: skip
    for kind in kinds:
        for path, name, each in aws.everywhere(service, kind):
            assert each["DeletionPolicy"] == "RetainExceptOnCreate", (path, name)
            assert each["UpdateReplacePolicy"] == "Retain", (path, name)
    keys = [each for each in aws.everywhere(service, "KMS::Key") if each[1] != "NoticeKey"]
    assert keys and all(each["UpdateReplacePolicy"] == "Retain" for _, _, each in keys)


@pytest.mark.req("T115", "T123")
def test_what_one_region_encrypts_the_others_can_open(reference):
    primary = names.primary(reference)
    for region in reference.regions:
        body = aws.template(reference, region.name, "foundation")
        own = aws.resources(body, "KMS::Key")
        for name in ("BackupKey", "VaultKey"):
            if region.name == primary.name:
                assert own[name]["MultiRegion"] and own[name]["EnableKeyRotation"]
            else:
                copy = aws.resources(body, "KMS::ReplicaKey")[name]
                assert copy["PrimaryKeyArn"] == {"Ref": f"{name}Arn"}
        aliases = {each["AliasName"] for each in aws.resources(body, "KMS::Alias").values()}
        assert {f"alias/{reference.service}-{each}" for each in ("vault", "backup")} <= aliases


@pytest.mark.req("T123", "T124")
def test_recovery_keys_are_kept_in_every_region_and_no_secret_is_written(reference):
    for _, _, each in aws.everywhere(reference, "SecretsManager::Secret"):
        assert not {"SecretString", "GenerateSecretString"} & set(each["Properties"])
        copies = {copy["Region"] for copy in each["Properties"]["ReplicaRegions"]}
        assert copies == {r.cloud for r in reference.regions if not r.primary}


@pytest.mark.req("T24")
def test_images_are_immutable_scanned_and_old_ones_go(service):
    found = aws.everywhere(service, "ECR::Repository")
    assert len(found) == len(service.regions)
    for _, _, each in found:
        given = each["Properties"]
        assert given["ImageTagMutability"] == "IMMUTABLE"
        assert given["ImageScanningConfiguration"] == {"ScanOnPush": True}
        assert given["EncryptionConfiguration"]["EncryptionType"] == "KMS"
        rules = json.loads(given["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
        assert {rule["selection"]["tagStatus"] for rule in rules} == {"tagged", "untagged"}
        assert len({rule["rulePriority"] for rule in rules}) == len(rules)


@pytest.mark.req("T25")
def test_images_of_the_primary_region_are_copied_to_all_others(service):
    (found,) = aws.everywhere(service, "ECR::ReplicationConfiguration")
    primary = names.primary(service)
    assert found[0].startswith(primary.name)
    (rule,) = found[2]["Properties"]["ReplicationConfiguration"]["Rules"]
    targets = {each["Region"] for each in rule["Destinations"]}
    assert targets == {each.cloud for each in names.others(service, primary)}
    (ours,) = rule["RepositoryFilters"]
    assert ours["FilterType"] == "PREFIX_MATCH"
    for _, _, each in aws.everywhere(service, "ECR::Repository"):
        assert each["Properties"]["RepositoryName"].startswith(ours["Filter"])


@pytest.mark.req("T24", "T25")
def test_a_second_service_of_the_account_takes_no_rule_of_the_first_away(service):
    other = service.model_copy(update={"service": "another"})
    for kind in ("RegistryScanningConfiguration", "ReplicationConfiguration"):
        assert aws.everywhere(service, f"ECR::{kind}") == aws.everywhere(other, f"ECR::{kind}")
    shared = [[(s.place, s.stack, aws.templates(each)[s.file]) for s in steps(each)
               if isinstance(s, Deploy) and s.file.endswith("/account.yaml")]
              for each in (service, other)]  # fmt: skip
    assert shared[0] == shared[1] and len(shared[0]) == len(service.regions)
    stacks = [{(s.place, s.stack) for s in steps(each) if isinstance(s, Deploy)}
              for each in (service, other)]  # fmt: skip
    assert stacks[0] & stacks[1] == {(place, name) for place, name, _ in shared[0]}
