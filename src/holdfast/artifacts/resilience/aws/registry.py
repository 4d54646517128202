"""Images beside the clusters that pull them: scanned, immutable, copied from the primary region.

The pipeline pushes to the primary region's repository; ECR copies to the others, so a region
starts pods with every other region gone. How images are scanned and copied is said once for a
whole account: a stack of its own says it for every repository below one prefix, whichever service
brings it, so that two services never take each other's rules away. Sources: Amazon ECR, Private
image replication, Lifecycle policies, Image scanning.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.resilience.aws import foundation
from holdfast.artifacts.resilience.aws.template import (
    AWS,
    att,
    exported,
    imported,
    kept,
    ref,
    resource,
    template,
)
from holdfast.spec.model import Service
from holdfast.spec.production.regions import Region

STACK = "registry"
ACCOUNT = "account"
#: The stack that all services of an account share.
SHARED = f"{names.MANAGER}-{ACCOUNT}"
PREFIX = f"{names.MANAGER}/"
RELEASES = 50  # kept; a roll back further than this is a new build
UNTAGGED_DAYS = 7


def render(service: Service) -> Iterator[Artifact]:
    for region in service.regions:
        yield Artifact(
            f"{AWS}/{region.name}/{STACK}.yaml", stack(service, region),
            f"Where clusters of {region.name} pull the image from.", ("service", "regions"),
            ("T24", "T25"),
        )  # fmt: skip
        yield Artifact(
            f"{AWS}/{region.name}/{ACCOUNT}.yaml", account(service, region),
            f"How {region.name} scans and copies images of all services: the same for each.",
            ("regions",), ("T24", "T25"),
        )  # fmt: skip


def stack(service: Service, region: Region) -> Object:
    return template(
        f"Images of {service.service} in {region.name}", {"Repository": _repository(service)},
        exported(service, STACK, Uri=att("Repository", "RepositoryUri"), Name=ref("Repository")),
    )  # fmt: skip


def account(service: Service, region: Region) -> Object:
    """No name of a service is in it: whoever deploys it next changes nothing."""
    resources: Object = {"Scanning": _scanning()}
    others = [each for each in service.regions if each.name != region.name]
    if others and region.name == names.primary(service).name:
        resources["Replication"] = _replication(others)
    return template(f"Images of every service in {region.name}", resources)


def _repository(service: Service) -> Object:
    """A tag says the same for ever; what nothing names any more goes."""
    settings = {
        "RepositoryName": f"{PREFIX}{service.service}",
        "ImageTagMutability": "IMMUTABLE",
        "ImageScanningConfiguration": {"ScanOnPush": True},
        "EncryptionConfiguration": {
            "EncryptionType": "KMS",
            "KmsKey": imported(service, foundation.STACK, "ClusterKey"),
        },
        "LifecyclePolicy": {"LifecyclePolicyText": json.dumps(lifecycle(), indent=2)},
    }
    return kept("ECR::Repository", settings)


def lifecycle() -> Object:
    """The retention of images as ECR reads it."""
    untagged = {
        "tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days",
        "countNumber": UNTAGGED_DAYS,
    }  # fmt: skip
    releases = {
        "tagStatus": "tagged", "tagPatternList": ["*"], "countType": "imageCountMoreThan",
        "countNumber": RELEASES,
    }  # fmt: skip
    rules = [("builds that nothing names", untagged), ("releases too old to go back to", releases)]
    return {
        "rules": [
            {
                "rulePriority": rank,
                "description": about,
                "selection": selection,
                "action": {"type": "expire"},
            }
            for rank, (about, selection) in enumerate(rules, 1)
        ]
    }


def _scanning() -> Object:
    """New weaknesses of old images are found without a push."""
    ours = [{"Filter": f"{PREFIX}*", "FilterType": "WILDCARD"}]
    rule = {"ScanFrequency": "CONTINUOUS_SCAN", "RepositoryFilters": ours}
    settings = {"ScanType": "ENHANCED", "Rules": [rule]}
    return resource("ECR::RegistryScanningConfiguration", settings)


def _replication(others: list[Region]) -> Object:
    ours = [{"Filter": PREFIX, "FilterType": "PREFIX_MATCH"}]
    targets = [{"Region": e.cloud, "RegistryId": ref("AWS::AccountId")} for e in others]
    rule = {"Destinations": targets, "RepositoryFilters": ours}
    return resource(
        "ECR::ReplicationConfiguration", {"ReplicationConfiguration": {"Rules": [rule]}}
    )
